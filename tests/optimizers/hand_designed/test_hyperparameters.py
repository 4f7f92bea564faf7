"""Hyperparameters: the grids that tuning tries, and the values that are refused."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import pytest

from l2o import UserError
from l2o.optimizers.hand_designed import Grid, HandDesigned
from tests.optimizers.hand_designed.methods import METHODS

STEPS = ("step_size", "step_size_y", "relative_step", "lipschitz")
WITHOUT_STEPS = {"AGRAAL", "GMRES", "Anderson", "Lookahead"}
"""Those without a step size of their own."""

BAD = {
    "step_size": [0, -0.1],
    "step_size_y": [0, -0.1],
    "relative_step": [0, -0.1],
    "lipschitz": [0, -1.0],
    "momentum": [1, -1, 1.5],
    "coupling": [0, -0.1],
    "adjustment": [0, -0.1],
    "power": [0.5, 1],
    "anchoring": [0, -1],
    "comonotonicity": [-0.5],
    "memory": [0, -1],
    "regularization": [0, -1],
    "trust": [0, -1, 1e5],
    "phi": [1, 1.7],
    "beams": [0, 1.5],
    "box": [0, -1],
    "decay": [-0.5, 1.5],
    "alternating": [1],
    "critic_steps": [0, 1.5],
    "beta1": [1, -1],
    "beta2": [1, -0.1],
    "epsilon": [-1],
    "period": [0, 1.5],
    "weight": [0, 1.5],
}
"""Values outside the open ranges; NaN, infinity and words are refused for every one."""

all_grids = pytest.mark.parametrize(
    "grid",
    [
        pytest.param(grid, id=f"{name}-{key}")
        for name, method in METHODS.items()
        for key, grid in method.grids.items()
    ],
)


@pytest.mark.parametrize(
    ("method", "key", "value"),
    [
        pytest.param(method, field.name, value, id=f"{name}-{field.name}-{value}")
        for name, method in METHODS.items()
        for field in dataclasses.fields(method)
        if field.name in BAD
        for value in [*BAD[field.name], math.nan, -math.inf, "much"]
    ],
)
def test_bad_values_are_refused_by_name(method: HandDesigned[Any], key: str, value: Any) -> None:
    with pytest.raises(UserError, match=f"^{key}: expected "):
        dataclasses.replace(method, **{key: value})


def test_every_hyperparameter_has_bad_values() -> None:
    names = {field.name for method in METHODS.values() for field in dataclasses.fields(method)}
    assert names - set(BAD) == {"base", "dampening"}


@pytest.mark.parametrize("name", sorted(METHODS.keys() - WITHOUT_STEPS))
def test_at_least_ten_step_sizes_are_tried(name: str) -> None:
    sizes = [len(grid.values()) for key, grid in METHODS[name].grids.items() if key in STEPS]
    assert sizes
    assert min(sizes) >= 10


@all_grids
def test_ends_spacing_and_bounds(grid: Grid) -> None:
    values = grid.values()
    assert len(values) == grid.points
    assert values[0] == pytest.approx(grid.low, rel=1e-5)
    assert values[-1] == pytest.approx(grid.high, rel=1e-5)
    assert all(grid.above < value < grid.below for value in values)
    assert_evenly_spaced(grid, values)


@all_grids
def test_extensions_keep_the_spacing_and_the_bounds(grid: Grid) -> None:
    values, longer = grid.values(), grid.values(before=3, after=3)
    assert all(grid.above < value < grid.below for value in longer)
    place = longer.index(values[0])
    assert longer[place : place + len(values)] == values
    assert_evenly_spaced(grid, longer)
    if grid.log:
        assert len(longer) == len(values) + 6 or math.isfinite(grid.below)


def assert_evenly_spaced(grid: Grid, values: list[float]) -> None:
    """Equal ratios or differences; the values are rounded to six digits."""
    if grid.log:
        step = (grid.high / grid.low) ** (1 / (grid.points - 1))
        assert all(b / a == pytest.approx(step, rel=2e-5) for a, b in itertools.pairwise(values))
    else:
        step = (grid.high - grid.low) / (grid.points - 1)
        assert all(b - a == pytest.approx(step, abs=1e-5) for a, b in itertools.pairwise(values))


def test_values_by_hand() -> None:
    """Four a decade: the fourth root of ten, 1.77828; a bound cuts the extension off."""
    grid = Grid(0.01, 1.0, points=9, log=True, above=0, below=2)
    assert grid.values()[:5] == [0.01, 0.0177828, 0.0316228, 0.0562341, 0.1]
    assert grid.values(before=1)[0] == 0.00562341
    assert grid.values(after=3)[-2:] == [1.0, 1.77828]
    assert Grid(0.1, 1.0, points=10, above=0).values(before=2)[0] == 0.1
