"""The sweeper of studies, here because Hydra takes none from outside the package `hydra_plugins`.

Every program that uses Hydra imports this file, so it imports little.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class OptunaSweeper(Sweeper):
    """Runs the trials of a study, see `l2o.cli.study`.

    Args:
        settings: Those of `hydra.sweeper`.
    """

    def __init__(self, **settings: Any) -> None:
        self._settings = settings

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self._context, self._config = hydra_context, config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        from l2o.io.errors import UserError

        if find_spec("optuna") is None:
            raise UserError("sweep: optuna cannot be found; install it: pip install 'l2o[sweep]'")
        from l2o.cli.study import run_study

        run_study(self._settings, self._context, self._config, self._launcher, arguments)
