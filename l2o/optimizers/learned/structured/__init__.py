"""Structured Twin-L2O: learned coefficients over directions that know the game."""

from l2o.optimizers.learned.structured.twin import StructuredTwin

__all__ = ["StructuredTwin"]
