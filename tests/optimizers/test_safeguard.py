"""The safeguard around optimizers: what it takes, what it replaces, and what it remembers."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from l2o import Instances, Iterate, UserError, unroll
from l2o.evaluation import measure
from l2o.optimizers import HalpernSafeguard, Optimizer, OracleCalls, map_state
from l2o.optimizers.base import tensors
from l2o.optimizers.hand_designed import AGRAAL, GDA, LEAD, OGDA, Halpern
from l2o.problems import MatrixGame, Problem, Seesaw
from tests.helpers import double_batch, gradients, small_twin
from tests.optimizers.hand_designed.games import Monotone, matrix_game
from tests.optimizers.hand_designed.helpers import run, split
from tests.optimizers.hand_designed.test_oracle_calls import Counted
from tests.optimizers.proposals import NOTHING, Proposes

GAMES = [MatrixGame(m=3, n=4, p=1.0), Monotone(2, 3)]
on_games = pytest.mark.parametrize("problem", GAMES, ids=lambda p: type(p).__name__)


def batch(problem: Problem, count: int = 6) -> tuple[Instances, Tensor]:
    instances, start = double_batch(problem, count)
    return instances, torch.cat(start, dim=1)


def counted() -> tuple[Instances, Tensor, Counted]:
    instances, u = batch(MatrixGame(m=3, n=4, p=1.0))
    problem = Counted(instances.problem)
    return Instances(problem, instances.theta, len(u)), u, problem


@on_games
@pytest.mark.parametrize("alpha", [0.1, 10.0])
def test_where_nothing_is_accepted_it_is_halpern(problem: Problem, alpha: float) -> None:
    instances, u = batch(problem)
    guarded = run(HalpernSafeguard(NOTHING, alpha), instances, u, 20)
    assert torch.equal(guarded, run(Halpern(alpha), instances, u, 20))


@on_games
@pytest.mark.parametrize(
    "wrapped",
    [OGDA(0.1), LEAD(0.1, 0.1, 0.2), AGRAAL(), small_twin(state_std=0.3, warmup_iterations=3)],
    ids=lambda wrapped: type(wrapped).__name__,
)
def test_where_all_is_accepted_it_is_the_wrapped_one(
    problem: Problem, wrapped: Optimizer[Any]
) -> None:
    """From u₂ = ½(u₁ + J u₁) on, as if started there."""
    instances, u = batch(problem)
    guarded = run(HalpernSafeguard(wrapped, 0.5, slack=1e12), instances, u, 20)
    torch.testing.assert_close(guarded[1], (u + instances.resolvent(u, 0.5)) / 2)
    assert torch.equal(guarded[1:], run(wrapped, instances, guarded[1], 19))


@pytest.mark.parametrize(("slack", "each"), [(1e12, 1), (0.0, 2)])
def test_resolvents_of_accepted_proposals_are_reused(slack: float, each: int) -> None:
    """One at u₁, one a proposal, one more after a rejection; the first iteration rejects."""
    instances, u, problem = counted()
    run(HalpernSafeguard(Proposes(lambda u, k: 1.5 * u), slack=slack), instances, u, 10)
    assert problem.calls == 1 + 2 + 9 * each


def test_declared_oracle_calls_are_those_of_rejections() -> None:
    instances, u, problem = counted()
    guarded = HalpernSafeguard(GDA(1e3))
    run(guarded, instances, u, 10)
    declared = guarded.oracle_calls(instances)
    assert declared == (3, 1)
    assert problem.calls == declared.start + 10 * declared.iteration


@on_games
@pytest.mark.parametrize("wrapped", [OGDA(0.4), small_twin()], ids=["ogda", "twin"])
def test_batched_is_one_by_one(problem: Problem, wrapped: Optimizer[Any]) -> None:
    instances, u = batch(problem)
    alpha = torch.logspace(-1, 1, 6).double().unsqueeze(1)
    together = unroll(HalpernSafeguard(wrapped, alpha, 0.05), instances, split(instances, u), 20)
    assert 0 < together.state.fallbacks.sum() < 6 * 19, "some are accepted, some are not"
    for b in range(6):
        one = slice(b, b + 1)
        guarded = HalpernSafeguard(wrapped, alpha[b].item(), 0.05)
        alone = unroll(guarded, instances.select(one), split(instances, u[one]), 20)
        torch.testing.assert_close(together.x[:, one], alone.x)
        assert torch.equal(together.state.fallbacks[one], alone.state.fallbacks)


@on_games
@pytest.mark.parametrize("poison", [math.nan, math.inf, 1e300])
def test_a_broken_instance_changes_no_other(problem: Problem, poison: float) -> None:
    """Whether its start is broken, or a proposal."""
    instances, u = batch(problem)
    others = [0, 1, 3, 4, 5]
    start = u.clone()
    start[2] = poison
    healthy = run(HalpernSafeguard(OGDA(0.4)), instances, u, 10)
    assert torch.equal(
        run(HalpernSafeguard(OGDA(0.4)), instances, start, 10)[:, others], healthy[:, others]
    )

    poisoned = torch.zeros(6, 1).double()
    poisoned[2] = poison
    plain = run(HalpernSafeguard(Proposes(lambda u, k: 0.9 * u)), instances, u, 10)
    guarded = run(HalpernSafeguard(Proposes(lambda u, k: 0.9 * u + poisoned)), instances, u, 10)
    assert torch.equal(guarded[:, others], plain[:, others])
    assert torch.equal(guarded[:, 2], run(Halpern(), instances, u, 10)[:, 2])


class Memory(NamedTuple):
    """A state with one axis, and a counter."""

    size: Tensor
    """(B,)"""
    steps: Tensor
    """(B, 1)"""


class Overflowing(Optimizer[Memory]):
    """Goes nowhere; its memory doubles, in instance 1 it grows by 1e200 each time."""

    def init(self, instances: Instances, iterate: Iterate, generator: Any = None) -> Memory:
        return Memory(torch.ones(3).double(), torch.zeros(3, 1, dtype=torch.long))

    def step(self, instances: Instances, iterate: Iterate, state: Memory) -> tuple[Iterate, Memory]:
        growth = torch.tensor([2, 1e200, 2], dtype=torch.double)
        return iterate, Memory(state.size * growth, state.steps + 1)

    def oracle_calls(self, instances: Instances) -> OracleCalls:
        return OracleCalls(0)


def test_a_state_that_is_not_finite_never_survives() -> None:
    """Then the one before it stays, 1e200, but for its counter."""
    instances, u = batch(MatrixGame(m=3, n=4), 3)
    state = unroll(HalpernSafeguard(Overflowing()), instances, split(instances, u), 5).state
    assert state.wrapped.size.tolist() == [16, 1e200, 16], "four proposals"
    assert state.wrapped.steps.flatten().tolist() == [4, 4, 4]


@on_games
@pytest.mark.parametrize("wrapped", [GDA(1e3), LEAD(1e3, 1e3, 0.9), AGRAAL(), small_twin()])
def test_states_stay_finite_when_proposals_explode(
    problem: Problem, wrapped: Optimizer[Any]
) -> None:
    instances, u = batch(problem)
    trajectory = unroll(HalpernSafeguard(wrapped), instances, split(instances, 100 * u), 60)
    assert all(leaf.isfinite().all() for leaf in tensors(trajectory.state))
    assert trajectory.x.isfinite().all()


def test_the_memory_after_a_rejection_is_that_after_the_proposal() -> None:
    """OGDA's memory is the field at u_k, where the path did pass, though z_{k+1} is refused."""
    instances, u = batch(Monotone(2, 3, kept=1.0))
    guarded = HalpernSafeguard(OGDA(1e2), slack=0.0)
    trajectory = unroll(guarded, instances, split(instances, u), 5)
    assert (trajectory.state.fallbacks == 4).all()
    grad_x, grad_y = gradients(instances, trajectory.x[-2], trajectory.y[-2])
    seen = torch.cat((grad_x, -grad_y), dim=1)
    assert any(torch.equal(leaf, seen) for leaf in tensors(trajectory.state.wrapped))


