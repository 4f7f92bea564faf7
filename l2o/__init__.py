"""Learned and hand-designed optimizers for min over x, max over y of f(x, y)."""

from l2o.io.errors import UserError
from l2o.io.pretrained import Pretrained, pretrained
from l2o.optimizers.learned.loading import load
from l2o.optimizers.learned.released import load_released
from l2o.problems import Instances, Iterate, Problem
from l2o.unroll import Detach, Trajectory, unroll

__version__ = "0.1.0"

__all__ = [
    "Detach",
    "Instances",
    "Iterate",
    "Pretrained",
    "Problem",
    "Trajectory",
    "UserError",
    "load",
    "load_released",
    "pretrained",
    "unroll",
]
