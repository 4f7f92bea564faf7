"""Meta-training, from a run whose settings are checked to results on disk."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Callback, Timer

from l2o.io.directory import BEST, PREVIOUS, PRUNED, claimed, refuse_used
from l2o.io.errors import UserError
from l2o.io.program import program
from l2o.optimizers.learned.loading import load
from l2o.reporting.plots import plot_training
from l2o.reporting.report import described, read_metrics, write_config, write_versions
from l2o.reporting.test import run_test
from l2o.training.callbacks import (
    DivergenceLimit,
    EpochProgress,
    History,
    TooManyDiverged,
)
from l2o.training.checkpoints import Checkpoints, SafeFiles
from l2o.training.interruption import Interrupted, Interruption
from l2o.training.pruner import Pruner
from l2o.training.run import TrainingRun
from l2o.training.trainer import build_trainer
from l2o.training.wandb_recorder import recorded

TRAINING_PLOT = "plots/training.png"
SMALL_BATCH = 1000
"""Fewer rows (instances × coordinates) than this train on one thread: with 128 a second one gains
nothing, with 2000 it does."""


def fit(run: TrainingRun) -> dict[str, float]:
    """Meta-trains, tests the best checkpoint, and writes results; see `train`."""
    interruption = Interruption()
    trained = _prepared(run, interruption)
    directory, first = run.directory, trained.trainer.is_global_zero
    try:
        with claimed(directory) if first else nullcontext(), interruption.listening():
            # One that was killed while it drew has its metrics, and draws again.
            done = all((directory / name).exists() for name in ("metrics.json", TRAINING_PLOT))
            if run.continued and done:
                if first:
                    print(f"{directory}: this run is finished; its results are in metrics.json")
                return read_metrics(directory)
            if first and not run.continued:
                refuse_used(directory)
                (directory / "checkpoints").mkdir(exist_ok=True)
                write_versions(directory)
                write_config(run.config, directory)
            (directory / PRUNED).unlink(missing_ok=True)
            with recorded(run, first) as watchers:
                return _run(run, trained, interruption, watchers)
    except Interrupted as interrupted:
        if first:
            name = interrupted.signal.name
            print(f"interrupted by {name}; to go on: {run.command}", file=sys.stderr)
        # Lightning takes another status of its helpers for a crash, and kills the first process.
        sys.exit(interrupted.status if first else 0)
    except TooManyDiverged as error:
        if not first:
            sys.exit(0)  # told once; another status would be taken for a crash, as above
        best = directory / "checkpoints" / BEST
        kept = f"; the best checkpoint so far is {best}" if best.exists() else ""
        raise UserError(f"{error}{kept}") from None
    except OSError as error:
        raise UserError(_lost(error, run)) from None


def _lost(error: OSError, run: TrainingRun) -> str:
    """One line for a disk that is full or a directory that is gone."""
    if not run.directory.is_dir():
        return (
            f"{run.directory}: the run's directory is gone; if it was moved, go on with "
            f"{program('train')} resume=NEW_PATH"
        )
    what = f"{error.filename or run.directory}: {error.strerror or error}"
    return f"{what}; what was saved before is kept; to go on: {run.command}"


class Trained(NamedTuple):
    """What trains, and what it leaves."""

    trainer: Trainer
    history: History
    timer: Timer


def _run(
    run: TrainingRun,
    trained: Trained,
    interruption: Interruption,
    watchers: list[Callback],
) -> dict[str, float]:
    """Trains, from a checkpoint on if there is one, and tests."""
    directory, (trainer, history, timer) = run.directory, trained
    trainer.loggers = run.logger.loggers(directory)
    trainer.callbacks[:0] = watchers  # type: ignore[attr-defined]
    with interruption.deferred():
        _fit(run, trainer)
    # Of training alone, over all its parts.
    metrics = {"val/score": history.best_score, "time/fit_s": timer.time_elapsed()}
    if not trainer.is_global_zero:
        return metrics

    details = described(run.config["problem"])
    title = f"{run.title}, variant {run.names.variant}"
    best = directory / "checkpoints" / BEST
    pruned = (directory / PRUNED).exists()
    if not pruned:
        # Read back from disk, so that what is tested is what is kept.
        optimizer = load(best, trust_classes=run.trusted)
        test = (run.problem, run.evaluation, run.seed, optimizer.dtype)
        metrics = run_test(optimizer, *test, directory, title, details, metrics)
    best.with_name(PREVIOUS).unlink(missing_ok=True)
    # Last of all: a run that has metrics and this plot is finished.
    plot_training(directory / TRAINING_PLOT, history.records, title, details)
    if pruned:
        print(f"{run.title}: pruned after {len(history.records)} epochs; {directory}")
    return metrics


def _prepared(run: TrainingRun, interruption: Interruption) -> Trained:
    """What will train; nothing is written yet, and no other process started."""
    protocol, history, timer = run.protocol, History(), Timer()
    folder, every_s = run.directory / "checkpoints", run.checkpoint_seconds
    limit = DivergenceLimit(history, protocol.max_diverged)
    callbacks = [history, EpochProgress(history), timer, limit]
    if run.pruning:
        callbacks.append(Pruner(run.pruning, history, run.directory))
    trainer = build_trainer(
        run.strategy,
        run.estimator.shared(protocol),
        SafeFiles(),
        max_epochs=protocol.epochs,
        check_val_every_n_epoch=min(protocol.validation.every, protocol.epochs),
        num_sanity_val_steps=0,
        callbacks=[*callbacks, Checkpoints(folder, history, interruption, every_s)],
        logger=False,  # once the directory is this run's own
        log_every_n_steps=1 if run.estimator.whole else protocol.windows(0),
        gradient_clip_val=protocol.clip,
        # Epochs of a growing horizon differ in their number of windows.
        reload_dataloaders_every_n_epochs=int(protocol.first_horizon < protocol.horizon),
        default_root_dir=run.directory,
        enable_model_summary=False,
        # In inference mode a user's problem could not be differentiated automatically.
        inference_mode=False,
    )
    return Trained(trainer, history, timer)


def _fit(run: TrainingRun, trainer: Trainer) -> None:
    """Lets Lightning train."""
    module = run.module
    # Lightning does so too, but after it has read a checkpoint's weights.
    trainer.precision_plugin.convert_module(module)
    if run.strategy.compile:
        # All of it: the structured twin spends its time around its networks.
        run.optimizer.step = torch.compile(run.optimizer.step)  # type: ignore[method-assign]
    rows = run.protocol.instances * max(max(problem.m, problem.n) for problem in run.mixture)
    with _threads(rows), _no_denormals():
        trainer.fit(module, datamodule=run.data, ckpt_path=run.checkpoint)


@contextmanager
def _threads(rows: int) -> Iterator[None]:
    """One thread for small batches: shared out, their matrices only wait for one another.

    Alone on a machine that costs nothing; beside another job it saves most of the time.
    """
    before = torch.get_num_threads()
    if rows < SMALL_BATCH:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _no_denormals() -> Iterator[None]:
    """Numbers below the smallest normal one, 1e-38 in single precision, become zero.

    The gradients of an LSTM that a runaway iterate has saturated are such numbers, and a
    processor takes several times as long for them.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