def scripted(takes: list[list[bool]]) -> Proposes:
    """The origin, a solution, where it is to be taken, else NaN; a row a proposal."""
    table = torch.tensor(takes)
    return Proposes(lambda u, k: torch.where(table[k[0].item() - 2].unsqueeze(1), 0 * u, torch.nan))


def test_fallbacks_are_counted_by_instance() -> None:
    """Five iterations have four proposals: 3, 1 and 4 of them are refused."""
    takes = [[False, True, False], [True, True, False], [False, True, False], [False, False, False]]
    problem = MatrixGame(m=1, n=1, p=1.0)
    instances, u = batch(problem, 3)
    guarded = HalpernSafeguard(scripted(takes))
    trajectory = unroll(guarded, instances, split(instances, u), 5)
    assert guarded.counts(trajectory.state)["fallback"].tolist() == [0.75, 0.25, 1]
    assert (trajectory.x[3, 0], trajectory.x[2, 1], trajectory.x[4, 1]) == (0, 0, 0)
    measured = measure(guarded, instances, split(instances, u), 5)
    assert measured.counts["fallback"].tolist() == [0.75, 0.25, 1]
    assert measured.summary()["fallback"] == pytest.approx(2 / 3)
    assert OGDA(0.1).counts(OGDA(0.1).init(instances, split(instances, u))) == {}


