"""GMRES: the least residual over Krylov spaces, and the solution within m + n iterations."""

import pytest
import torch

from l2o import UserError
from l2o.optimizers.hand_designed import GMRES
from l2o.problems import Seesaw
from tests.helpers import double_batch
from tests.optimizers.hand_designed.games import bilinear, scalar_quadratic
from tests.optimizers.hand_designed.helpers import (
    distance,
    field,
    jacobian,
    krylov_minimizers,
    monotone_batches,
    run,
)


def test_residual_is_the_least_over_the_krylov_space() -> None:
    """‖G(z_k)‖ = min ‖M z‖ over z₀ + span{G₀, M G₀, …, M^{k−1} G₀}, for every k."""
    for instances, z in monotone_batches():
        found = run(GMRES(), instances, z, z.shape[1])
        for k, expected in enumerate(krylov_minimizers(jacobian(instances), z), 1):
            least, residual = (field(instances, w).norm(dim=1) for w in (expected, found[k]))
            scale = field(instances, z).norm(dim=1)
            assert ((least - residual).abs() <= 1e-12 * scale).all()


def test_solves_linear_games_within_m_plus_n_iterations() -> None:
    """Singular ones too: of a monotone M the null space is that of Mᵀ, so G₀ is in its range."""
    singular = 0
    for instances, z in monotone_batches():
        after = run(GMRES(), instances, z, z.shape[1])[-1]
        assert (distance(instances, after) <= 1e-6 * distance(instances, z)).all()
        singular += int((torch.linalg.matrix_rank(jacobian(instances)) < z.shape[1]).sum())
    assert singular > 20


def test_residual_never_grows_and_ends_where_it_is() -> None:
    for instances, z in monotone_batches():
        d = z.shape[1]
        found = run(GMRES(), instances, z, d + 3)
        residual = field(instances, found).norm(dim=2)
        assert (residual[1:] <= residual[:-1] + 1e-12 * residual[0]).all()
        assert torch.equal(found[d + 3], found[d])


def test_first_step_by_hand() -> None:
    """z₁ = z₀ − ⟨M G₀, G₀⟩/‖M G₀‖²·G₀; on x²/2 + 2xy − y²/2 from (1, 1):

    G₀ = (3, −1), M G₀ = (1, −7), so that z₁ = (1, 1) − (10/50)(3, −1) = (0.4, 1.2).
    """
    z = run(GMRES(), scalar_quadratic(1.0, 2.0), torch.ones(1, 2).double(), 2)[:, 0]
    torch.testing.assert_close(z[1], torch.tensor([0.4, 1.2]).double())
    torch.testing.assert_close(z[2], torch.zeros(2).double(), rtol=0, atol=1e-14)


def test_one_gradient_is_of_no_use_on_xy_and_two_are_enough() -> None:
    """M G₀ = −z₀ is orthogonal to G₀, so z₁ = z₀; the second direction completes the plane."""
    z = run(GMRES(), bilinear(), torch.tensor([[0.3, -0.7]]).double(), 2)[:, 0]
    torch.testing.assert_close(z[1], z[0])
    torch.testing.assert_close(z[2], torch.zeros(2).double(), rtol=0, atol=1e-15)


def test_stays_at_a_solution() -> None:
    assert run(GMRES(), bilinear(), torch.zeros(1, 2).double(), 4).abs().amax() == 0


def test_is_refused_on_games_that_are_not_quadratic() -> None:
    instances, start = double_batch(Seesaw(), 2)
    with pytest.raises(UserError, match="expected a game whose field is affine"):
        GMRES().init(instances, start)
