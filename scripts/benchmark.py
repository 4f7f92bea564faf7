"""Times what is around meta-training: `python scripts/benchmark.py`.

With and without Lightning the same steps take turns in one process, and checkpoints are timed
inside one run, so that the ratios hold however fast the machine is.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from hydra import compose, initialize_config_dir
from pytorch_lightning import Trainer

from l2o.training.data import InstanceData
from l2o.training.job import Job
from l2o.training.script import CONFIGS
from l2o.training.train import quieten, train

EPOCHS, ROUNDS = 10, 7


def main() -> None:
    """Prints medians over the rounds."""
    quieten()
    with (
        initialize_config_dir(str(CONFIGS), version_base="1.3"),
        tempfile.TemporaryDirectory() as d,
    ):
        job = Job.from_config(compose("train", [f"run_dir={d}", f"protocol.epochs={EPOCHS}"]))
        runs = {"plain": lambda: fit_plainly(job), "lightning": lambda: fit(job, Path(d))}
        times: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(ROUNDS):
            for name, run in runs.items():
                times[name].append(seconds(run))
    steps = EPOCHS * job.protocol.windows(0)
    plain, lightning = (1e3 * statistics.median(times[name]) / steps for name in runs)
    ratio = statistics.median(b / a for a, b in zip(*times.values(), strict=True))
    print(f"a training step, plain loop:     {plain:.2f} ms")
    print(f"a training step under Lightning: {lightning:.2f} ms, ratio {ratio:.2f}")
    print(f"Lightning's share of a step:     {1 - 1 / ratio:.0%}")
    saving, fitting, count = checkpoint_times()
    print(f"{count} checkpoints in a whole run:   {saving:.2f} s of {fitting:.1f} s")
    print(f"their share of training:         {saving / fitting:.2%}")


def fit(job: Job, directory: Path) -> None:
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
    data = InstanceData(job.mixture, job.protocol, job.seed)
    trainer.fit(job.module, datamodule=data)


def fit_plainly(job: Job) -> None:
    """The same steps in a loop of our own."""
    data = InstanceData(job.mixture, job.protocol, job.seed)
    data.setup("fit")
    module = job.module
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
        metrics = train(compose("train", [f"run_dir={d}"]))
    return sum(times), metrics["time/fit_s"], len(times)


def seconds(run: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
