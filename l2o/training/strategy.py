"""How a run is executed: on which devices, in how many processes, in which precision."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import Any

import torch
from lightning_fabric.plugins import CheckpointIO, ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Trainer
from pytorch_lightning.utilities import rank_zero_only

from l2o import checks
from l2o.errors import UserError

PRECISIONS = ("32-true", "64-true", "bf16-mixed")
"""Of Lightning's, those that make sense here: iterates in half precision know three digits."""

BY_HAND = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")
"""What tells the nodes of each other where neither torchrun nor srun does."""


def check_strategy(settings: Mapping[str, Any]) -> None:
    """Raises UserError if this machine cannot do what the `strategy` group asks for."""
    if settings["accelerator"] in ("gpu", "cuda") and not torch.cuda.is_available():
        raise UserError(
            "strategy: expected a GPU, but PyTorch sees none here; use strategy=cpu or "
            "strategy=auto, or install a PyTorch that was built for your GPU"
        )
    checks.choice("strategy.precision", settings["precision"], PRECISIONS)
    compiler = os.environ.get("CXX", "g++")
    if checks.flag("strategy.compile", settings["compile"]) and not shutil.which(compiler):
        raise UserError(
            f"strategy.compile: expected a C++ compiler, but there is no {compiler} here; install "
            "one, name yours in the variable CXX, or use strategy.compile=false"
        )


def build_trainer(
    settings: Mapping[str, Any], instances: int, files: CheckpointIO, **options: Any
) -> Trainer:
    """Lightning's trainer, which knows the place of this process among all of the run.

    Args:
        settings: The `strategy` group.
        instances: How many are to be shared out among the processes.
        files: Reads and writes the checkpoints.
        options: Further arguments of the trainer.

    Raises:
        UserError: If the settings cannot work, or do not fit what has started the processes.
    """
    own = {name: value for name, value in settings.items() if name != "compile"}
    try:
        environment = _environment(alone=settings["devices"] == settings["num_nodes"] == 1)
        trainer = Trainer(**own, plugins=[files, environment], **options)
        environment.validate_settings(trainer.num_devices, trainer.num_nodes)
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"strategy: Lightning refuses these settings: {reason}") from None
    if instances % trainer.world_size:
        raise UserError(
            f"protocol.instances: expected a multiple of the {trainer.world_size} processes, got "
            f"{instances}"
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
