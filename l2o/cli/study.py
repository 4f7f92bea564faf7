"""The study of an Optuna sweep: beginning it, or going on with it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

SQLITE = "sqlite:///"


class GoOn(Callback):
    """Lets an Optuna sweep with storage begin, or go on with what is there."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        import optuna

        optuna.logging.set_verbosity(logging.WARNING)
        sweeper = config.hydra.sweeper
        if str(sweeper.storage).startswith(SQLITE):
            Path(sweeper.storage.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
        known = {s.study_name: s.n_trials for s in optuna.get_all_study_summaries(sweeper.storage)}
        if sweeper.sampler.get("seed") is not None:
            # With the seed that it began with, it would draw again what it drew then.
            sweeper.sampler.seed += known.get(sweeper.study_name, 0)
