"""Lightning's trainer for a strategy, and the place of this process among all of a run."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping
from typing import Any

from lightning_fabric.plugins import CheckpointIO, ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from pytorch_lightning import Trainer
from pytorch_lightning.utilities import rank_zero_only

from l2o.io import checks
from l2o.io.errors import UserError
from l2o.training.estimators import Shared
from l2o.training.strategy import EXPECTED, StrategySettings

BY_HAND = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")
"""What tells the nodes of each other where neither torchrun nor srun does."""


def build_trainer(
    settings: StrategySettings, shared: Shared, files: CheckpointIO, **options: Any
) -> Trainer:
    """Lightning's trainer, which knows the place of this process among all of the run.

    Args:
        settings: How the run is executed.
        shared: What the processes share out evenly.
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
    if shared.number % trainer.world_size:
        raise UserError(
            f"{shared.name}: expected a multiple of the {trainer.world_size} processes "
            f"(strategy.devices={settings.devices}, "
            f"strategy.num_nodes={settings.num_nodes}), got {shared.number}"
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
    warnings.filterwarnings("ignore", message="The `srun` command is available")
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
