"""How a run is executed: on which devices, in how many processes, in which precision."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

import torch

from l2o.io import checks
from l2o.io.errors import UserError
from l2o.training.estimators import Shared

PRECISIONS = ("32-true", "64-true", "bf16-mixed")
"""Lightning's precisions that make sense here; iterates in half precision have three digits."""

EXPECTED = {
    "accelerator": "one of auto, cpu, gpu, …",
    "devices": "auto, a whole number above 0 or a list of devices",
    "num_nodes": "a whole number above 0",
    "strategy": "one of auto, ddp, …",
    "precision": f"one of {', '.join(PRECISIONS)}",
}
"""What Lightning's settings may be, for messages; its own reason follows."""


@dataclass(frozen=True)
class StrategySettings:
    """How a run is executed; see Lightning's `Trainer` for what these may be.

    Attributes:
        accelerator: `auto`, `cpu`, `gpu`, ….
        devices: `auto`, how many of a node, or which.
        num_nodes: How many machines.
        strategy: `auto`, `ddp`, ….
        precision: One of `PRECISIONS`.
        compile: Whether `torch.compile` makes the optimizer's step.
    """

    accelerator: str
    devices: str | int | list[int]
    num_nodes: int
    strategy: str
    precision: str
    compile: bool

    def __post_init__(self) -> None:
        for name in ("devices", "num_nodes"):
            if isinstance(getattr(self, name), bool):
                raise checks.refusal(name, EXPECTED[name], getattr(self, name))
        checks.choice("precision", self.precision, PRECISIONS)
        checks.flag("compile", self.compile)

    @property
    def dtype(self) -> torch.dtype:
        """The float type of iterates and weights."""
        return torch.float64 if self.precision == "64-true" else torch.float32

    def check(self, shared: Shared) -> None:
        """Refuses what is known to be wrong without asking Lightning.

        Args:
            shared: What the processes share out evenly.

        Raises:
            UserError: If there are more processes, or this machine cannot do it.
        """
        if self.accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
            raise UserError(
                "strategy: expected a GPU, but PyTorch sees none here; use strategy=cpu or "
                "strategy=auto, or install a PyTorch that was built for your GPU"
            )
        for name in ("devices", "num_nodes"):
            value = getattr(self, name)
            # Lightning would make a list of as many before it finds anything wrong.
            if isinstance(value, int) and value > shared.number:
                expected = f"at most {shared.name} ({shared.number}), one for each process"
                raise checks.refusal(f"strategy.{name}", expected, value)
        compiler = os.environ.get("CXX", "g++")
        if self.compile and not shutil.which(compiler):
            raise UserError(
                f"strategy.compile: expected a C++ compiler, but there is no {compiler} here; "
                "install one, name yours in the variable CXX, or use strategy.compile=false"
            )
