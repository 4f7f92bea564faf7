"""Problems: families of games, their costs given θ, and batches of their instances."""

from l2o.games import Costs, Iterate
from l2o.problems.base import Problem, Theta
from l2o.problems.instances import Distance, Instances
from l2o.problems.matrix_game import MatrixGame
from l2o.problems.measures import Measure
from l2o.problems.neural.gan_mixture import GANMixture
from l2o.problems.noise import Noisy
from l2o.problems.quadratic_game import QuadraticGame
from l2o.problems.saddle import RotatedSaddle, Saddle
from l2o.problems.seesaw import Seesaw

__all__ = [
    "Costs",
    "Distance",
    "GANMixture",
    "Instances",
    "Iterate",
    "MatrixGame",
    "Measure",
    "Noisy",
    "Problem",
    "QuadraticGame",
    "RotatedSaddle",
    "Saddle",
    "Seesaw",
    "Theta",
]
