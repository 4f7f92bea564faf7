"""A trial of a study: where the study is kept, and ending trials that will not be the best."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.utils import to_absolute_path
from pytorch_lightning import Callback, LightningModule, Trainer

from l2o.io import checks
from l2o.io.directory import PRUNED
from l2o.io.errors import UserError
from l2o.io.files import replace_file
from l2o.io.settings import construct
from l2o.training.callbacks import SCORE, History

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

SQLITE = "sqlite:///"
PATIENCE_S = 60
"""How long one process waits while others write to the database."""


def database(name: str, storage: object) -> Path:
    """The file in which studies are kept.

    Args:
        name: The setting's name, for the message.
        storage: As Optuna writes it; a relative path begins where the command was given.

    Raises:
        UserError: If it is none.
    """
    if not isinstance(storage, str) or not storage.removeprefix(SQLITE).strip():
        raise checks.refusal(name, f"{SQLITE}PATH", storage)
    if not storage.startswith(SQLITE):
        raise checks.refusal(name, f"{SQLITE}PATH", storage)
    return Path(to_absolute_path(storage.removeprefix(SQLITE)))


def opened(name: str, storage: str) -> RDBStorage:
    """The database of studies, begun if there is none.

    Raises:
        UserError: If it cannot be used.
    """
    # Imported here: it takes a second, and only studies need it.
    from optuna.storages import RDBStorage

    path = database(name, storage)

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(path, timeout=PATIENCE_S, check_same_thread=False)

    try:
        # As part of a URL the path would be read in several ways, each with its own syntax.
        return RDBStorage(f"{SQLITE}PATH", {"creator": connect})
    except Exception as error:
        # Optuna, SQLAlchemy and the database each have their own kinds of errors.
        line = str(error).split("\n")[0]
        raise UserError(f"{name}: {storage} cannot be used ({line}); choose another") from None


@dataclass(frozen=True)
class Pruning:
    """When a trial of a study is ended early.

    Attributes:
        study: The study's name.
        storage: Where it is kept, as Optuna writes it: `sqlite:///PATH`.
        trial: The trial's number.
        startup_trials: No trial is ended before so many are complete.
        warmup_epochs: None is ended in its first epochs.
    """

    study: str
    storage: str
    trial: int
    startup_trials: int
    warmup_epochs: int

    def __post_init__(self) -> None:
        if not isinstance(self.study, str) or not self.study.strip():
            raise checks.refusal("study", "a name", self.study)
        database("storage", self.storage)
        if self.trial is None:
            raise UserError("trial: only a study has trials; add --multirun, or pruning=null")
        for name in ("trial", "startup_trials", "warmup_epochs"):
            checks.count(name, getattr(self, name), minimum=0)

    @classmethod
    def from_settings(cls, settings: Any) -> Pruning | None:
        """What the setting `pruning` describes; null prunes nothing.

        Raises:
            UserError: If a value is not allowed.
        """
        if settings is None:
            return None
        if not isinstance(settings, Mapping):
            raise checks.refusal("pruning", "settings by name or null", settings)
        return construct(cls, settings, "pruning")


class Pruner(Callback):
    """Reports the best validation score so far to the running trial, and ends training if it is
    worse than the median of the complete trials was in the same epoch.

    Args:
        pruning: When.
        history: Of the epochs; its callback must come first.
        directory: Of the run, where `pruned.json` tells that it was ended.

    Raises:
        UserError: If there is no such trial.
    """

    def __init__(self, pruning: Pruning, history: History, directory: Path) -> None:
        from optuna import load_study
        from optuna.pruners import MedianPruner

        self._history = history
        self._directory = directory
        missing = UserError(
            f"pruning: expected trial {pruning.trial} of a study {pruning.study!r} in "
            f"{pruning.storage}, found none; begin it with --multirun sweep=NAME, or pruning=null"
        )
        if not database("pruning.storage", pruning.storage).exists():
            raise missing
        self._storage = opened("pruning.storage", pruning.storage)
        pruner = MedianPruner(pruning.startup_trials, pruning.warmup_epochs)
        try:
            self._study = load_study(study_name=pruning.study, storage=self._storage, pruner=pruner)
            study = self._storage.get_study_id_from_name(pruning.study)
            self._trial = self._storage.get_trial_id_from_study_id_trial_number(
                study, pruning.trial
            )
        except KeyError:
            raise missing from None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        validated = SCORE in self._history.records[-1]
        worse = validated and trainer.is_global_zero and self._is_worse(trainer.current_epoch)
        if not trainer.strategy.reduce_boolean_decision(worse, all=False):
            return
        trainer.should_stop = True
        if trainer.is_global_zero:
            told = {"epoch": trainer.current_epoch, SCORE: self._history.best_score}
            replace_file(self._directory / PRUNED, f"{json.dumps(told, indent=2)}\n".encode())

    def _is_worse(self, epoch: int) -> bool:
        """Whether the trial has to end; one that has ended goes on as a run by itself."""
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        try:
            self._storage.set_trial_intermediate_value(self._trial, epoch, self._history.best_score)
        except UpdateFinishedTrialError:
            return False
        trial = self._storage.get_trial(self._trial)
        if not self._study.pruner.prune(self._study, trial):
            return False
        self._study.tell(trial.number, state=TrialState.PRUNED, skip_if_finished=True)
        return True
