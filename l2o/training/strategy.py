"""How a run is executed: on which devices, in how many processes, in which precision."""

from __future__ import annotations

import logging
import os
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric.plugins import CheckpointIO, ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from pytorch_lightning import Trainer
from pytorch_lightning.utilities import rank_zero_only

from l2o.io import checks
from l2o.io.errors import UserError

PRECISIONS = ("32-true", "64-true", "bf16-mixed")
"""Of Lightning's, those that make sense here: iterates in half precision know three digits."""

EXPECTED = {
    "accelerator": "one of auto, cpu, gpu, …",
    "devices": "auto, a whole number above 0 or a list of devices",
    "num_nodes": "a whole number above 0",
    "strategy": "one of auto, ddp, …",
    "precision": f"one of {', '.join(PRECISIONS)}",
}
"""What Lightning's settings may be, for messages; its own reason follows."""

BY_HAND = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")
"""What tells the nodes of each other where neither torchrun nor srun does."""


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

    def check(self, instances: int) -> None:
        """Refuses what can be told without asking Lightning.

        Args:
            instances: Training instances, which the processes share out evenly.

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
            if isinstance(value, int) and value > instances:
                expected = f"at most protocol.instances ({instances}), one for each process"
                raise checks.refusal(f"strategy.{name}", expected, value)
        compiler = os.environ.get("CXX", "g++")
        if self.compile and not shutil.which(compiler):
            raise UserError(
                f"strategy.compile: expected a C++ compiler, but there is no {compiler} here; "
                "install one, name yours in the variable CXX, or use strategy.compile=false"
            )


def build_trainer(
    settings: StrategySettings, instances: int, files: CheckpointIO, **options: Any
) -> Trainer:
    """Lightning's trainer, which knows the place of this process among all of the run.

    Args:
        settings: How the run is executed.
        instances: How many are to be shared out among the processes.
        files: Reads and writes the checkpoints.
        options: Further arguments of the trainer.

    Raises:
        UserError: If the settings cannot work, or do not fit what has started the processes.
    """
    quieten()
    own = {name: getattr(settings, name) for name in EXPECTED}
    try:
        environment = _environment(alone=own["devices"] == own["num_nodes"] == 1)
    except RuntimeError as error:
        raise _misfit(error) from None
    try:
        trainer = Trainer(**own, plugins=[files, environment], **options)
    except Exception as error:
        raise _refusal(own, error) from None
    try:
        environment.validate_settings(trainer.num_devices, trainer.num_nodes)
    except ValueError as error:
        raise _misfit(error) from None
    if instances % trainer.world_size:
        raise UserError(
            f"protocol.instances: expected a multiple of the {trainer.world_size} processes "
            f"(strategy.devices={settings.devices}, "
            f"strategy.num_nodes={settings.num_nodes}), got {instances}"
        )
    missing = ", ".join(name for name in BY_HAND if name not in os.environ)
    if trainer.num_nodes > 1 and isinstance(environment, LightningEnvironment) and missing:
        raise UserError(
            f"strategy.num_nodes: expected to be started by torchrun or srun for "
            f"{trainer.num_nodes} nodes, or with the variables {missing} set on each"
        )
    # Of a run in a single process Lightning leaves it to the environment, in which srun may have
    # numbered several runs.
    rank_zero_only.rank = trainer.global_rank  # type: ignore[attr-defined]
    return trainer


def _environment(alone: bool) -> ClusterEnvironment:
    """What has started the processes of a run, or that Lightning is to start them.

    Lightning takes every Slurm allocation for one whose processes srun has started.
    """
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1 and not alone:
        return SLURMEnvironment(auto_requeue=False)
    return LightningEnvironment()


def quieten() -> None:
    """Silences what Lightning says about itself, and advice that does not apply here."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")
    warnings.filterwarnings("ignore", message=".*does not have many workers")
    warnings.filterwarnings("ignore", message="(?s).*Checkpoint directory.*exists and is not empty")
    warnings.filterwarnings("ignore", message="(?s).*Experiment logs directory.*exists and is not")


def _misfit(error: Exception) -> UserError:
    """Says that the settings are not those of what has started the processes."""
    reason = str(error).strip().split("\n")[0]
    return UserError(f"strategy: does not fit what has started the processes: {reason}")


def _refusal(settings: Mapping[str, Any], error: Exception) -> UserError:
    """Names the setting without which Lightning would take the others, if there is one."""
    reason = str(error).strip().split("\n")[0][:200]
    silent: dict[str, Any] = {"logger": False, "enable_checkpointing": False}
    silent |= {"enable_progress_bar": False, "enable_model_summary": False}
    for name, value in settings.items():
        others = {other: settings[other] for other in settings if other != name}
        try:
            Trainer(**others, **silent)
        except Exception:
            continue
        return checks.refusal(f"strategy.{name}", f"{EXPECTED[name]} ({reason})", value)
    given = ", ".join(f"{name}={checks.shown(value)}" for name, value in settings.items())
    return UserError(f"strategy: Lightning refuses these settings, {given}: {reason}")
