"""Success rates on hand-made trajectories, and divergence as failure everywhere."""

import math
import statistics
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from l2o import Instances, Iterate
from l2o.evaluation import EvaluationSettings, Measurements, measure, sample_set
from l2o.evaluation.metrics import SCORES, accurate, median, steady
from l2o.io.seeds import generator
from l2o.optimizers import Optimizer, OracleCalls
from l2o.problems import Saddle
from tests.helpers import Cubic


class Scripted(Optimizer[Tensor]):
    """Multiplies every instance's iterate by a factor of its own."""

    def __init__(self, factors: list[float]) -> None:
        self.factors = torch.tensor(factors).unsqueeze(1)

    def init(self, instances: Instances, iterate: Iterate, generator: Any = None) -> Tensor:
        return torch.zeros(len(instances))

    def oracle_calls(self, instances: Instances) -> OracleCalls:
        return OracleCalls(0)

    def step(self, instances: Instances, iterate: Iterate, state: Tensor) -> tuple[Iterate, Tensor]:
        return Iterate(iterate.x * self.factors, iterate.y * self.factors), state + 1


def _measured(x: Tensor, y: Tensor | None = None) -> Measurements:
    """Distances (T + 1, B) of x, and of y or zero."""
    return Measurements(
        x, torch.zeros_like(x) if y is None else y, ~x.isfinite().all(0), "distance"
    )


def test_success_is_judged_by_the_last_fifth() -> None:
    """Of 100 iterations the last 20 count: large before, 1.9e-2 or 2.1e-2 in them."""
    distance = torch.ones(101, 3)
    distance[81:] = torch.tensor([1.9e-2, 2.1e-2, 1.9e-2])
    distance[80, 2] = 1e3  # the last that does not count
    assert accurate(_measured(distance)).tolist() == [True, False, True]
    assert steady(_measured(distance)).tolist() == [True, True, True]


def test_steadiness_is_a_standard_deviation() -> None:
    """A tail that alternates between d ± s has the deviation s."""
    sign = torch.tensor([1.0, -1.0]).repeat(51)[:101].unsqueeze(1)
    distance = 0.5 + sign * torch.tensor([0.9e-4, 1.1e-4])
    assert steady(_measured(distance)).tolist() == [True, False]


def test_both_players_count() -> None:
    """A distance of 1.5e-2 for each player is one of 2.1e-2 for both."""
    player = torch.full((101, 1), 1.5e-2)
    assert accurate(_measured(player)).item()
    assert not accurate(_measured(player, player)).item()


@pytest.mark.parametrize("end", [math.inf, math.nan])
def test_a_diverged_trajectory_fails_however_constant_its_end(end: float) -> None:
    distance = torch.full((101, 2), 1e-3)
    distance[10:, 1] = end
    measured = _measured(distance)
    assert accurate(measured).tolist() == [True, False]
    assert steady(measured).tolist() == [True, False]
    metrics = measured.summary()
    assert (metrics["sr1"], metrics["sr2"], metrics["diverged"]) == (0.5, 0.5, 0.5)
    assert not math.isfinite(metrics["distance_mean"])
    # Neither settles: one stays at 1e-3, the other counts all iterations as well.
    assert SCORES["settling"](measured) == pytest.approx(100)


@pytest.mark.parametrize("end", [math.inf, math.nan])
def test_a_diverged_trajectory_counts_as_ten_that_stay_at_the_farthest_start(end: float) -> None:
    """Starts at 1 and 2, one trajectory ends at 0.5: the other adds 10 · 2, or 10 · 50 · 2²."""
    distance = torch.full((101, 2), 0.5)
    distance[0] = torch.tensor([1.0, 2.0])
    distance[90:, 1] = end
    measured = _measured(distance)
    assert SCORES["tail_mean"](measured) == pytest.approx((0.5 + 20) / 2)
    assert SCORES["squared_tail_sum"](measured) == pytest.approx((50 * 0.25 + 10 * 50 * 4) / 2)


