"""A trial of a study: where the study is kept, and when the trial is ended early."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.utils import to_absolute_path

from l2o.io import checks
from l2o.io.errors import UserError
from l2o.io.settings import construct

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

SQLITE = "sqlite:///"
PATIENCE_S = 60
"""Seconds that a process waits while others write to the database."""


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
