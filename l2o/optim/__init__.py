"""Minimax training of PyTorch modules: one optimizer for both players."""

from l2o.closures import general_sum, zero_sum
from l2o.optim.methods import (
    ACGD,
    SGD,
    Adam,
    ConsensusAdam,
    ExtraAdam,
    LEADAdam,
    Learned,
    OptimisticAdam,
    PastExtraAdam,
    SGAAdam,
)
from l2o.optim.minimax import Minimax

__all__ = [
    "ACGD",
    "SGD",
    "Adam",
    "ConsensusAdam",
    "ExtraAdam",
    "LEADAdam",
    "Learned",
    "Minimax",
    "OptimisticAdam",
    "PastExtraAdam",
    "SGAAdam",
    "general_sum",
    "zero_sum",
]
