"""The study of an Optuna sweep: going on with it, and ending trials that will not be the best."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from pytorch_lightning import Callback, LightningModule, Trainer

from l2o.io import checks
from l2o.io.directory import PRUNED
from l2o.io.errors import UserError
from l2o.io.files import replace_file
from l2o.io.settings import construct
from l2o.training.callbacks import SCORE, History


@dataclass(frozen=True)
class Pruning:
    """When a trial of a study is ended early.

    Attributes:
        study: The study's name.
        storage: Where it is kept, as Optuna writes it: `sqlite:///PATH`.
        startup_trials: No trial is ended before so many are complete.
        warmup_epochs: None is ended in its first epochs.
    """

    study: str
    storage: str
    startup_trials: int
    warmup_epochs: int

    def __post_init__(self) -> None:
        for name in ("study", "storage"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                raise checks.refusal(name, "a name", value)
        for name in ("startup_trials", "warmup_epochs"):
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
    worse than the median of the other trials was in the same epoch.

    Args:
        pruning: When.
        history: Of the epochs; its callback must come first.
        directory: Of the run, where `pruned.json` tells that it was ended.

    Raises:
        UserError: If there is no such study.
    """

    def __init__(self, pruning: Pruning, history: History, directory: Path) -> None:
        # Imported here: it takes a second, and only sweeps need it.
        import optuna

        self._history = history
        self._directory = directory
        pruner = optuna.pruners.MedianPruner(pruning.startup_trials, pruning.warmup_epochs)
        try:
            self._storage = optuna.storages.RDBStorage(pruning.storage)
            self._study = optuna.load_study(pruning.study, self._storage, pruner=pruner)
        except Exception as error:
            # Optuna, SQLAlchemy and the database each have their own kinds of errors.
            raise UserError(
                f"pruning: expected a study {pruning.study!r} in {pruning.storage}, found none "
                f"({type(error).__name__}); begin it with --multirun sweep=NAME, or pruning=null"
            ) from None
        self._trial = self._running_trial()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        worse = SCORE in self._history.records[-1] and self._is_worse(trainer.current_epoch)
        if not trainer.strategy.reduce_boolean_decision(worse, all=False):
            return
        trainer.should_stop = True
        if trainer.is_global_zero:
            told = {"epoch": trainer.current_epoch, SCORE: self._history.best_score}
            replace_file(self._directory / PRUNED, f"{json.dumps(told, indent=2)}\n".encode())

    def _is_worse(self, epoch: int) -> bool:
        if self._trial is None:
            return False
        self._storage.set_trial_intermediate_value(self._trial, epoch, self._history.best_score)
        trial = self._storage.get_trial(self._trial)
        if not self._study.pruner.prune(self._study, trial):
            return False
        self._storage.set_trial_user_attr(self._trial, "pruned_at_epoch", epoch)
        return True

    def _running_trial(self) -> int | None:
        """The newest running trial with this job's values; none if the job runs by itself.

        A sweep that was killed leaves trials that run for ever, but older ones.
        """
        if not HydraConfig.initialized():
            return None
        overrides = set(HydraConfig.get().overrides.task)
        for trial in reversed(self._study.trials):
            values = {f"{name}={value}" for name, value in trial.params.items()}
            if trial.state.name == "RUNNING" and values and values <= overrides:
                return int(trial._trial_id)
        return None
