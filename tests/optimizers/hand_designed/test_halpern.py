"""Halpern's iteration on the resolvent J = (I + αG)⁻¹: its energy, its rate and its steps."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from l2o.optimizers.hand_designed import Halpern
from l2o.problems import Instances
from tests.optimizers.hand_designed.games import smooth_game
from tests.optimizers.hand_designed.helpers import distance, jacobian, monotone_batches, path, run

ITERATIONS = 200


def half_residual(instances: Instances, z: Tensor, alpha: Tensor) -> Tensor:
    """F(z) = ½(z − J z) by a dense solve, (T, B, d)."""
    matrix = alpha.unsqueeze(2) * jacobian(instances)
    matrix = torch.eye(matrix.shape[1]).double() + matrix
    return (z - torch.linalg.solve(matrix, z.unsqueeze(-1)).squeeze(-1)) / 2


@pytest.fixture(scope="module")
def runs() -> list[tuple[Tensor, Tensor, Tensor]]:
    """For α = .03, 1 and 30: all u_k and F_k, k = 1, 2, …, and ‖u₁ − u*‖."""
    return list(_runs())


def _runs() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    for instances, start in monotone_batches():
        alpha = torch.tensor([0.03, 1.0, 30.0]).double().repeat_interleave(len(start)).unsqueeze(1)
        copies, start = instances.repeat(3), start.repeat(3, 1)
        u = run(Halpern(alpha), copies, start, ITERATIONS)
        yield u, half_residual(copies, u, alpha), distance(copies, start).T


def test_energy_is_never_positive(runs: list[tuple[Tensor, Tensor, Tensor]]) -> None:
    """‖F_k‖² ≤ ⟨F_k, u₁ − u_k⟩/(k − 1) for k ≥ 2.

    F is firmly nonexpansive, ‖ΔF‖² ≤ ⟨ΔF, Δu⟩; with the update in its two forms the left minus
    the right shrinks by (k − 1)/(k + 1) a step, from equality u₁ − u₂ = F₁ at k = 2.
    """
    k = torch.arange(2, ITERATIONS + 2).unsqueeze(1)
    for u, f, _ in runs:
        energy = f[1:].square().sum(2) - (f[1:] * (u[0] - u[1:])).sum(2) / (k - 1)
        assert (energy <= 1e-13 * u[0].square().sum(1)).all()


def test_bound_on_monotone_games(runs: list[tuple[Tensor, Tensor, Tensor]]) -> None:
    """‖u_k − J u_k‖ ≤ 2‖u₁ − u*‖/(k + 1), u₁ the start: the k-th iterate is row k − 1.

    The energy gives (k − 1)‖F_k‖² ≤ ⟨F_k, u₁ − u_k⟩, and J, firmly nonexpansive, gives
    2‖F_k‖² ≤ ⟨F_k, u_k − u*⟩. Their sum is (k + 1)‖F_k‖² ≤ ⟨F_k, u₁ − u*⟩.
    """
    k = torch.arange(1, ITERATIONS + 2).unsqueeze(1)
    ratios = torch.cat([(f.norm(dim=2) * (k + 1) / away).amax(0) for _, f, away in runs])
    # The QuadraticGame's P and Q are symmetric to single precision only.
    assert ratios.amax() <= 1 + 1e-6
    assert ratios.amax() > 0.95, "the bound is nearly attained"


def test_first_step_is_half_way_to_the_resolvent(
    runs: list[tuple[Tensor, Tensor, Tensor]],
) -> None:
    """u₂ = ½(u₁ + J u₁) = u₁ − F₁."""
    for u, f, _ in runs:
        torch.testing.assert_close(u[1], u[0] - f[0])


def test_steps_by_hand() -> None:
    """u_{k+1} = u₁/(k + 1) + k/(k + 1)·J u_k; J u is the v with v + αG(v) = u."""
    game, start = smooth_game()
    u = start
    for k, after in enumerate(path(Halpern(0.2), game, start, 3), 1):
        image = ((k + 1) * after - start) / k
        torch.testing.assert_close(image + 0.2 * game.field(image), u)
        u = after
