"""Pruning: ends a trial of a study early if it will not be the best."""

from __future__ import annotations

import json
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer

from l2o.io.directory import PRUNED
from l2o.io.errors import UserError
from l2o.io.files import replace_file
from l2o.training.callbacks import SCORE, History
from l2o.training.study import Pruning, database, opened


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
