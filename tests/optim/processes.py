"""What each of two processes does in the tests of data-parallel training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

import l2o
from l2o import optim
from l2o.optim import Minimax
from tests.optim.games import METHODS

NAMES = ["Adam, alternating", "ExtraAdam", "LEADAdam, alternating", "SGAAdam", "ACGD", "Consensus"]
NAMES += ["Lookahead", "StructuredTwin", "Anderson"]


def batch() -> Tensor:
    return torch.randn(8, 3, generator=torch.Generator().manual_seed(0)).double()


class Training:
    """A network against a perturbation, on some inputs."""

    def __init__(self, inputs: Tensor, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
        self.delta = nn.Parameter(torch.randn(3).double())
        self.inputs = inputs

    def groups(self, **options: Any) -> list[dict[str, Any]]:
        return [
            {"params": self.network.parameters(), "role": "min", **options},
            {"params": self.delta, "role": "max", **options},
        ]

    def value(self, inputs: Tensor) -> Tensor:
        output = self.network(inputs + self.delta)
        return (output.squeeze(1) - inputs.sum(1)).square().mean() - self.delta.square().sum()

    def closure(self) -> Any:
        return l2o.zero_sum(self.value(self.inputs))

    @property
    def weights(self) -> Tensor:
        parts = [*self.network.parameters(), self.delta]
        return torch.cat([part.detach().flatten() for part in parts])


def train(training: Training, opt: Minimax, steps: int = 5) -> Tensor:
    for _ in range(steps):
        opt.step(training.closure)
    return training.weights


def told(run: Callable[[], object]) -> str:
    try:
        run()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def work(rank: int, folder: str) -> None:
    """Runs everything, and leaves what came out in a file."""
    torch.set_num_threads(1)
    where = Path(folder)
    distributed.init_process_group(
        "gloo", init_method=f"file://{where / 'store'}", rank=rank, world_size=2
    )
    torch.save(results(rank), where / f"{rank}.pt")
    distributed.destroy_process_group()


def results(rank: int) -> dict[str, Any]:
    mine = batch()[4 * rank : 4 * rank + 4]
    found: dict[str, Any] = {}
    for name in NAMES:
        # Other weights in the second process: it begins with those of the first.
        training = Training(mine, seed=rank)
        opt = Minimax(training.groups(max_norm=0.5), METHODS[name])
        found[name] = train(training, opt)

    training = Training(mine)
    opt = optim.Adam(training.groups())
    halves = [lambda half=half: l2o.zero_sum(training.value(half)) for half in mine.split(2)]
    for _ in range(5):
        opt.step(halves)
    found["micro-batches"] = training.weights

    training = Training(mine)
    opt = optim.Adam(training.groups())

    def backward() -> Tensor:
        opt.zero_grad()
        value = training.value(mine)
        value.backward()
        return value

    for _ in range(5):
        opt.step(backward)
    found["backward"] = training.weights

    for when in (1, 3):
        found |= failures(rank, Training(mine), when)
    found |= overflow(rank, Training(mine))

    training = Training(mine)
    wrapped = DistributedDataParallel(training.network)
    opt = optim.Adam(training.groups())
    found["ddp"] = told(lambda: opt.step(lambda: l2o.zero_sum(wrapped(mine).mean())))
    return found


def failures(rank: int, training: Training, when: int) -> dict[str, Any]:
    """NaN in the second process, or an exception in the first, at some evaluation."""
    found: dict[str, Any] = {}
    opt = optim.ExtraAdam(training.groups())
    opt.step(training.closure) if when == 3 else None
    before = training.weights
    for kind in ("NaN", "error"):
        calls = 0

        def closure(kind: str = kind) -> Any:
            nonlocal calls
            calls += 1
            wrong = calls == (when + 1) // 2
            if kind == "error" and rank == 0 and wrong:
                raise KeyError("no such batch")
            bad = kind == "NaN" and rank == 1 and wrong
            return l2o.zero_sum(training.value(training.inputs) * (torch.nan if bad else 1.0))

        found[f"{kind} {when}"] = told(lambda closure=closure: opt.step(closure))
    found[f"untouched {when}"] = torch.equal(training.weights, before)
    opt.step(training.closure)
    found[f"goes on {when}"] = training.weights
    return found


def overflow(rank: int, training: Training) -> dict[str, Any]:
    """Scaled derivatives that overflow in one process."""
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    opt = optim.Adam(training.groups(), scaler=scaler)
    before = training.weights
    scale = 1e308 if rank else 1.0
    opt.step(lambda: l2o.zero_sum(training.delta.sum() * scale + training.network[0].bias.sum()))
    return {"skipped": torch.equal(training.weights, before), "scale": scaler.get_scale()}
