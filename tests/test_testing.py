"""`l2o.testing` accepts all that the package has, and tells what is wrong with what is not."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor

import l2o
from l2o import UserError
from l2o.games import Iterate
from l2o.optimizers import (
    OGDA,
    Anderson,
    HalpernSafeguard,
    Optimizer,
    StructuredTwin,
    TwinL2O,
)
from l2o.optimizers.hand_designed import GDA
from l2o.problems import Noisy, Problem, Saddle, Theta
from l2o.testing import check_optimizer, check_problem
from tests.broken_optimizers import BROKEN, Good
from tests.helpers import PROBLEMS
from tests.optimizers.hand_designed.methods import METHODS

LEARNED: dict[str, Optimizer[Any]] = {
    "twin": TwinL2O(hidden_size=4),
    "released": TwinL2O(hidden_size=4, state_std=0.01, state_rescale=1e-4, warmup_iterations=2),
    "shared": TwinL2O(hidden_size=4, share_weights=True, log_inputs=True),
    "own": TwinL2O(hidden_size=4, inputs="own"),
    "structured": StructuredTwin(hidden_size=4),
    "structured, coupling": StructuredTwin(hidden_size=4, directions=["coupling"], memory=0),
    "shipped": l2o.load("structured_twin/universal"),
    "guarded": HalpernSafeguard(OGDA(0.1), step_size=0.3),
    "accelerated": Anderson(StructuredTwin(hidden_size=4), memory=2),
}


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_every_problem_is_accepted(problem: Problem) -> None:
    check_problem(problem)
    check_problem(Noisy(problem, 0.3))


@pytest.mark.parametrize("name", [*METHODS, *LEARNED])
def test_every_optimizer_is_accepted(name: str) -> None:
    check_optimizer((METHODS | LEARNED)[name])


def test_what_depends_on_the_order_of_coordinates_may_say_so() -> None:
    twin = TwinL2O(hidden_size=4, share_hidden=True)
    check_optimizer(twin, interchangeable=False)
    with pytest.raises(UserError, match="permutation of the coordinates of x"):
        check_optimizer(twin)


def test_it_leaves_weights_and_default_types_as_they_are() -> None:
    twin = TwinL2O(hidden_size=4)
    before = {name: value.clone() for name, value in twin.state_dict().items()}
    state = torch.get_rng_state()
    check_optimizer(twin)
    check_problem(Saddle())
    assert twin.dtype == torch.get_default_dtype() == torch.float32
    assert all(torch.equal(value, before[name]) for name, value in twin.state_dict().items())
    assert all(weight.grad is None for weight in twin.parameters())
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_optimizer_is_told_what_is_wrong(name: str) -> None:
    check_optimizer(Good())
    cls, words = BROKEN[name]
    with pytest.raises(UserError) as raised:
        check_optimizer(cls())
    message = str(raised.value)
    assert re.search(words, message), message
    assert message.startswith(name)
    assert "\n" not in message


class Defaults(Saddle):
    """Starts that depend on the default float type."""

    def sample_start(self, count: int, generator: torch.Generator, **options: Any) -> Iterate:
        x, y = (torch.rand(count, k, generator=generator) for k in (self.m, self.n))
        options = {"dtype": torch.float32, **options}
        return Iterate(x.to(**options), y.to(**options))


class Constants(Problem):
    """A constant whose float type is the default one."""

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (x * y * torch.tensor([2.0])).sum(-1)


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (Defaults(), "Defaults: expected the same .* whatever the default float type is"),
        (
            Constants(),
            "Constants.objective: expected values of x's float type float32, got float64",
        ),
        (Saddle, "check_problem: expected a problem, got the class Saddle"),
        (GDA(), "check_problem: expected a problem, got GDA"),
    ],
)
def test_a_broken_problem_is_told_what_is_wrong(problem: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        check_problem(problem)


def test_an_optimizer_must_be_one() -> None:
    with pytest.raises(UserError, match="expected an optimizer, not its class, got the class GDA"):
        check_optimizer(GDA)
    with pytest.raises(UserError, match="got a Saddle"):
        check_optimizer(Saddle())
