"""Evolution strategies: the estimator against gradients that are known, and its shapings."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from l2o import UserError
from l2o.training.curriculum import Curriculum
from l2o.training.estimators import (
    EvolutionStrategies,
    ThroughUnroll,
    antithetic,
    ranks,
    standardized,
)
from l2o.training.rewards import ObjectiveReward, Quality
from l2o.training.run import TrainingRun
from tests.training.test_configs import composed


def quadratic(theta: Tensor) -> Tensor:
    """½θᵀHθ + bᵀθ, (P,), for θ of (P, 4)."""
    return 0.5 * (theta @ HESSIAN * theta).sum(1) + theta @ SLOPE


HESSIAN = torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0])).double()
SLOPE = torch.tensor([1.0, -2.0, 0.5, 0.0]).double()
THETA = torch.tensor([0.3, -0.1, 0.2, 0.7]).double()


def perturbed(count: int, deviation: float) -> tuple[Tensor, Tensor]:
    """Losses, (2, K), and perturbations, (K, 4)."""
    source = torch.Generator().manual_seed(3)
    noise = torch.randn(count, 4, generator=source, dtype=torch.double)
    return torch.stack([quadratic(THETA + s * deviation * noise) for s in (1, -1)]), noise


def test_even_terms_cancel() -> None:
    """Of a quadratic each pair tells ⟨∇L, ε⟩ε, whatever the deviation."""
    slope = HESSIAN @ THETA + SLOPE
    for deviation in (0.01, 1.0):
        losses, noise = perturbed(50, deviation)
        expected = ((noise @ slope).unsqueeze(1) * noise).mean(0)
        torch.testing.assert_close(antithetic(losses, noise, deviation), expected)


def test_the_mean_is_the_gradient() -> None:
    """With variance (‖g‖² + g_i²)/K in coordinate i, as of ⟨g, ε⟩ε."""
    slope, count = HESSIAN @ THETA + SLOPE, 200_000
    losses, noise = perturbed(count, 0.1)
    found = antithetic(losses, noise, 0.1)
    deviation = ((slope.square().sum() + slope.square()) / count).sqrt()
    assert ((found - slope).abs() < 4 * deviation).all()
    each = (losses[0] - losses[1]).unsqueeze(1) / 0.2 * noise
    torch.testing.assert_close(
        each.var(0), slope.square().sum() + slope.square(), rtol=0.02, atol=0
    )


def test_ranks() -> None:
    """Failed members are the worst; equal ones share a rank."""
    losses = torch.tensor([3.0, torch.nan, -1.0, 3.0, torch.inf])
    assert ranks(losses).tolist() == [-0.125, 0.375, -0.5, -0.125, 0.375]
    assert ranks(torch.tensor([5.0])).tolist() == [-0.5]


def test_standardized() -> None:
    shaped = standardized(torch.tensor([1.0, 3.0, torch.inf, torch.nan]).double())
    torch.testing.assert_close(shaped, torch.tensor([-3.0, 1.0, 1.0, 1.0]).double() / 3**0.5)
    assert standardized(torch.full((3,), torch.inf)).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pairs": 0}, "pairs: expected a whole number of at least 1, got 0"),
        ({"deviation": 0}, "deviation: expected a number above 0"),
        ({"shaping": "none"}, "shaping: expected one of ranks, standardized, got 'none'"),
        ({"tail": 2}, "tail: "),
    ],
)
def test_bad_settings(settings: dict[str, object], words: str) -> None:
    given = {"pairs": 2, "deviation": 0.1, "shaping": "ranks", "whole": True, "tail": 0.4}
    with pytest.raises(UserError, match=words):
        EvolutionStrategies(**(given | settings))  # type: ignore[arg-type]


def test_memory_counts_every_member(tmp_path: Path) -> None:
    """What a generation holds is told by the number of pairs, before it begins."""
    with pytest.raises(UserError, match=r"estimator\.pairs=1000000000, .*not enough memory"):
        TrainingRun.from_config(composed(tmp_path, "estimator=es", "estimator.pairs=1000000000"))


def test_what_does_not_go_together() -> None:
    strategies = EvolutionStrategies(2, 0.1, "ranks", True, 0.4)
    with pytest.raises(UserError, match=r"reward: expected one that can be .* estimator=es"):
        ThroughUnroll().check(Quality(), Curriculum())
    with pytest.raises(UserError, match=r"curriculum\.start: expected 1 with .* got 0\.5; use"):
        strategies.check(Quality(), Curriculum(start=0.5))
    strategies.check(ObjectiveReward(), Curriculum())
