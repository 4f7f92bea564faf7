"""Times what is around meta-training: `python scripts/benchmark.py`.

With and without Lightning the same steps take turns in one process, and checkpoints are timed
inside one run, so that the ratios hold however fast the machine is. One process and two take
turns as well; their ratio is true only where two cores have nothing else to do.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from hydra import compose, initialize_config_dir
from pytorch_lightning import Trainer

from l2o.cli.config import CONFIGS, plain
from l2o.training.run import TrainingRun
from l2o.training.train import train
from l2o.training.trainer import quieten

EPOCHS, ROUNDS, PAIRS = 10, 7, 3
SHARED = (128, 2048)
"""Instances that are shared out between two processes."""


def main() -> None:
    """Prints medians over the rounds."""
    quieten()
    with (
        initialize_config_dir(str(CONFIGS), version_base="1.3"),
        tempfile.TemporaryDirectory() as d,
    ):
        training = TrainingRun.from_config(
            plain(compose("train", [f"run_dir={d}", f"protocol.epochs={EPOCHS}"]))
        )
        runs = {"plain": lambda: fit_plainly(training), "lightning": lambda: fit(training, Path(d))}
        times: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(ROUNDS):
            for name, run in runs.items():
                times[name].append(seconds(run))
    steps = EPOCHS * training.protocol.windows(0)
    bare, lightning = (1e3 * statistics.median(times[name]) / steps for name in runs)
    ratio = statistics.median(b / a for a, b in zip(*times.values(), strict=True))
    print(f"a training step, plain loop:     {bare:.2f} ms")
    print(f"a training step under Lightning: {lightning:.2f} ms, ratio {ratio:.2f}")
    print(f"Lightning's share of a step:     {1 - 1 / ratio:.0%}")
    saving, fitting, count = checkpoint_times()
    print(f"{count} checkpoints in a whole run:   {saving:.2f} s of {fitting:.1f} s")
    print(f"their share of training:         {saving / fitting:.2%}")
    for count in SHARED:
        one, two = process_times(count, steps)
        print(f"{count} instances, two processes: {two:.1f} ms a step, {two / one:.2f} of one's")


def fit(training: TrainingRun, directory: Path) -> None:
    """Meta-training under Lightning, without validation or files."""
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=EPOCHS,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=directory,
    )
    data = training.data
    trainer.fit(training.module, datamodule=data)


def fit_plainly(training: TrainingRun) -> None:
    """The same steps in a loop of our own."""
    data = training.data
    data.setup("fit")
    module = training.module
    module.log_dict = lambda *args, **options: None  # type: ignore[method-assign]
    module.trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    meta_optimizer = module.configure_optimizers()
    for _ in range(EPOCHS):
        for window in data.train_dataloader():
            loss = module.training_step(window, 0)
            meta_optimizer.zero_grad()
            loss.backward()
            meta_optimizer.step()


def checkpoint_times() -> tuple[float, float, int]:
    """Seconds that a whole run saves and that it trains, saving included; number of savings."""
    times: list[float] = []
    save = Trainer.save_checkpoint

    def timed(self: Trainer, *arguments: Any, **options: Any) -> None:
        times.append(seconds(lambda: save(self, *arguments, **options)))

    with (
        initialize_config_dir(str(CONFIGS), version_base="1.3"),
        tempfile.TemporaryDirectory() as d,
        mock.patch.object(Trainer, "save_checkpoint", timed),
    ):
        metrics = train(plain(compose("train", [f"run_dir={d}"])))
    return sum(times), metrics["time/fit_s"], len(times)


def process_times(instances: int, steps: int) -> tuple[float, float]:
    """Milliseconds of a training step in one process and in two, of one thread each."""
    times: dict[str, list[float]] = {"cpu": [], "ddp_cpu": []}
    for _ in range(PAIRS):
        for strategy, found in times.items():
            found.append(1e3 * fit_apart(strategy, instances) / steps)
    return statistics.median(times["cpu"]), statistics.median(times["ddp_cpu"])


def fit_apart(strategy: str, instances: int) -> float:
    """Seconds that a run of the script trains for."""
    with tempfile.TemporaryDirectory() as d:
        settings = [
            *(f"strategy={strategy}", f"protocol.instances={instances}", f"hydra.run.dir={d}/run"),
            *(f"protocol.epochs={EPOCHS}", "protocol.validation.iterations=1"),
            *("evaluation.iterations=1", "checkpoint_seconds=1000"),
        ]
        script = str(Path(__file__).with_name("train.py"))
        alone = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(
            [sys.executable, script, *settings], env=alone, check=True, stdout=subprocess.DEVNULL
        )
        metrics = json.loads(Path(d, "run", "metrics.json").read_text(encoding="utf-8"))
    return float(metrics["time/fit_s"])


def seconds(run: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
