"""Structured twins to test, and runs that show every state.

Axes: T iterations, B instances, m / n coordinates, d = m + n joint coordinates.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from l2o.io.seeds import generator
from l2o.optimizers import StructuredTwin
from l2o.optimizers.learned.structured.twin import StructuredState
from l2o.problems import Instances, Problem
from tests.helpers import PROBLEMS, double_batch
from tests.optimizers.hand_designed.helpers import split

on_every_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
trained_or_not = pytest.mark.parametrize("trained", [0.0, 1.0], ids=["untrained", "trained"])


def twin(trained: float = 0, **settings: Any) -> StructuredTwin:
    """A structured twin in double precision.

    Args:
        trained: The deviation of the heads' weights, as if they were trained; 0 leaves them.
        settings: See `StructuredTwin`.
    """
    made = StructuredTwin(**{"hidden_size": 4, **settings}).double()
    source = generator(0, "heads")
    with torch.no_grad():
        for network in (made.minimizer, made.maximizer):
            network.head += trained * torch.randn(network.head.shape, generator=source).double()
    return made


class Seen(NamedTuple):
    """One iteration."""

    z: Tensor
    """z_t, (B, d)"""
    before: StructuredState
    after: StructuredState
    following: Tensor
    """z_{t+1}, (B, d)"""


@torch.no_grad()
def iterations(
    optimizer: StructuredTwin, instances: Instances, z: Tensor, count: int
) -> Iterator[Seen]:
    """The iterations of a run from z, (B, d)."""
    iterate = split(instances, z)
    state = optimizer.init(instances, iterate)
    for _ in range(count):
        z = torch.cat(iterate, dim=1)
        before = state
        iterate, state = optimizer.step(instances, iterate, state)
        yield Seen(z, before, state, torch.cat(iterate, dim=1))


def batch(problem: Problem, count: int = 5) -> tuple[Instances, Tensor]:
    """Instances and joint starting points, in double precision."""
    instances, start = double_batch(problem, count)
    return instances, torch.cat(start, dim=1)