@pytest.mark.parametrize("name", ["squared_tail_sum", "tail_mean"])
def test_a_score_gets_worse_with_each_that_diverges(name: str) -> None:
    """Nearly all solved and one diverged is better than nothing solved."""
    start = torch.rand(1, 40, generator=torch.Generator().manual_seed(0))
    unmoved, solved = start.expand(101, -1), start.expand(101, -1).clone()
    solved[1:] *= 1e-3
    scores = []
    for lost in range(41):
        distance = solved.clone()
        distance[50:, :lost] = math.inf
        scores.append(SCORES[name](_measured(distance)))
    assert all(math.isfinite(score) for score in scores)
    assert scores == sorted(set(scores))
    assert scores[1] < SCORES[name](_measured(unmoved)) < scores[-1]


def test_without_divergence_scores_are_plain_means() -> None:
    """However far away."""
    distance = 3 * torch.rand(101, 20, generator=torch.Generator().manual_seed(0))
    distance[1:, 3] = 5e3
    tails = distance[51:].double(), distance[81:].double()
    scores = {name: SCORES[name](_measured(distance)) for name in ("squared_tail_sum", "tail_mean")}
    assert scores["squared_tail_sum"] == tails[0].square().sum(0).mean().item()
    assert scores["tail_mean"] == pytest.approx(tails[1].mean().item(), rel=1e-14)


def test_nothing_sound_is_worse_than_to_diverge() -> None:
    """Starts at 1; one stays at 30, one diverges: it counts as another at 30."""
    distance = torch.ones(101, 3)
    distance[1:, 1] = 30
    distance[50:, 2] = math.inf
    assert SCORES["tail_mean"](_measured(distance)) == pytest.approx((1 + 30 + 30) / 3)


def test_where_all_have_failed_from_the_first_there_is_no_score() -> None:
    measured = _measured(torch.full((11, 3), math.inf))
    assert SCORES["tail_mean"](measured) == SCORES["squared_tail_sum"](measured) == math.inf


@given(st.lists(st.floats(0, 1e300) | st.just(math.inf), min_size=1, max_size=9))
def test_the_median_is_that_of_the_standard_library(values: list[float]) -> None:
    found = median(torch.tensor(values, dtype=torch.double)).item()
    assert found == statistics.median(values)


def test_medians_along_a_dimension() -> None:
    """What is not a number counts as larger than all."""
    values = torch.tensor([[1.0, 4.0], [3.0, math.nan], [math.inf, 2.0], [2.0, 2.0]])
    assert median(values, dim=0).tolist() == [2.5, 3.0]
    assert median(values)[[0, 3]].tolist() == [2.5, 2.0]
    assert median(values)[1].isnan()


def test_scores_by_hand() -> None:
    """Distances 4, 3, 2, 1, 0 of x: the last half is 1, 0; the last fifth at least one point."""
    measured = _measured(torch.tensor([[4.0], [3.0], [2.0], [1.0], [0.0]]))
    assert SCORES["squared_tail_sum"](measured) == 1
    assert SCORES["tail_mean"](measured) == 0


def test_settling_by_hand() -> None:
    """Below 1e-4 for good from iteration 0, 2, 5 and never, and once again far at the last."""
    near, far = 0.9e-4, 1.1e-4
    distance = torch.full((6, 5), near)
    distance[:2, 1] = far
    distance[4, 2] = far
    distance[:, 3] = far
    distance[5, 4] = far
    # The geometric mean; 0 counts as 1, and where it does not settle all five count.
    assert SCORES["settling"](_measured(distance)) == pytest.approx((1 * 2 * 5 * 5 * 5) ** 0.2)


@pytest.mark.parametrize("end", [math.inf, math.nan])
def test_what_diverges_does_not_settle(end: float) -> None:
    distance = torch.zeros(11, 2)
    distance[3:, 1] = end
    assert SCORES["settling"](_measured(distance)) == pytest.approx((1 * 10) ** 0.5)


