"""What a problem's own measures say of a run, against iterates taken by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from l2o import UserError, unroll
from l2o.evaluation import EvaluationSettings, assess, sample_set
from l2o.evaluation.metrics import interquartile_mean, interval
from l2o.evaluation.quality import DECAY, Assessment
from l2o.evaluation.tuning import score_points, tune
from l2o.io.seeds import generator
from l2o.optimizers.hand_designed import GDA, Adam
from l2o.problems import GANMixture, Instances, Iterate, Measure, Problem
from l2o.problems.base import Theta


class Measured(Problem):
    """f = x²/2 − y²/2, with measures: |x|, the less the better, and −|y|, the more."""

    higher_first = False

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (x.square() - y.square()).sum(1) / 2

    @property
    def measures(self) -> tuple[Measure, ...]:
        size = Measure("size", lambda x, y, theta: x.abs().amax(1), False, math.inf)
        rest = Measure("rest", lambda x, y, theta: -y.abs().amax(1), True, -math.inf)
        return (rest, size) if self.higher_first else (size, rest)


class Rest(Measured):
    higher_first = True


def batch(problem: Problem, instances: int = 3, starts: int = 2) -> tuple[Instances, Iterate]:
    size = EvaluationSettings(instances, starts, 1)
    return sample_set(problem, size, 0, "validation", torch.double)


def found(values: Any, diverged: Any = None, starts: int = 1) -> Assessment:
    """An assessment by one measure, of (K, B)."""
    last = torch.tensor(values, dtype=torch.double)[None]
    lost = torch.zeros(last.shape[2], dtype=torch.bool) if diverged is None else diverged
    when = tuple(range(last.shape[1]))
    return Assessment(Measured().measures[:1], when, last, last, lost, starts, {}, 0.0, [])


def test_looks_are_at_the_iterates_and_at_their_averages() -> None:
    instances, start = batch(Measured())
    assessment = assess(GDA(0.1), instances, start, 150, starts=2)
    assert assessment.iterations == tuple(round(7.5 * look) for look in range(21))
    trajectory = unroll(GDA(0.1), instances, start, 150)
    for place, when in enumerate(assessment.iterations):
        x, y = trajectory.x[when, :, 0].abs(), trajectory.y[when, :, 0].abs()
        torch.testing.assert_close(assessment.last[:, place], torch.stack((x, -y)))
    average = trajectory.x[1]
    for k, x in enumerate(trajectory.x[2:], start=2):
        average = average + max(1 / k, 1 - DECAY) * (x - average)
    torch.testing.assert_close(assessment.averaged[0, -1], average[:, 0].abs())
    assert not assessment.diverged.any()


def test_a_diverged_trajectory_has_the_worst_of_every_measure() -> None:
    instances, start = batch(Measured(), 2, 1)
    steps = torch.tensor([[0.1], [50.0]], dtype=torch.double)
    assessment = assess(GDA(steps), instances, start, 100)
    assert assessment.diverged.tolist() == [False, True]
    assert assessment.last[:, -1, 1].tolist() == [math.inf, -math.inf]
    alone = assess(GDA(0.1), instances.select(slice(0, 1)), Iterate(start.x[:1], start.y[:1]), 100)
    torch.testing.assert_close(assessment.last[:, :, :1], alone.last, rtol=1e-14, atol=0)


def test_the_score_is_the_mean_over_the_tail() -> None:
    """Of eleven looks the last two; what has diverged is as bad as the worst, starts included."""
    values = [[7.0, 9.0]] + 8 * [[0.0, 0.0]] + [[1.0, 4.0], [3.0, 6.0]]
    assert found(values).score == (2 + 5) / 2
    assert found(values, torch.tensor([False, True])).score == (2 + 9) / 2


def test_interquartile_means_by_hand() -> None:
    """A quarter is left out at either end, rounded down: of seven values one."""
    assert interquartile_mean(torch.tensor([9.0, 1, 2, 3, 4, 5, -100])).item() == 3
    assert interquartile_mean(torch.tensor([1.0, 2, 3, math.inf])).item() == 2.5
    assert interquartile_mean(torch.arange(6.0).view(2, 3)).tolist() == [1, 4]


def test_intervals_are_over_instances() -> None:
    """Of instances with no difference, none; a hundred normal ones as the normal law has it.

    The interquartile mean of normal numbers has a deviation of about 1.09/√n.
    """
    assert interval(torch.tensor([[0.0], [8.0]]).expand(2, 9)) == (4, 4)
    values = torch.randn(1, 100, generator=generator(0), dtype=torch.double)
    low, high = interval(values)
    assert low < interquartile_mean(values).item() < high
    assert high - low == pytest.approx(2 * 1.96 * 0.109, rel=0.25)
    assert interval(values) == (low, high)


def test_summaries_tell_last_and_averaged_iterates() -> None:
    numbers = found([[1.0, 1, 1, 1], [0, 2, 4, 10]]).summary()
    assert numbers["size"] == numbers["size_averaged"] == 3
    assert numbers["size_mean"] == 4
    assert numbers["size_low"] <= 3 <= numbers["size_high"]
    assert numbers["diverged"] == 0


@pytest.mark.parametrize("problem", [Measured(), Rest()])
def test_tuning_takes_the_best_mean_of_the_first_measure(problem: Problem) -> None:
    """On x²/2 the best step is 1, from one iteration on; steps above 2 diverge."""
    instances, start = batch(problem)
    tuning = tune(GDA(), instances, start, 100)
    assert 0.8 < tuning.best["step_size"] < 1.2
    scores = [(score.diverged, score.mean) for score in tuning.scores.values()]  # type: ignore[union-attr]
    assert min(scores) == tuning.scores[tuple(tuning.best.values())].rank
    assert scores[-1] == (1, math.inf)


def test_tuning_by_measures_is_one_by_one() -> None:
    """Each point's score is the mean over the looks in the tail of a run of its own."""
    problem = GANMixture(width=4, batch=8, samples=32)
    instances, start = batch(problem, 2, 1)
    points = [(1e-3, 0.0), (1e-2, 0.5), (1e300, 0.0)]
    scores = score_points(Adam(), ["step_size", "beta1"], points, instances, start, 300)
    for point in points[:2]:
        values = []
        for iterations in (250, 300):
            last = unroll(Adam(*point), instances, start, iterations).last
            values.append(instances.measured(problem.measures[0], *last))
        assert scores[point].mean == pytest.approx(torch.stack(values).mean().item(), rel=1e-6)  # type: ignore[union-attr]
    assert scores[points[2]].rank == (1, math.inf)


def test_a_budget_bounds_the_points() -> None:
    instances, start = batch(Measured())
    whole = tune(GDA(), instances, start, 20)
    part = tune(GDA(), instances, start, 20, 5)
    assert len(part.scores) == 5
    assert part.scores.items() <= whole.scores.items()
    assert tune(GDA(), instances, start, 20, 1000).scores == whole.scores
    with pytest.raises(UserError, match="budget: expected a whole number of at least 1, got 0"):
        tune(GDA(), instances, start, 20, 0)
