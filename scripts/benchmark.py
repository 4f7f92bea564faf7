"""Times `l2o.optim`, and what is around meta-training: `python scripts/benchmark.py`.

A step of each optimizer takes turns with one of a loop by hand around two fused Adams. Memory is
the most that a step holds beyond parameters and state, as PyTorch's profiler has it.

With and without Lightning the same steps take turns in one process, and checkpoints are timed
inside one run, so that the ratios hold however fast the machine is. One process and two take
turns as well; their ratio is true only where two cores have nothing else to do.
"""

import itertools
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

import torch
from hydra import compose, initialize_config_dir
from pytorch_lightning import Trainer
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.profiler import ProfilerActivity, profile

import l2o
from l2o import optim
from l2o.cli.config import CONFIGS, plain
from l2o.training.run import TrainingRun
from l2o.training.train import train
from l2o.training.trainer import quieten

EPOCHS, ROUNDS, PAIRS = 10, 7, 3
SHARED = (128, 2048)
"""Instances that are shared out between two processes."""
NOISE = 64
ADAM = {"lr": 1e-4, "betas": (0.5, 0.9)}
OPTIMIZERS: dict[str, Callable[[Any], optim.Minimax]] = {
    "Adam": lambda groups: optim.Adam(groups, **ADAM),
    "Adam, alternating": lambda groups: optim.Adam(groups, **ADAM, alternating=True),
    "OptimisticAdam": lambda groups: optim.OptimisticAdam(groups, **ADAM),
    "PastExtraAdam": lambda groups: optim.PastExtraAdam(groups, **ADAM),
    "ExtraAdam": lambda groups: optim.ExtraAdam(groups, **ADAM),
    "LEADAdam, alternating": lambda groups: optim.LEADAdam(groups, **ADAM, alternating=True),
    "SGAAdam": lambda groups: optim.SGAAdam(groups, **ADAM),
    "ConsensusAdam": lambda groups: optim.ConsensusAdam(groups, **ADAM),
    "ACGD": lambda groups: optim.ACGD(groups, lr=1e-4),
    "Learned": lambda groups: optim.Learned(groups, "structured_twin/universal"),
}
Networks = tuple[nn.Module, nn.Module, Tensor]
"""A generator, a critic and real data."""


def main() -> None:
    """Prints medians over the rounds."""
    quieten()
    optimizer_costs("MLP, 2 × 512, batch 256", mlps, 256, 30)
    optimizer_costs("convolutional GAN, 32 × 32, batch 64", convolutions, 64, 7)
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


def mlps(batch: int) -> Networks:
    """Two hidden layers each."""

    def network(outputs: int) -> nn.Module:
        layers = [nn.Linear(NOISE, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(512, outputs))

    return network(NOISE), network(1), torch.randn(batch, NOISE)


def convolutions(batch: int) -> Networks:
    """Four layers each, with batch norm in the generator."""
    widths, up, down = (128, 64, 32), [], []
    for wide, narrow in itertools.pairwise(widths):
        up += [nn.ConvTranspose2d(wide, narrow, 4, 2, 1), nn.BatchNorm2d(narrow), nn.ReLU()]
        down = [nn.Conv2d(narrow, wide, 4, 2, 1), nn.LeakyReLU(0.2), *down]
    generator = nn.Sequential(
        *(nn.Unflatten(1, (NOISE, 1, 1)), nn.ConvTranspose2d(NOISE, widths[0], 4)),
        *(nn.BatchNorm2d(widths[0]), nn.ReLU(), *up),
        *(nn.ConvTranspose2d(widths[-1], 3, 4, 2, 1), nn.Tanh()),
    )
    critic = nn.Sequential(
        *(nn.Conv2d(3, widths[-1], 4, 2, 1), nn.LeakyReLU(0.2), *down),
        *(nn.Conv2d(widths[0], 1, 4), nn.Flatten()),
    )
    return generator, critic, torch.randn(batch, 3, 32, 32)


def two_adams(generator: nn.Module, critic: nn.Module, real: Tensor) -> Callable[[], object]:
    """A step by hand: the critic's on detached samples, then the generator's."""
    of_generator = torch.optim.Adam(generator.parameters(), **ADAM, fused=True)
    of_critic = torch.optim.Adam(critic.parameters(), **ADAM, fused=True)

    def step() -> None:
        fake = generator(torch.randn(len(real), NOISE)).detach()
        (softplus(-critic(real)).mean() + softplus(critic(fake)).mean()).backward()
        of_critic.step()
        fake = generator(torch.randn(len(real), NOISE))
        (-softplus(critic(fake)).mean()).backward()
        of_generator.step()
        of_critic.zero_grad()
        of_generator.zero_grad()

    return step


def one_minimax(
    make: Callable[[Any], optim.Minimax], generator: nn.Module, critic: nn.Module, real: Tensor
) -> Callable[[], object]:
    """A step of one optimizer on the same game."""
    opt = make(
        [
            {"params": generator.parameters(), "role": "min"},
            {"params": critic.parameters(), "role": "max"},
        ]
    )

    def closure() -> Any:
        fake = generator(torch.randn(len(real), NOISE))
        return l2o.zero_sum(-softplus(-critic(real)).mean() - softplus(critic(fake)).mean())

    return lambda: opt.step(closure)


def optimizer_costs(
    title: str, networks: Callable[[int], Networks], batch: int, rounds: int
) -> None:
    """Prints the time of a step, also as a multiple of the loop's by hand, and its memory.

    Memory counts in copies of all parameters.
    """
    torch.manual_seed(0)
    size = sum(4 * p.numel() for part in networks(1)[:2] for p in part.parameters())
    runs = {"by hand": two_adams(*networks(batch))}
    runs |= {name: one_minimax(make, *networks(batch)) for name, make in OPTIMIZERS.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 2):
        for name, run in runs.items():
            took = seconds(run)
            if turn >= 2:  # the first steps make the state
                times[name].append(took)
    print(f"{title}: time of a step, its multiple of the loop's by hand, copies of parameters")
    for name, run in runs.items():
        pairs = zip(times[name], times["by hand"], strict=True)
        ratio = statistics.median(mine / its for mine, its in pairs)
        milliseconds = 1e3 * statistics.median(times[name])
        print(f"  {name:22} {milliseconds:8.1f} ms {ratio:7.2f} {peak(run) / size:7.2f}")


def peak(run: Callable[[], object]) -> int:
    """The most bytes that a call holds at once, beyond those held before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        run()
    changes = [e for e in record.profiler.kineto_results.events() if e.name() == "[memory]"]
    changes.sort(key=lambda change: change.start_ns())
    return max(itertools.accumulate(change.nbytes() for change in changes))


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