def test_measure_on_known_trajectories() -> None:
    """Factors ½, 1 and 2 on the saddle: the distance after t steps is factor^t of the start."""
    instances = Saddle().sample(3, generator(0))
    start = Iterate(torch.full((3, 1), 3.0), torch.full((3, 1), 4.0))
    measured = measure(Scripted([0.5, 1.0, 2.0]), instances, start, 50)
    assert measured.joint.shape == (51, 3)
    t = torch.arange(51)
    torch.testing.assert_close(measured.joint[:, 0], 5 * 0.5**t)
    assert (measured.joint[:, 1] == 5).all()
    # 4 · 2^t passes the limit of 1e4 at t = 12.
    assert measured.joint[11, 2].isfinite()
    assert measured.joint[12:, 2].isinf().all()
    assert measured.diverged.tolist() == [False, False, True]


def test_a_trajectory_that_comes_back_has_diverged_all_the_same() -> None:
    class Excursion(Scripted):
        def step(self, instances: Instances, iterate: Iterate, state: Tensor):
            far = (state == 30).unsqueeze(1)
            back = (state == 31).unsqueeze(1)
            x = torch.where(far, iterate.x * 1e6, torch.where(back, iterate.x / 1e6, iterate.x))
            return Iterate(x, iterate.y), state + 1

    instances = Saddle().sample(2, generator(0))
    start = Iterate(torch.tensor([[1.0], [1e-4]]), torch.zeros(2, 1))
    measured = measure(Excursion([1.0, 1.0]), instances, start, 100)
    assert measured.diverged.tolist() == [True, False]
    assert measured.joint[-1].isinf().tolist() == [True, False]


def test_without_solutions_gradient_norms_are_measured() -> None:
    instances = Cubic(c=[1.0, 1.0]).sample(1, generator(0))
    start = Iterate(torch.tensor([[2.0]]), torch.tensor([[3.0]]))
    measured = measure(Scripted([0.5]), instances, start, 30)
    # f = x³ + x y − y²: ∇f(2, 3) = (3·4 + 3, 2 − 6), ∇f(1, 1.5) = (3 + 1.5, 1 − 3)
    torch.testing.assert_close(measured.x[:2, 0], torch.tensor([15.0, 4.5]))
    torch.testing.assert_close(measured.y[:2, 0], torch.tensor([4.0, 2.0]))
    metrics = measured.summary()
    assert "gradient_norm_median" in metrics
    assert "sr1" not in metrics


def test_what_the_optimizer_counts_is_recorded_and_averaged() -> None:
    class Counting(Scripted):
        def counts(self, state: Tensor) -> dict[str, Tensor]:
            return {"steps": state * self.factors.squeeze(1)}

    instances = Saddle().sample(2, generator(0))
    start = Iterate(torch.ones(2, 1), torch.ones(2, 1))
    measured = measure(Counting([0.5, 1.0]), instances, start, 30)
    assert measured.counts["steps"].tolist() == [15, 30]
    assert measured.summary()["steps"] == 22.5
    assert measure(Scripted([0.5, 1.0]), instances, start, 30).counts == {}


def test_test_set_repeats_instances_over_fresh_starts() -> None:
    problem = Saddle(m=2)
    instances, start = sample_set(problem, EvaluationSettings(3, 4, 10), 5, "test")
    assert len(instances) == 12
    one_by_one = instances.select(torch.arange(12)).theta["a"]
    assert torch.equal(one_by_one.view(4, 3), instances.theta["a"].T.expand(4, 3))
    assert len(start.x.unique(dim=0)) == 12
    again, same = sample_set(problem, EvaluationSettings(3, 4, 10), 5, "test")
    assert torch.equal(again.theta["b"], instances.theta["b"])
    assert torch.equal(same.y, start.y)
