"""Meta-training from a config to results on disk."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Trainer
from pytorch_lightning.loggers import Logger

from l2o import checks
from l2o.checkpoint import load
from l2o.errors import UserError
from l2o.evaluation import EvaluationSettings
from l2o.evaluation.plots import plot_training
from l2o.evaluation.report import print_table, write_config, write_metrics, write_versions
from l2o.evaluation.run import run_test
from l2o.optimizers import LearnedOptimizer
from l2o.problems import Problem
from l2o.seeding import generator
from l2o.settings import build
from l2o.training.callbacks import EpochProgress, History, checkpoints
from l2o.training.curriculum import Curriculum
from l2o.training.data import InstanceData
from l2o.training.loggers import build_loggers, is_first_process, upload_results
from l2o.training.module import MetaTraining
from l2o.training.protocol import Protocol
from l2o.training.rewards import Reward
from l2o.training.script import plain

SMALL_BATCH = 1000
"""Fewer rows (instances × coordinates) than this train on one thread: with 128 a second one gains
nothing, with 2000 it does."""


@dataclass(frozen=True)
class Job:
    """Everything a training run is made of, checked before it begins."""

    settings: dict[str, Any]
    problem: Problem
    """What it is tested on, and trained on unless there is a mixture."""
    mixture: list[Problem]
    """What it is trained on in turn."""
    optimizer: LearnedOptimizer[Any]
    protocol: Protocol
    reward: Reward
    curriculum: Curriculum
    evaluation: EvaluationSettings
    seed: int
    directory: Path

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Job:
        """The job that a config describes.

        Raises:
            UserError: If any part of it cannot work.
        """
        settings = plain(config)
        seed = checks.count("seed", settings["seed"], minimum=0)
        problem = build(settings["problem"], Problem, "problem")
        mixture = [
            build(described, Problem, f"mixture.{place}")
            for place, described in enumerate(_list("mixture", settings["mixture"]))
        ]
        for one in (problem, *mixture):
            one.check()
        # The tricks concern the optimizer, whose settings refer to them.
        recipe = {key: value for key, value in settings["protocol"].items() if key != "tricks"}
        try:
            protocol = Protocol.from_settings(recipe)
        except UserError as error:
            raise UserError(f"protocol.{error}") from None
        reward = build(settings["reward"], Reward, "reward")
        reward.check(protocol.window)
        try:
            curriculum = Curriculum(**settings["curriculum"])
        except UserError as error:
            raise UserError(f"curriculum.{error}") from None
        try:
            evaluation = EvaluationSettings(**settings["evaluation"])
        except UserError as error:
            raise UserError(f"evaluation.{error}") from None
        optimizer = build(settings["variant"], LearnedOptimizer, "variant")
        for one in (problem, *mixture):
            _check_fit(optimizer, one)
        _check_accelerator(settings["strategy"]["accelerator"])
        directory = Path(settings["run_dir"])
        return cls(
            settings,
            problem,
            mixture or [problem],
            optimizer,
            protocol,
            reward,
            curriculum,
            evaluation,
            seed,
            directory,
        )

    @property
    def module(self) -> MetaTraining:
        """What Lightning trains."""
        return MetaTraining(
            self.optimizer, self.protocol, self.reward, self.curriculum, self.seed, self.settings
        )

    @property
    def title(self) -> str:
        """What is run, in a few words."""
        names = (type(part).__name__ for part in (self.optimizer, self.problem))
        return f"{' on '.join(names)}, seed {self.seed}"


def train(config: Mapping[str, Any]) -> dict[str, float]:
    """Meta-trains, tests the best checkpoint, and writes results into `run_dir`.

    Args:
        config: A composed config of `conf/train.yaml`.

    Returns:
        The metrics, as in `metrics.json`: `val/score` of the best epoch, `test/…`, `time/…`.

    Raises:
        UserError: If the config cannot work; raised before any long work.
    """
    job = Job.from_config(config)
    directory = job.directory
    directory.mkdir(parents=True, exist_ok=True)
    loggers = build_loggers(job.settings["logger"], directory, job.settings)
    if is_first_process():
        write_config(job.settings, directory)
        write_versions(directory)

    began = time.perf_counter()
    trainer, history = _fit(job, loggers)
    metrics = {"val/score": history.best_score, "time/fit_s": time.perf_counter() - began}
    if not trainer.is_global_zero:
        return metrics

    plot_training(history.records, directory / "plots" / "training.png")
    best = directory / "checkpoints" / "best.ckpt"
    # Read back from disk, so that what is tested is what is kept.
    optimizer = load(best, trust_classes=True)
    metrics |= run_test(optimizer, job.problem, job.evaluation, job.seed, directory, job.title)
    write_metrics(metrics, directory)
    upload_results(loggers, metrics, directory, best)
    print_table(metrics, job.title, directory)
    return metrics


def _fit(job: Job, loggers: list[Logger]) -> tuple[Trainer, History]:
    protocol, history = job.protocol, History()
    every = min(protocol.validation.every, protocol.epochs)
    folder = job.directory / "checkpoints"
    quieten()
    try:
        trainer = Trainer(
            **job.settings["strategy"],
            max_epochs=protocol.epochs,
            check_val_every_n_epoch=every,
            num_sanity_val_steps=0,
            callbacks=[history, EpochProgress(history), *checkpoints(str(folder), every)],
            logger=loggers,
            log_every_n_steps=protocol.windows(0),
            gradient_clip_val=protocol.clip,
            default_root_dir=job.directory,
            enable_model_summary=False,
            # In inference mode a user's problem could not be differentiated automatically.
            inference_mode=False,
        )
    except (MisconfigurationException, ValueError, TypeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"strategy: Lightning refuses these settings: {reason}") from None
    module = job.module
    rows = protocol.instances * max(max(problem.m, problem.n) for problem in job.mixture)
    with _threads(rows), _no_denormals():
        trainer.fit(module, datamodule=InstanceData(job.mixture, protocol, job.seed))
    if protocol.epochs % every:
        trainer.save_checkpoint(folder / "last.ckpt")
    return trainer, history


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


def _list(name: str, value: Any) -> list[Any]:
    """A list of settings, null for none; raises UserError if it is neither."""
    value = [] if value is None else value
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise UserError(f"{name}: expected a list of problems' settings or null, got {value!r}")
    return value


def _check_fit(optimizer: LearnedOptimizer[Any], problem: Problem) -> None:
    """Raises UserError if the optimizer cannot be applied to the problem."""
    source = generator(0, "check")
    try:
        optimizer.init(problem.sample(1, source), problem.sample_start(1, source))
    except UserError as error:
        raise UserError(f"variant.{error}") from None


def _check_accelerator(accelerator: str) -> None:
    if accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
        raise UserError(
            "strategy: expected a GPU, but PyTorch sees none here; use strategy=cpu or "
            "strategy=auto, or install a PyTorch that was built for your GPU"
        )


def quieten() -> None:
    """Silences what Lightning says about itself, and advice that does not apply here."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")
    warnings.filterwarnings("ignore", message=".*does not have many workers")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory.*exists and is not empty")
    warnings.filterwarnings("ignore", message=".*Experiment logs directory.*exists and is not")