def test_states_can_be_merged() -> None:
    """An instance that starts beside one that is under way: each goes on as it would alone."""
    instances, u = batch(Monotone(2, 3), 2)
    guarded = HalpernSafeguard(small_twin(warmup_iterations=4))
    games = [instances.select([b]) for b in range(2)]
    starts = [split(instances, u[[b]]) for b in range(2)]
    whole = [unroll(guarded, *pair, 8) for pair in zip(games, starts, strict=True)]
    early = unroll(guarded, games[0], starts[0], 3)
    fresh = guarded.init(games[1], starts[1])
    state = map_state(lambda one, other: torch.cat((one, other)), early.state, fresh)
    iterate = Iterate(*(torch.cat(parts) for parts in zip(early.last, starts[1], strict=True)))
    merged = unroll(guarded, instances, iterate, 5, state=state)
    torch.testing.assert_close(merged.x[-1], torch.cat((whole[0].x[8], whole[1].x[5])))
    assert merged.state.iteration.flatten().tolist() == [8, 5]


def test_nothing_beyond_the_trust_region_is_taken() -> None:
    """Of f = 0 every point is a solution; with ‖u₁‖ = 5, trust = 2, the radius is 12."""
    instances = matrix_game(torch.zeros(2, 1, 1).double())
    u = torch.tensor([[3.0, 4.0], [3.0, 4.0]]).double()
    shift = torch.tensor([[11.9, 0.0], [12.1, 0.0]]).double()
    path = run(HalpernSafeguard(Proposes(lambda z, k: u + shift), trust=2), instances, u, 2)
    assert torch.equal(path[-1], torch.stack((u[0] + shift[0], u[1])))


@pytest.mark.parametrize("wrapped", [OGDA(0.3), small_twin()], ids=["ogda", "twin"])
def test_runs_where_the_resolvent_is_solved_for(wrapped: Optimizer[Any]) -> None:
    """On the nonmonotone seesaw nothing is promised but that it stays finite."""
    instances, start = double_batch(Seesaw(a=[0.5, 3.0]), 20)
    measured = measure(HalpernSafeguard(wrapped, 10.0), instances, start, 40)
    assert measured.joint.isfinite().all()
    assert 0 < measured.counts["fallback"].mean() < 1


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("step_size", 0, "step_size: expected a number above 0, got 0"),
        ("step_size", math.inf, "step_size: expected a finite number"),
        ("slack", -1, "slack: expected a finite number"),
        ("slack", "much", "slack: expected a finite number"),
        ("trust", 0, "trust: expected a number above 0, got 0"),
    ],
)
def test_bad_settings_are_refused_by_name(setting: str, value: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        HalpernSafeguard(OGDA(), **{setting: value})
