"""Mixtures and how well samples match them, by hand."""

import math

import pytest
import torch

from l2o.io.seeds import generator
from l2o.problems.neural.mixtures import (
    SHAPES,
    energy_distance,
    good_share,
    modes_covered,
    sample_centres,
)


def test_rings_lie_on_the_unit_circle_at_equal_angles() -> None:
    for turned in (False, True):
        centres = sample_centres(["ring"], 3, 4, turned, generator(0))
        torch.testing.assert_close(centres.norm(dim=2), torch.ones(3, 4))
        apart = (centres - centres.roll(1, dims=1)).norm(dim=2)
        torch.testing.assert_close(apart, torch.full((3, 4), math.sqrt(2)))
    assert (
        sample_centres(["ring"], 1, 4, False, generator(0))[0, 0] == torch.tensor([1.0, 0])
    ).all()


def test_a_grid_of_nine_is_whole() -> None:
    found = {
        tuple(point) for point in sample_centres(["grid"], 1, 9, False, generator(0))[0].tolist()
    }
    assert found == {(x, y) for x in (-1.0, 0.0, 1.0) for y in (-1.0, 0.0, 1.0)}


def test_spirals_go_out_by_equal_steps() -> None:
    centres = sample_centres(["spiral"], 2, 5, True, generator(0))
    torch.testing.assert_close(centres.norm(dim=2), torch.arange(1, 6).expand(2, -1) / 5)


def test_tasks_are_of_every_shape_and_turned_apart() -> None:
    """Told apart by the farthest centre: on the unit circle for a ring and a spiral alone."""
    centres = sample_centres(list(SHAPES), 200, 9, True, generator(0))
    radii = centres.norm(dim=2)
    rings = (radii - 1).abs().amax(1) < 1e-5
    spirals = (radii[:, 0] - 1 / 9).abs() < 1e-5
    grids = ((radii.amax(1) - math.sqrt(2)).abs() < 1e-5) & (radii.amin(1) < 1e-5)
    shares = [which.float().mean().item() for which in (rings, spirals, grids)]
    assert shares == pytest.approx([0.25, 0.25, 0.25], abs=0.1)
    firsts = centres[rings][:, 0]
    assert len({tuple(point) for point in firsts.tolist()}) == len(firsts)


def test_energy_distance_by_hand() -> None:
    """Of {0, 2} and {1, 3}: across (1 + 3 + 1 + 1)/4, within (0 + 2 + 2 + 0)/4 each."""
    first, second = torch.tensor([[[0.0, 0], [2, 0]]]), torch.tensor([[[1.0, 0], [3, 0]]])
    assert energy_distance(first, second).item() == pytest.approx(2 * 1.5 - 1 - 1)
    assert energy_distance(first, first).item() == 0


def test_good_samples_and_modes_by_hand() -> None:
    """Centres 0 and 10, σ = 1: of ten samples nine are near 0, none or one near 10, one far off.

    A fifth of the fair share of five is one sample.
    """
    centres, deviation = torch.tensor([[[0.0, 0], [10, 0]]]), torch.ones(1, 1)
    near = torch.tensor([[3.9, 0.0]]).expand(9, 2)
    for last, good, modes in (([10.0, 3.9], 1.0, 1.0), ([10.0, 4.1], 0.9, 0.5)):
        samples = torch.cat((near, torch.tensor([last])))[None]
        assert good_share(samples, centres, deviation).item() == pytest.approx(good)
        assert modes_covered(samples, centres, deviation).item() == modes
