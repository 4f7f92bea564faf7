"""The `strategy` group, settings of Lightning's `Trainer`, tried before a run writes anything."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from pytorch_lightning import Trainer

from l2o import checks
from l2o.errors import UserError

EXPECTED = {
    "accelerator": "one of auto, cpu, gpu, …",
    "devices": "auto, a whole number above 0 or a list of devices",
    "num_nodes": "a whole number above 0",
    "strategy": "one of auto, ddp, …",
}
"""What the settings may be, for messages; Lightning's own reason follows."""


def check_strategy(settings: object, instances: int) -> None:
    """Builds a trainer from the settings, which is then thrown away.

    Args:
        settings: The `strategy` group.
        instances: Training instances, which the processes share out evenly.

    Raises:
        UserError: If Lightning refuses a setting, there is no GPU for it, or the instances cannot
            be shared out.
    """
    settings = checks.mapping("strategy", settings)
    for name, value in settings.items():
        if name not in EXPECTED:
            given = checks.shown(value)
            known = ", ".join(EXPECTED)
            raise UserError(f"strategy.{name}: no such setting, got {given}; strategy has {known}")
    if settings.get("accelerator") in ("gpu", "cuda") and not torch.cuda.is_available():
        raise UserError(
            "strategy: expected a GPU, but PyTorch sees none here; use strategy=cpu or "
            "strategy=auto, or install a PyTorch that was built for your GPU"
        )
    for name in ("devices", "num_nodes"):
        value = settings.get(name)
        if isinstance(value, bool):
            raise checks.refusal(f"strategy.{name}", EXPECTED[name], value)
        # Lightning would make a list of as many before it finds anything wrong.
        if isinstance(value, int) and value > instances:
            expected = f"at most protocol.instances ({instances}), one for each process"
            raise checks.refusal(f"strategy.{name}", expected, value)
    quieten()
    try:
        trainer = _trainer(settings)
    except Exception as error:
        raise _refusal(settings, error) from None
    processes = trainer.num_devices * trainer.num_nodes
    if instances % processes:
        raise UserError(
            f"protocol.instances: expected a multiple of the {processes} processes "
            f"(strategy.devices={settings.get('devices')}, strategy.num_nodes="
            f"{settings.get('num_nodes')}), got {instances}"
        )


def quieten() -> None:
    """Silences what Lightning says about itself, and advice that does not apply here."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")
    warnings.filterwarnings("ignore", message=".*does not have many workers")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory.*exists and is not empty")
    warnings.filterwarnings("ignore", message=".*Experiment logs directory.*exists and is not")


def _trainer(settings: Mapping[str, Any]) -> Trainer:
    return Trainer(
        **settings,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _refusal(settings: Mapping[str, Any], error: Exception) -> UserError:
    """Names the setting without which Lightning would take the others, if there is one."""
    reason = str(error).strip().split("\n")[0][:200]
    for name, value in settings.items():
        try:
            _trainer({other: settings[other] for other in settings if other != name})
        except Exception:
            continue
        expected = EXPECTED.get(name, "what Lightning's Trainer takes")
        return checks.refusal(f"strategy.{name}", f"{expected} ({reason})", value)
    given = ", ".join(f"{name}={checks.shown(value)}" for name, value in settings.items())
    return UserError(f"strategy: Lightning refuses these settings, {given}: {reason}")
