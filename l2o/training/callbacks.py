"""Callbacks of meta-training: the record of every epoch, and progress to watch."""

from __future__ import annotations

import math
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar

from l2o.io.errors import UserError
from l2o.reporting.progress import ProgressLine

SCORE = "val/score"
"""What the best epoch is picked by."""


class History(Callback):
    """Keeps one record an epoch and hands it to the loggers as one row."""

    def __init__(self) -> None:
        self.records: list[dict[str, float]] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # A resumed run writes the epochs before anew: what it finds may hold some after its
        # checkpoint, and a row that was cut off.
        for record in self.records:
            self._log(trainer, record)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        record: dict[str, float] = {"epoch": trainer.current_epoch, "step": trainer.global_step}
        logged = {name: value.item() for name, value in trainer.callback_metrics.items()}
        validated = (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1) == 0
        record |= {k: v for k, v in logged.items() if k != SCORE or validated}
        self.records.append(record)
        self._log(trainer, record)

    def state_dict(self) -> dict[str, Any]:
        """The records, for a checkpoint."""
        return {"records": self.records}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from the records of a checkpoint."""
        self.records = state_dict["records"]

    @property
    def best_score(self) -> float:
        """The lowest validation score so far, infinite before the first."""
        return min(self._scores, default=math.inf)

    @property
    def is_best(self) -> bool:
        """Whether the last epoch was validated, and better than all before; the first is."""
        scores = self._scores
        if not scores or SCORE not in self.records[-1]:
            return False
        return len(scores) == 1 or scores[-1] < min(scores[:-1])

    @property
    def _scores(self) -> list[float]:
        """Of the epochs that were validated; not a number counts as infinite."""
        scores = [record[SCORE] for record in self.records if SCORE in record]
        return [math.inf if math.isnan(score) else score for score in scores]

    def _log(self, trainer: Trainer, record: dict[str, float]) -> None:
        for logger in trainer.loggers:
            logger.log_metrics(record, step=int(record["step"]))


class TooManyDiverged(UserError):
    """Training goes nowhere; found out in all processes at once."""


class DivergenceLimit(Callback):
    """Stops training after an epoch in which too many instances diverged.

    Args:
        history: Where the epochs are recorded; its callback must come first.
        limit: The largest share that may diverge.
    """

    def __init__(self, history: History, limit: float) -> None:
        self._history = history
        self._limit = limit

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        share = self._history.records[-1]["train/diverged"]
        if share > self._limit:
            raise TooManyDiverged(
                f"training stopped after epoch {trainer.current_epoch}: expected at most "
                f"{self._limit:.4g} of the instances to diverge (protocol.max_diverged), got "
                f"{share:.4g}; try a smaller protocol.learning_rate, other starting points "
                "(problem.start_x, problem.start_y) or a larger protocol.max_diverged"
            )


class EpochProgress(ProgressBar):
    """One line for the whole training: epochs, meta-loss, validation score and its best.

    Args:
        history: Where the epochs are recorded; its callback must come first.
    """

    def __init__(self, history: History) -> None:
        super().__init__()
        self._history = history
        self._enabled = True

    def disable(self) -> None:
        """Called by Lightning on all processes but the first."""
        self._enabled = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._enabled:
            self._line = ProgressLine("meta-training", trainer.max_epochs or 1, "epochs")
            self._line.__enter__()
            if trainer.current_epoch:
                self._line.advance(trainer.current_epoch)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._enabled:
            return
        record = self._history.records[-1]
        parts = [f"meta-loss {record['train/meta_loss']:.2e}"]
        scores = [r[SCORE] for r in self._history.records if SCORE in r]
        if scores:
            parts.append(f"validation {scores[-1]:.2e} (best {min(scores):.2e})")
        if record["train/diverged"] > 0:
            parts.append(f"{record['train/diverged']:.0%} diverged")
        self._line.note(" · ".join(parts))
        self._line.advance()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._enabled:
            self._line.__exit__(None, None, None)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        if self._enabled and hasattr(self, "_line"):
            self._line.__exit__(None, None, None)
