"""How far steps are believed: affine fields without end, others as far as those of late."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from l2o.optimizers.learned.structured.trust import GROWTH, PROBE, STRETCH, Trust
from l2o.problems import MatrixGame, Problem, QuadraticGame, RotatedSaddle, Saddle, Seesaw
from tests.helpers import double_batch
from tests.optimizers.hand_designed.helpers import field
from tests.optimizers.learned.structured.helpers import iterations, twin

AFFINE = {
    "matrix_game": MatrixGame(),
    "large": MatrixGame(m=20, n=30),
    "unequal": MatrixGame(m=3, n=2),
    "saddle": Saddle(m=3, n=2),
    "rotated_saddle": RotatedSaddle(dimension=3),
    "adversarial": QuadraticGame(c=[1, 1]),
    "cooperative": QuadraticGame(c=[0, 0]),
}


def trust(*rows: tuple[float, float, bool]) -> Trust:
    """One instance for each (radius, longest, affine)."""
    radius, longest, affine = (
        torch.tensor(column).unsqueeze(1) for column in zip(*rows, strict=True)
    )
    begun = Trust.begin(torch.zeros(len(rows), 2), torch.ones(len(rows), 1))
    return begun._replace(radius=radius.double(), longest=longest.double(), affine=affine)


def start(problem: Problem, count: int = 50) -> tuple:
    instances, begin = double_batch(problem, count)
    return instances, torch.cat(begin, dim=1)


@pytest.mark.parametrize("trained", [0.0, 0.5])
@pytest.mark.parametrize("problem", AFFINE.values(), ids=AFFINE)
def test_an_affine_field_is_not_caught_before_rounding_rules(
    problem: Problem, trained: float
) -> None:
    instances, z = start(problem)
    first = best = field(instances, z).norm(dim=1)
    for seen in iterations(twin(trained), instances, z, 60):
        best = torch.minimum(best, field(instances, seen.z).norm(dim=1))
        caught = ~seen.after.trust.affine[:, 0]
        assert (best[caught] < 1e-10 * first[caught]).all()


def test_an_affine_field_is_soon_unlimited() -> None:
    """The first step is one of 1e-2, each next one may be four times as long."""
    instances, z = start(MatrixGame())
    limits = [seen.after.trust.radius for seen in iterations(twin(), instances, z, 8)]
    for k, limit in enumerate(limits):
        torch.testing.assert_close(limit, torch.full_like(limit, PROBE * GROWTH**k))


def test_a_field_between_cooperation_and_conflict_is_affine_for_long() -> None:
    """Four pairs do not solve it, and rounding adds up in them; it is caught late at worst."""
    instances, z = start(QuadraticGame())
    assert all(seen.after.trust.affine.all() for seen in iterations(twin(), instances, z, 40))


def test_seesaws_are_caught_and_the_step_is_taken_back() -> None:
    """z_{t−1} and its field are known, so that going back costs no oracle call."""
    instances, z = start(Seesaw(a=[0.5, 5.0]))
    caught_ever = torch.zeros(50, dtype=torch.bool)
    for seen in iterations(twin(), instances, z, 40):
        before, after = seen.before, seen.after
        caught = (before.trust.affine & ~after.trust.affine)[:, 0]
        assert torch.equal(after.point[caught], before.point[caught])
        assert torch.equal(after.field[caught], before.field[caught])
        assert (after.secants.changes[caught] == 0).all(), "what was learnt there is forgotten"
        assert torch.equal(after.trust.longest[caught], before.trust.longest[caught])
        assert torch.equal(after.point[~caught], seen.z[~caught])
        caught_ever |= caught
        assert not (after.trust.affine[:, 0] & caught_ever).any(), "caught once is caught"
    assert caught_ever.double().mean() > 0.5


@pytest.mark.parametrize("trained", [0.0, 3.0])
@pytest.mark.parametrize(
    "problem", [Seesaw(a=[0.5, 5.0]), MatrixGame(), Saddle(m=2, n=3)], ids=type
)
def test_no_step_is_longer_than_trusted(problem: Problem, trained: float) -> None:
    """Four times the radius more each iteration, or twice the longest of late."""
    instances, z = start(problem)
    bound = 0
    for seen in iterations(twin(trained), instances, z, 60):
        now = seen.after.trust
        limit = torch.where(
            now.affine, torch.maximum(now.radius, STRETCH * now.longest), STRETCH * now.longest
        )
        step = (seen.following - seen.after.point).norm(dim=1, keepdim=True)
        assert (step <= limit * (1 + 1e-9)).all()
        bound += int((step > 0.999 * limit).sum())
    assert bound > 0, "some step was at its limit"


def test_without_trust_no_step_is_shortened_and_nothing_taken_back() -> None:
    instances, z = start(Seesaw(a=[0.5, 5.0]))
    for seen in iterations(twin(trust=False), instances, z, 30):
        assert torch.equal(seen.after.point, seen.z)
        assert seen.after.trust.affine.all()


def test_caught_by_hand() -> None:
    """‖G − Ĝ‖ against 1.5·s·u + ½‖G_{t−1}‖: with s = 2, u = 0.1 and ‖G_{t−1}‖ = 1, 0.8."""
    now = trust(*[(1.0, 1.0, True)] * 3 + [(1.0, 1.0, False), (1.0, 1.0, True)])
    unknown = torch.tensor([[0.1], [0.1], [0.1], [0.1], [torch.inf]]).double()
    now = now._replace(
        expected=torch.zeros(5, 2).double(),
        unknown=unknown,
        steepest=torch.full((5, 1), 2.0).double(),
    )
    found = torch.tensor([[0.79, 0], [0, 0.81], [torch.nan, 0], [9, 9], [9, 9]]).double()
    last = torch.tensor([[0.6, 0.8]]).double().expand(5, -1)
    assert now.caught(found, last).flatten().tolist() == [False, True, True, False, False]


positive = st.floats(1e-6, 1e6)


@given(positive, positive, st.booleans(), st.booleans(), st.floats(0, 1e8))
def test_shortened_steps_are_as_long_as_allowed(
    radius: float, longest: float, affine: bool, by_secants: bool, size: float
) -> None:
    now = trust((radius, longest, affine))
    step = torch.tensor([[0.6, -0.8]]).double() * size
    share = now.shortened(step, torch.tensor([[by_secants]])).item()
    limit = radius if affine and by_secants else 2 * longest
    assert 0 < share <= 1
    assert share * size == pytest.approx(min(size, limit), rel=1e-6)


def test_reach_and_growth() -> None:
    """The longest of late fades by a tenth, grows with a step, and stays where one is undone."""
    now = trust((0.5, 1.0, True), (0.5, 1.0, False), (0.5, 1.0, True), (8e8, 1.0, True))
    assert now.reach().flatten().tolist() == [0.5, 1.0, 0.5, 8e8]
    caught = torch.tensor([[False], [False], [True], [False]])
    moved = torch.tensor([[0.1], [3.0], [5.0], [0.1]]).double()
    steepness: Tensor = torch.tensor([[0.5], [2.0], [0.5], [0.5]]).double()
    grown = now.grown(caught, steepness, moved)
    assert grown.longest.flatten().tolist() == pytest.approx([0.9, 3.0, 1.0, 0.9])
    assert grown.radius.flatten().tolist() == [2.0, 2.0, 2.0, 1e9]
    assert grown.steepest.flatten().tolist() == [1.0, 2.0, 1.0, 1.0]
    assert grown.affine.flatten().tolist() == [True, False, False, True]
