"""Exact rates against closed forms, and against what an unroll does."""

import math

import pytest
import torch

from l2o import UserError
from l2o.evaluation.spectral import best_rates, spectral_radii, update_matrices
from l2o.io.seeds import generator
from l2o.optimizers.hand_designed import (
    AGRAAL,
    CGD,
    EAGC,
    GDA,
    LEAD,
    OGDA,
    SGA,
    AlternatingGDA,
    AlternatingLEAD,
    Consensus,
    Extragradient,
    FollowTheRidge,
    HandDesigned,
    NegativeMomentum,
)
from l2o.problems import Instances, QuadraticGame
from l2o.unroll import unroll

LINEAR: list[HandDesigned] = [
    GDA(),
    AlternatingGDA(),
    NegativeMomentum(),
    OGDA(),
    Extragradient(),
    LEAD(coupling=0.2, momentum=0.3),
    AlternatingLEAD(coupling=0.2, momentum=0.3),
    SGA(),
    Consensus(),
    CGD(),
    FollowTheRidge(),
]


def games(c: float, count: int = 3, dimension: int = 3) -> Instances:
    """Quadratic games of one mixture, in double precision."""
    problem = QuadraticGame(c=[c, c], dimension=dimension)
    return problem.sample(count, generator(0, "games")).to(torch.double)


def test_gda_has_the_eigenvalues_of_one_minus_eta_m() -> None:
    """Simultaneous descent-ascent is z ↦ (I − ηM)z, M the Jacobian of G."""
    instances = games(0.4)
    c, theta = 0.4, instances.theta
    upper = torch.cat(((1 - c) * theta["P"], c * theta["A"]), dim=2)
    lower = torch.cat((-c * theta["A"].mT, (1 - c) * theta["Q"]), dim=2)
    expected = torch.eye(6).double() - 0.1 * torch.cat((upper, lower), dim=1)
    torch.testing.assert_close(update_matrices(GDA(0.1), instances), expected)


def test_lead_has_no_term_beyond_its_formula() -> None:
    """By hand for f = c·axy + (1−c)(px² − qy²)/2; the state is the last move Δ.

    Δx⁺ = βΔx − η(p̄x + āy) − αāΔy, Δy⁺ = βΔy + η(āx − q̄y) + αāΔx, z⁺ = z + Δ⁺.
    """
    instances = games(0.3, dimension=1)
    eta, alpha, beta = 0.1, 0.25, 0.4
    found = update_matrices(LEAD(eta, alpha, beta), instances)
    for b in range(3):
        a, p, q = (instances.theta[name][b].item() for name in ("A", "P", "Q"))
        a, p, q = 0.3 * a, 0.7 * p, 0.7 * q
        move = torch.tensor(
            [
                [-eta * p, -eta * a, beta, -alpha * a],
                [eta * a, -eta * q, alpha * a, beta],
            ]
        ).double()
        expected = torch.cat((move + torch.eye(2, 4).double(), move))
        torch.testing.assert_close(found[b], expected)


@pytest.mark.parametrize("method", LINEAR, ids=lambda m: type(m).__name__)
def test_the_matrix_is_what_an_unroll_does(method: HandDesigned) -> None:
    instances = games(0.5)
    matrices = update_matrices(method, instances)
    problem = instances.problem
    start = problem.sample_start(3, generator(1))
    start = type(start)(*(point.double() for point in start))
    first = unroll(method, instances, start, 2)
    # The first step makes a state from the start; from there on, it is the matrix.
    once = unroll(method, instances, start, 1)
    parts: list[torch.Tensor] = [*once.last]
    for leaf in once.state:
        parts.append(leaf)
    moved = (matrices @ torch.cat(parts, dim=1).unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(moved[:, :3], first.last.x)
    torch.testing.assert_close(moved[:, 3:6], first.last.y)


def test_an_unroll_shrinks_at_the_spectral_radius() -> None:
    instances = games(0.5)
    start = instances.problem.sample_start(3, generator(1))
    start = type(start)(*(point.double() for point in start))
    trajectory = unroll(OGDA(0.15), instances, start, 400)
    size = torch.cat((trajectory.x, trajectory.y), dim=2).norm(dim=2)
    rate = (size[400] / size[200]) ** (1 / 200)
    radius = spectral_radii(update_matrices(OGDA(0.15), instances))
    torch.testing.assert_close(rate, radius, rtol=5e-3, atol=0)


def test_best_rates_of_the_two_ends() -> None:
    """κ = 16. Cooperative: (κ − 1)/(κ + 1) for descent, (√κ − 1)/(√κ + 1) with momentum.

    Adversarial: descent-ascent never converges; OGDA's slowest pair of singular values is
    σ = ¼ at η = ½/4 at most: ρ² = (1 + √(1 − 4(ησ)²))/2, the largest root of its polynomial.
    """
    cooperative, adversarial = games(0.0), games(1.0)
    plain = best_rates(GDA(), cooperative).rate
    torch.testing.assert_close(plain, torch.full_like(plain, 15 / 17), rtol=0, atol=0.01)
    heavy = best_rates(LEAD(), cooperative).rate
    torch.testing.assert_close(heavy, torch.full_like(heavy, 3 / 5), rtol=0, atol=0.03)
    assert (best_rates(GDA(), adversarial).rate > 1).all()
    eta = torch.linspace(0.05, 0.14, 200).double()
    worst = [
        (1 + torch.sqrt(torch.complex(1 - 4 * (eta * s) ** 2, 0 * eta))) / 2 for s in (0.25, 1, 4)
    ]
    expected = torch.stack([w.sqrt().abs() for w in worst]).amax(0).min()
    found = best_rates(OGDA(), adversarial).rate
    torch.testing.assert_close(found, expected.expand(3), rtol=0, atol=2e-3)


def test_the_point_that_is_told_reaches_the_rate() -> None:
    instances = games(0.6, count=2)
    best = best_rates(AlternatingLEAD(), instances)
    for b, point in enumerate(best.points):
        one = instances.select(slice(b, b + 1))
        radius = spectral_radii(update_matrices(AlternatingLEAD(**point), one))
        assert radius.item() == pytest.approx(best.rate[b].item())


def test_no_point_of_the_grid_is_better() -> None:
    instances = games(0.6, count=2)
    best = best_rates(SGA(), instances)
    for step in SGA.grids["step_size"].values():
        for adjustment in SGA.grids["adjustment"].values():
            radius = spectral_radii(update_matrices(SGA(step, adjustment), instances))
            assert (radius >= best.rate - 1e-12).all()


@pytest.mark.parametrize("method", [AGRAAL(), EAGC()], ids=lambda m: type(m).__name__)
def test_methods_without_a_fixed_map_are_refused(method: HandDesigned) -> None:
    with pytest.raises(UserError, match="expected a method whose iteration is one linear map"):
        update_matrices(method, games(0.5))


def test_rate_of_ogda_on_a_single_singular_value() -> None:
    """f = ½·xy at η = ½: ησ = ¼ and ρ = √((1 + √(1 − ¼))/2) = .965926."""
    problem = QuadraticGame(c=[1, 1], spectrum=[0.5, 0.5], dimension=1)
    instances = problem.sample(1, generator(0)).to(torch.double)
    radius = spectral_radii(update_matrices(OGDA(0.5), instances))
    assert radius.item() == pytest.approx(math.sqrt((1 + math.sqrt(0.75)) / 2))
