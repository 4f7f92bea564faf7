"""The core assumes no device: nothing is made on another one, and no step waits for a number.

On the meta device tensors have shapes but no numbers: whatever would have to look at one to go
on, or mixes devices, fails there.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import nn

from l2o.games import Iterate
from l2o.optimizers import GMRES, FollowTheRidge, Halpern, HalpernSafeguard, Optimizer, tensors
from l2o.problems import Noisy, Problem
from l2o.unroll import unroll
from tests.helpers import PROBLEMS, double_batch
from tests.optimizers.every import OPEN, OPTIMIZERS, refuses

GAMES: dict[str, Problem] = {
    name: {**PROBLEMS, **OPEN}[name] for name in ("matrix_game", "open_quadratic_game")
}
DEVICES = ["meta", *(["cuda"] if torch.cuda.is_available() else [])]


def looks(optimizer: Optimizer[Any], problem: Problem) -> bool:
    """Whether a method must look at numbers: how long Newton's method goes on, what it refuses."""
    if isinstance(optimizer, Halpern | HalpernSafeguard):
        return not problem.resolvent_in_closed_form
    return isinstance(optimizer, FollowTheRidge | GMRES)


def moved(optimizer: Optimizer[Any], device: str) -> Optimizer[Any]:
    """A copy of an optimizer on a device."""
    optimizer = deepcopy(optimizer)
    for part in (optimizer, getattr(optimizer, "optimizer", None)):
        if isinstance(part, nn.Module):
            part.double().to(device)
    return optimizer


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_everything_stays_on_the_device(name: str, game: str, device: str) -> None:
    optimizer, problem = OPTIMIZERS[name], GAMES[game]
    if refuses(optimizer, problem, game) or (device == "meta" and looks(optimizer, problem)):
        return
    instances, start = double_batch(problem, 3)
    start = Iterate(*(point.to(device) for point in start))
    with torch.no_grad():
        trajectory = unroll(moved(optimizer, device), instances.to(device), start, 2)
    for part in (*trajectory.last, *tensors(trajectory.state)):
        assert part.device.type == device


@pytest.mark.parametrize("device", DEVICES)
def test_draws_follow_the_instances(device: str) -> None:
    instances, start = double_batch(Noisy(GAMES["matrix_game"], 0.1), 3)
    start = Iterate(*(point.to(device) for point in start))
    moved = instances.to(device).at(5)
    assert {value.device.type for value in moved.theta.values()} == {device}
    assert moved.field(torch.cat(start, 1)).device.type == device
