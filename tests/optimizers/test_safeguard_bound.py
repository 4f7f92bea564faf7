"""The safeguard's bound on 200 monotone games, whatever is proposed, even by an adversary.

Axes: B instances, d joint coordinates, S directions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from l2o.io.seeds import generator
from l2o.optimizers import HalpernSafeguard, Optimizer, safeguard
from l2o.problems import Instances, Problem
from l2o.problems.base import Theta, product
from tests.optimizers.hand_designed.helpers import jacobian, monotone_batches, run
from tests.optimizers.proposals import NOTHING, Proposes

ITERATIONS = 200


class Solved(Problem):
    """Linear games given by their resolvents J: a product instead of Newton's method."""

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        raise AssertionError("not needed")

    def resolvent(
        self, x: Tensor, y: Tensor, step: float | Tensor, theta: Theta
    ) -> tuple[Tensor, Tensor]:
        z = product(theta["J"], torch.cat((x, y), dim=1))
        return z[:, : self.m], z[:, self.m :]


class Games(NamedTuple):
    """Games of one size, each with an α of its own."""

    instances: Instances
    start: Tensor
    """u₁, (B, d)"""
    half: Tensor
    """½(I − J), the matrix of F, (B, d, d)"""
    inverse: Tensor
    """Its pseudo-inverse."""
    away: Tensor
    """u₁ − u*, u* the nearest solution, (B, d)"""


