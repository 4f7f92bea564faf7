"""OGDA: its spectrum on f = xy, its first step, and past-extragradient."""

import math

import pytest
import torch

from l2o.optimizers.hand_designed import OGDA
from tests.optimizers.hand_designed.games import bilinear, smooth_game
from tests.optimizers.hand_designed.helpers import path, rate, run


@pytest.mark.parametrize("eta", [0.01, 0.1, 0.25, 0.4, 0.5])
def test_rate_on_xy(eta: float) -> None:
    """Eigenvalues: λ² − (1 − 2ηi)λ − ηi = 0, so that ρ² = (1 + √(1 − 4η²))/2 for η ≤ ½."""
    expected = math.sqrt((1 + math.sqrt(1 - 4 * eta**2)) / 2)
    # At η = ½ the eigenvalue is double and defective: rounding enters by its square root.
    assert rate(OGDA(eta), bilinear()) == pytest.approx(expected, abs=1e-12 if eta < 0.5 else 1e-7)


@pytest.mark.parametrize(("eta", "expected"), [(0.1, 0.994936), (0.25, 0.965926)])
def test_rate_in_numbers(eta: float, expected: float) -> None:
    assert rate(OGDA(eta), bilinear()) == pytest.approx(expected, abs=5e-7)


def test_best_step_on_xy_is_a_half() -> None:
    assert rate(OGDA(0.5), bilinear()) == pytest.approx(math.sqrt(0.5), abs=1e-7)
    assert all(rate(OGDA(eta), bilinear()) > math.sqrt(0.5) + 1e-3 for eta in (0.49, 0.51))


def test_stable_up_to_one_over_root_three() -> None:
    """An eigenvalue reaches the unit circle where η = 1/√3."""
    limit = 1 / math.sqrt(3)
    assert rate(OGDA(limit * 0.999), bilinear()) < 1 < rate(OGDA(limit * 1.001), bilinear())
    start = torch.tensor([[0.3, -0.7]]).double()
    below, above = (run(OGDA(s * limit), bilinear(), start, 2000)[-1].norm() for s in (0.99, 1.01))
    assert below < 1e-6
    assert above > 1e6


def test_two_steps_by_hand() -> None:
    """The first is η G, not 2η G: there is no past yet."""
    game, z = smooth_game()
    first = z - 0.1 * game.field(z)
    second = first - 0.2 * game.field(first) + 0.1 * game.field(z)
    torch.testing.assert_close(path(OGDA(0.1), game, z, 2), [first, second])


def test_is_the_half_points_of_past_extragradient() -> None:
    """h_k = w_k − ηG(h_{k−1}), w_{k+1} = w_k − ηG(h_k) give h_{k+1} = h_k − 2ηG(h_k) + ηG(h_{k−1}).

    With G(h_{−1}) = G(h₀) the start is w₀ = h₀ + ηG(h₀).
    """
    game, half = smooth_game()
    expected, w = [], half + 0.1 * game.field(half)
    for _ in range(10):
        w = w - 0.1 * game.field(half)
        half = w - 0.1 * game.field(half)
        expected.append(half)
    torch.testing.assert_close(path(OGDA(0.1), game, smooth_game()[1], 10), expected)
