"""Problems: families of objectives f(x, y; θ) and batches of their instances."""

from l2o.problems.base import Distance, Instances, Iterate, Problem, Theta
from l2o.problems.matrix_game import MatrixGame
from l2o.problems.noise import NoisyInstances
from l2o.problems.quadratic_game import QuadraticGame
from l2o.problems.saddle import RotatedSaddle, Saddle
from l2o.problems.seesaw import Seesaw

__all__ = [
    "Distance",
    "Instances",
    "Iterate",
    "MatrixGame",
    "NoisyInstances",
    "Problem",
    "QuadraticGame",
    "RotatedSaddle",
    "Saddle",
    "Seesaw",
    "Theta",
]
