"""Learned and hand-designed optimizers for min over x, max over y of f(x, y)."""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from l2o import modules, optim, optimizers, problems, testing
    from l2o.closures import general_sum, zero_sum
    from l2o.games import Costs, Game
    from l2o.io.errors import UserError
    from l2o.io.pretrained import Pretrained, pretrained
    from l2o.optimizers.learned.loading import load
    from l2o.optimizers.learned.released import load_released
    from l2o.optimizers.safeguard import HalpernSafeguard
    from l2o.problems import Instances, Iterate, Problem
    from l2o.unroll import Detach, Trajectory, unroll

__version__ = "0.2.0"

__all__ = [
    "Costs",
    "Detach",
    "Game",
    "HalpernSafeguard",
    "Instances",
    "Iterate",
    "Pretrained",
    "Problem",
    "Trajectory",
    "UserError",
    "general_sum",
    "load",
    "load_released",
    "modules",
    "optim",
    "optimizers",
    "pretrained",
    "problems",
    "testing",
    "unroll",
    "zero_sum",
]

if not TYPE_CHECKING:
    # Names are imported when they are first asked for, and PyTorch with them: a command line that
    # is refused, or asks for help, is answered without it.
    _PLACES = {
        "Costs": "l2o.games",
        "Detach": "l2o.unroll",
        "Game": "l2o.games",
        "HalpernSafeguard": "l2o.optimizers.safeguard",
        "Instances": "l2o.problems",
        "Iterate": "l2o.problems",
        "Pretrained": "l2o.io.pretrained",
        "Problem": "l2o.problems",
        "Trajectory": "l2o.unroll",
        "UserError": "l2o.io.errors",
        "general_sum": "l2o.closures",
        "load": "l2o.optimizers.learned.loading",
        "load_released": "l2o.optimizers.learned.released",
        "pretrained": "l2o.io.pretrained",
        "unroll": "l2o.unroll",
        "zero_sum": "l2o.closures",
    }

    def __getattr__(name):
        if name in _PLACES:
            globals()[name] = getattr(import_module(_PLACES[name]), name)
            return globals()[name]
        if name in __all__:
            return import_module(f"l2o.{name}")
        raise AttributeError(f"module 'l2o' has no attribute {name!r}")

    def __dir__():
        return [*globals(), *__all__]

    class _Package(ModuleType):
        """`l2o.unroll` is the function, also once the file of that name has been imported."""

        def __setattr__(self, name, value):
            if name != "unroll" or not isinstance(value, ModuleType):
                super().__setattr__(name, value)

    sys.modules[__name__].__class__ = _Package
