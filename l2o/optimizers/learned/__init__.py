"""Learned optimizers: update rules whose weights, the meta-parameters, are trained."""

from l2o.optimizers.learned.neural import NeuralTwin
from l2o.optimizers.learned.structured import StructuredTwin
from l2o.optimizers.learned.twin import TwinL2O

__all__ = ["NeuralTwin", "StructuredTwin", "TwinL2O"]
