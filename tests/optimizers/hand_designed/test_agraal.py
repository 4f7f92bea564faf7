"""aGRAAL: its rule by hand, its units, and its convergence with nothing tuned."""

import pytest
import torch

from l2o.optimizers.hand_designed import AGRAAL
from l2o.problems import Seesaw
from tests.helpers import double_batch
from tests.optimizers.hand_designed.games import bilinear, scaled_seesaw, smooth_game
from tests.optimizers.hand_designed.helpers import (
    distance,
    field,
    lipschitz,
    monotone_batches,
    path,
    run,
    split,
)


@pytest.mark.parametrize("phi", [1.2, 1.5])
def test_steps_by_hand(phi: float) -> None:
    """z̄_k = ((φ − 1)z_k + z̄_{k−1})/φ, z_{k+1} = z̄_k − λ_k G_k, θ_k = φλ_k/λ_{k−1},
    λ_k = min{(1/φ + 1/φ²)λ_{k−1}, φθ_{k−1}/(4λ_{k−1})·‖Δz‖²/‖ΔG‖²}.

    At first z̄ = z₀, θ = 1, z_{−1} lies 0.01 ahead along G, and λ is the inverse slope there.
    """
    game, z = smooth_game()
    average, past = z, z + 0.01 * game.field(z) / game.field(z).norm()
    theta, expected, binding = 1.0, [], set()
    last = (past - z).norm() / (game.field(past) - game.field(z)).norm()
    for _ in range(6):
        squared = (z - past).square().sum() / (game.field(z) - game.field(past)).square().sum()
        limits = ((1 / phi + 1 / phi**2) * last, phi * theta / (4 * last) * squared)
        step = min(limits)
        binding.add(limits.index(step))
        average = ((phi - 1) * z + average) / phi
        past, z = z, average - step * game.field(z)
        theta, last = phi * step / last, step
        expected.append(z)
    assert binding == {0, 1}, "both limits were met"
    torch.testing.assert_close(path(AGRAAL(phi), game, smooth_game()[1], 6), expected)


def test_state_at_the_start() -> None:
    """On f = xy the local Lipschitz constant is 1 everywhere, so λ₀ = 1."""
    z = torch.tensor([[0.6, 0.8]]).double()
    state = AGRAAL().init(bilinear(), split(bilinear(), z))
    assert state.step_size.item() == pytest.approx(1, rel=1e-12)
    # G(z) = (y, −x) = (.8, −.6), of length 1.
    torch.testing.assert_close(state.point, z + torch.tensor([[0.008, -0.006]]).double())
    torch.testing.assert_close(state.average, z)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_a_factor_on_f_divides_the_step_size_and_changes_nothing_else(factor: float) -> None:
    (plain, start), (scaled, _) = scaled_seesaw(1.0), scaled_seesaw(factor)
    expected, found = (run(AGRAAL(), f, start, 60) for f in (plain, scaled))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)
    steps = [AGRAAL().init(f, split(f, start)).step_size for f in (plain, scaled)]
    torch.testing.assert_close(factor * steps[1], steps[0])


@pytest.mark.parametrize("phi", [1.2, 1.5])
def test_converges_on_xy(phi: float) -> None:
    z = run(AGRAAL(phi), bilinear(), torch.tensor([[0.3, -0.7]]).double(), 1000)
    assert z[-1].norm() < 1e-6


@pytest.mark.parametrize("phi", [1.2, 1.5])
def test_converges_on_monotone_games(phi: float) -> None:
    """‖G‖/(L d) falls like 1/√k at worst, to about 0.03 after 1000 iterations."""
    for instances, start in monotone_batches():
        after = field(instances, run(AGRAAL(phi), instances, start, 1000)[-1])
        scale = lipschitz(instances) * distance(instances, start)
        assert (after.norm(dim=1, keepdim=True) <= 0.04 * scale).all()


@pytest.mark.parametrize(
    "ranges", [{"a": [0.9, 1.0], "b": [0.9, 1.0]}, {"a": [0.0, 5.0], "b": [0.0, 2.0]}]
)
def test_one_setting_solves_the_seesaw_of_all_ranges(ranges: dict) -> None:
    """A distance below 2e-2 within 1000 iterations, in at least 99 % of 300 instances."""
    instances, start = double_batch(Seesaw(**ranges), 300)
    z = run(AGRAAL(), instances, torch.cat(start, dim=1), 1000)
    away = instances.distance(z[..., :1], z[..., 1:]).joint
    assert (away[-1] < 2e-2).double().mean() >= 0.99