@pytest.fixture(scope="module")
def games() -> Iterator[list[Games]]:
    """201 games; their products are so small that a second thread costs more than it helps."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield [_games(*batch) for batch in monotone_batches(41)]
    torch.set_num_threads(threads)


def _games(instances: Instances, start: Tensor) -> Games:
    """The games with α from 0.03 to 32, evenly spread in its logarithm."""
    exponents = torch.rand(len(start), 1, 1, generator=generator(0, "step sizes")).double()
    alpha = 0.03 * (32 / 0.03) ** exponents
    eye = torch.eye(start.shape[1]).double()
    resolvent = torch.linalg.inv(eye + alpha * jacobian(instances))
    half = (eye - resolvent) / 2
    inverse = torch.linalg.pinv(half, rtol=1e-9)
    problem = Solved(instances.problem.m, instances.problem.n)
    solved = Instances(problem, {"J": resolvent}, len(start))
    return Games(solved, start, half, inverse, product(inverse @ half, start))


def bound(k: Tensor, d1: Tensor, slack: float) -> Tensor:
    """‖F_k‖ ≤ ½[d₁/(k + 1) + √(d₁²/(k + 1)² + 4C(k − 1)/(k(k + 1)))].

    Accepted or not, E_k(u_k) ≤ C/k, that is (k − 1)‖F_k‖² ≤ ⟨F_k, u₁ − u_k⟩ + C(k − 1)/k, and
    2F is firmly nonexpansive, 2‖F_k‖² ≤ ⟨F_k, u_k − u*⟩; solve their sum for ‖F_k‖.
    """
    first = d1 / (k + 1)
    return (first + (first**2 + 4 * slack * (k - 1) / (k * (k + 1))).sqrt()) / 2


def largest_ratio(
    games: list[Games], proposer: Callable[[Games], Optimizer[Any]], slack: float
) -> float:
    """The largest ‖F_k‖ in units of its bound, over all games and k ≥ 2."""
    k = torch.arange(2, ITERATIONS + 2, dtype=torch.double).unsqueeze(1)
    largest = 0.0
    for batch in games:
        guarded = HalpernSafeguard(proposer(batch), slack=slack)
        u = run(guarded, batch.instances, batch.start, ITERATIONS)
        assert u.isfinite().all()
        residual = product(batch.half, u[1:]).norm(dim=2)
        ratio = residual / bound(k, batch.away.norm(dim=1), slack)
        largest = max(largest, ratio.max().item())
    return largest


def garbage(games: Games) -> Optimizer[Any]:
    """Gaussian steps of all sizes from 1e-3 to 1e3."""
    source = generator(0, "garbage")

    def rule(u: Tensor, k: Tensor) -> Tensor:
        sizes = 10 ** (6 * torch.rand(len(u), 1, generator=source).double() - 3)
        return u + sizes * torch.randn(u.shape, generator=source).double()

    return Proposes(rule)


def broken(games: Games) -> Optimizer[Any]:
    """Every third coordinate is NaN, infinite or 1e300, the others are near the iterate."""
    source = generator(0, "broken")
    values = torch.tensor([torch.nan, torch.inf, -torch.inf, 1e300]).double()

    def rule(u: Tensor, k: Tensor) -> Tensor:
        bad = values[torch.randint(4, u.shape, generator=source)]
        return torch.where(torch.rand(u.shape, generator=source) < 1 / 3, bad, 0.9 * u)

    return Proposes(rule)


def adversary(slack: float, every: int = 1, index: int = 0) -> Callable[[Games], Optimizer[Any]]:
    """Proposes the accepted point with the largest residual, every so many iterations.

    On each of S rays z = u* + r·v the largest r with E_{k+1}(z) ≤ C/(k + 1) is the larger root
    of r²(‖F‖² + c⟨F, v⟩) − r·c⟨F, u₁ − u*⟩ = C/(k + 1), where F = F(u* + v) and c = 1/(k + index).
    On the first ray F is parallel to u₁ − u*, for which nothing is lost to Cauchy and Schwarz.
    """

    def proposer(games: Games) -> Optimizer[Any]:
        source = generator(0, "adversary")

        def rule(u: Tensor, k: Tensor) -> Tensor:
            rays = torch.randn(32, *u.shape, generator=source).double()
            rays[0] = product(games.inverse, games.away)
            f, c = product(games.half, rays), 1 / (k + index)
            square = ((f + c * rays) * f).sum(2, keepdim=True)
            slope = c * (f * games.away).sum(2, keepdim=True)
            root = slope + (slope**2 + 4 * square * slack / (k + 1)).sqrt()
            r = torch.where(square > 1e-12, root / (2 * square), 0) * (1 - 1e-9)
            worst = (r * f).norm(dim=2).argmax(0)
            z = games.start - games.away + (r * rays)[worst, torch.arange(len(u))]
            return torch.where(k % every == 0, z, torch.nan)

        return Proposes(rule)

    return proposer


CASES = {
    "nothing": (lambda games: NOTHING, 0.0, 0.95),
    "nothing, with slack": (lambda games: NOTHING, 1.0, 0.0),
    "garbage": (garbage, 0.0, 0.9),
    "garbage, with slack": (garbage, 1.0, 0.0),
    "broken": (broken, 0.0, 0.9),
    "broken, with slack": (broken, 1.0, 0.0),
    "adversary": (adversary(0.0), 0.0, 0.9999),
    "adversary, little slack": (adversary(1e-3), 1e-3, 0.9999),
    "adversary, much slack": (adversary(1e2), 1e2, 0.9999),
    "adversary, now and then": (adversary(1.0, every=3), 1.0, 0.9999),
}
"""Who proposes, C, and how closely the bound is attained at least."""


@pytest.mark.parametrize("name", CASES)
def test_bound_holds_whatever_is_proposed(games: list[Games], name: str) -> None:
    proposer, slack, attained = CASES[name]
    ratio = largest_ratio(games, proposer, slack)
    assert attained <= ratio <= 1 + 1e-9


def test_the_index_as_printed_breaks_the_bound(
    games: list[Games], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 1/(k + 1) in the energy of z_{k+1} the adversary exceeds the bound."""

    def printed(half_residual: Tensor, way_back: Tensor, k: Tensor) -> Tensor:
        return (half_residual * (half_residual - way_back / (k + 1))).sum(1, keepdim=True)

    monkeypatch.setattr(safeguard, "energy", printed)
    assert largest_ratio(games, adversary(1e2, index=1), 1e2) > 1.05
