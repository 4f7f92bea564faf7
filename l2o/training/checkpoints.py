"""The checkpoints of a run: `best.ckpt` to use, `last.ckpt` to go on from."""

from __future__ import annotations

import io
import signal
import time
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint

from l2o.io.directory import BEST, LAST, PREVIOUS
from l2o.io.files import replace_file
from l2o.io.tensors import read_tensors
from l2o.training.callbacks import History
from l2o.training.interruption import Interrupted, Interruption
from l2o.training.module import MetaTraining

SHARE = 0.01
"""Of the time that `last.ckpt` may take at most, however slow the disk is."""


class SafeFiles(TorchCheckpointIO):
    """Checkpoints written whole or not at all, and read without running anything in them.

    Of `last.ckpt` the one before is kept, as `previous.ckpt`.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        path, buffer = Path(path), io.BytesIO()
        torch.save(checkpoint, buffer)
        previous = path.with_name(PREVIOUS) if path.name == LAST else None
        replace_file(path, buffer.getvalue(), previous)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        content: dict[str, Any] = read_tensors(path)
        return content


class Checkpoints(Checkpoint):
    """Saves a run between two windows: every so often, when it is interrupted, and at its end.

    Args:
        folder: Where.
        history: Of the epochs; its callback must come first.
        interruption: What tells that the run shall end.
        seconds: Between two savings of `last.ckpt`, at least.
    """

    def __init__(
        self, folder: Path, history: History, interruption: Interruption, seconds: float
    ) -> None:
        self._folder = folder
        self._history = history
        self._interruption = interruption
        self._seconds = seconds

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._interruption.listen()
        self._due = time.monotonic() + self._seconds

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # What the last window logged is not saved by Lightning until the epoch has ended.
        if not trainer.is_last_batch:
            self._between_windows(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._history.is_best:
            trainer.save_checkpoint(self._folder / BEST, weights_only=True)
        self._between_windows(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        assert isinstance(pl_module, MetaTraining)
        checkpoint["unroll"] = pl_module.progress()

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        assert isinstance(pl_module, MetaTraining)
        pl_module.restore(checkpoint["unroll"])

    def _between_windows(self, trainer: Trainer) -> None:
        """Saves if it is time or the run shall end, in all processes if in one."""
        received = self._interruption.received
        due = trainer.is_global_zero and time.monotonic() >= self._due
        if not _any(trainer, due or received is not None):
            return
        self._save(trainer)
        if _any(trainer, received is not None):
            raise Interrupted(received or signal.SIGTERM)

    def _save(self, trainer: Trainer) -> None:
        began = time.monotonic()
        trainer.save_checkpoint(self._folder / LAST)
        ended = time.monotonic()
        self._due = ended + max(self._seconds, (ended - began) / SHARE)


def _any(trainer: Trainer, answer: bool) -> bool:
    """Whether the answer is yes in any process."""
    return trainer.strategy.reduce_boolean_decision(answer, all=False)
