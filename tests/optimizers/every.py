"""Every optimizer, and the kinds of games that it is tried on."""

from __future__ import annotations

from typing import Any

import pytest

from l2o.optimizers import (
    GMRES,
    OGDA,
    SGD,
    Adam,
    AlternatingLEAD,
    Anderson,
    FollowTheRidge,
    Halpern,
    HalpernSafeguard,
    HandDesigned,
    LEADAdam,
    Optimizer,
    TwinL2O,
)
from l2o.problems import Problem, QuadraticGame, Seesaw
from tests.helpers import PROBLEMS, Cubic, Open, small_twin
from tests.optim.games import GeneralSum
from tests.optimizers.hand_designed.games import Smooth
from tests.optimizers.hand_designed.methods import METHODS
from tests.optimizers.learned.neural.helpers import twin as neural_twin
from tests.optimizers.learned.structured.helpers import twin

LEARNED: dict[str, Optimizer[Any]] = {
    "TwinL2O": small_twin(state_rescale=0.8, state_std=0.5),
    "TwinL2O, own gradients": small_twin(inputs="own"),
    "TwinL2O, logarithms": small_twin(log_inputs=True),
    "TwinL2O, sign warm-up": small_twin(warmup_iterations=2),
    "TwinL2O, shared weights": small_twin(share_weights=True),
    "TwinL2O, shared hidden state": small_twin(share_hidden=True),
    "NeuralTwin": neural_twin(),
    "NeuralTwin, constants, shared": neural_twin(statistics=False, share_weights=True),
    "StructuredTwin": twin(0.3),
    "StructuredTwin, no secants": twin(0.3, memory=0),
    "StructuredTwin, no trust": twin(0.3, trust=False),
    "StructuredTwin, coupling": twin(0.3, directions=["gradient", "coupling"]),
    "StructuredTwin, raw": twin(0.3, normalizer="none", recurrent=False, raw_inputs=True),
    "StructuredTwin, shared weights": twin(0.3, normalizer="largest", share_weights=True),
}
OPTIMIZERS: dict[str, Optimizer[Any]] = {
    **METHODS,
    # With larger steps the resolvent of a game that is not monotone need not exist.
    "Halpern": Halpern(0.1),
    "Adam, at once": Adam(0.02),
    "SGD, alternating": SGD(0.1, -0.3, alternating=True),
    "LEADAdam, at once": LEADAdam(0.02),
    "Anderson, OGDA": Anderson(OGDA(0.1), memory=2),
    "Anderson, AlternatingLEAD": Anderson(AlternatingLEAD(0.1, 0.1), memory=3),
    **LEARNED,
    "Safeguard, AlternatingLEAD": HalpernSafeguard(AlternatingLEAD(0.1, 0.1), step_size=0.1),
    "Safeguard, TwinL2O": HalpernSafeguard(small_twin(), step_size=0.1),
    "Safeguard, StructuredTwin": HalpernSafeguard(twin(0.3), step_size=0.1),
}
OPEN: dict[str, Problem] = {
    "open_seesaw": Open(Seesaw(a=[0.5, 2.0])),
    "open_quadratic_game": Open(QuadraticGame(dimension=2)),
    "cubic": Cubic(m=2, n=2, c=[0.5, 1.0]),
    "smooth": Smooth(),
    "general_sum": GeneralSum(),
}
"""Games whose derivatives are all found by automatic differentiation."""


LINEAR_IN_Y = {"seesaw", "open_seesaw", "matrix_game"}
"""Where ∇²yy f is singular."""


def refuses(optimizer: Optimizer[Any], problem: Problem, name: str) -> bool:
    """Whether an optimizer is not meant for a problem of a name."""
    if isinstance(optimizer, HandDesigned) and optimizer.needs_zero_sum and not problem.zero_sum:
        return True
    return (
        (isinstance(optimizer, GMRES) and not problem.affine)
        or (isinstance(optimizer, FollowTheRidge) and name in LINEAR_IN_Y)
        or (isinstance(optimizer, TwinL2O) and optimizer.share_hidden and problem.m != problem.n)
    )


def pairs(problems: dict[str, Problem]) -> pytest.MarkDecorator:
    """Tries every optimizer on every problem that it is meant for."""
    return pytest.mark.parametrize(
        ("optimizer", "problem"),
        [
            pytest.param(optimizer, problem, id=f"{name}-{which}")
            for name, optimizer in OPTIMIZERS.items()
            for which, problem in problems.items()
            if not refuses(optimizer, problem, which)
        ],
    )


on_open_games = pairs(OPEN)
on_closed_forms = pairs(PROBLEMS)
