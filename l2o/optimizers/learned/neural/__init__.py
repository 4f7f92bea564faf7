"""The neural twin: a rule for each of two networks that train against each other."""

from l2o.optimizers.learned.neural.twin import NeuralTwin

__all__ = ["NeuralTwin"]
