"""Optimizers: update rules with one interface, `init` a state and `step` an iterate."""

from l2o.optimizers.base import LearnedOptimizer, Optimizer, OracleCalls, map_state, tensors
from l2o.optimizers.safeguard import HalpernSafeguard, SafeguardState
from l2o.optimizers.structured import StructuredTwin
from l2o.optimizers.twin import TwinL2O, TwinState

__all__ = [
    "HalpernSafeguard",
    "LearnedOptimizer",
    "Optimizer",
    "OracleCalls",
    "SafeguardState",
    "StructuredTwin",
    "TwinL2O",
    "TwinState",
    "map_state",
    "tensors",
]
