"""`Problem.check` finds what would spoil long work, and lets all else pass."""

from __future__ import annotations

import re

import pytest
import torch

from l2o import UserError, unroll
from l2o.evaluation.measure import EvaluationSettings, measure, sample_set
from l2o.games import join
from l2o.io.seeds import generator
from l2o.optimizers import CGD, GDA, StructuredTwin
from l2o.problems import MatrixGame, Noisy, QuadraticGame
from tests.helpers import PROBLEMS
from tests.problems.broken import BROKEN, Good
from tests.problems.sound import SOUND


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_told_in_one_line(name: str) -> None:
    cls, settings, words = BROKEN[name]
    with pytest.raises(UserError) as raised:
        cls(**settings).check()
    message = str(raised.value)
    assert re.search(words, message), message
    assert message.startswith(name)
    assert "\n" not in message


@pytest.mark.parametrize("name", SOUND)
def test_what_is_unusual_passes(name: str) -> None:
    cls, settings = SOUND[name]
    cls(**settings).check()


def test_what_the_package_has_passes() -> None:
    Good(m=2, n=3).check()
    for problem in [*PROBLEMS.values(), MatrixGame(m=50, n=50), QuadraticGame(dimension=50)]:
        problem.check()
        Noisy(problem, 0.3).check()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_whatever_the_mode_of_the_caller(mode: type) -> None:
    with mode():
        PROBLEMS["matrix_game"].check()
        with pytest.raises(UserError, match="differentiated twice"):
            BROKEN["Silent"][0]().check()


def test_checking_draws_nothing() -> None:
    before = torch.get_rng_state()
    PROBLEMS["quadratic_game"].check()
    assert torch.equal(before, torch.get_rng_state())


def test_products_of_what_is_differentiable_once_are_refused_when_they_are_used() -> None:
    """PyTorch has an error for them, which it passes by where inputs are named."""
    instances = BROKEN["Once"][0]().sample(2, generator(0))
    start = instances.problem.sample_start(2, generator(0, "start"))
    assert unroll(GDA(), instances, start, 3).x.isfinite().all()
    expected = "products: expected costs that can be differentiated twice"
    with pytest.raises(UserError, match=expected):
        unroll(CGD(), instances, start, 3)
    # Of both players together: that y's part has a derivative hides that x's has none.
    z = join(start)
    for product in (instances.jvp, instances.vjp):
        with pytest.raises(UserError, match=expected):
            product(z, z)


@pytest.mark.parametrize("name", ["Logarithm", "Nowhere"])
def test_what_is_undefined_has_failed(name: str) -> None:
    cls, settings = SOUND[name]
    problem = cls(**settings)
    problem.check()
    test = sample_set(problem, EvaluationSettings(5, 2, 20), 0, "test")
    metrics = measure(StructuredTwin(), *test, 20).summary()
    assert metrics["diverged"] == 1
    assert metrics["gradient_norm_median"] == float("inf")


def test_trajectories_that_are_undefined_at_first_alone_have_failed() -> None:
    cls, settings = SOUND["Sometimes"]
    test = sample_set(cls(**settings), EvaluationSettings(20, 1, 10), 0, "test")
    outside = test[1].x.squeeze(1) < 0
    measured = measure(GDA(0.01), *test, 10)
    assert 0 < outside.sum() < 20
    assert measured.diverged[outside].all()
