"""The grid search against searches done one run at a time."""

import inspect
import math

import pytest
import torch

from l2o.evaluation import EvaluationSettings, measure, sample_set
from l2o.evaluation.metrics import TAIL
from l2o.evaluation.tuning import ROWS, score_points, tune
from l2o.optimizers import hand_designed
from l2o.optimizers.hand_designed import GDA, LEAD, OGDA, Extragradient, Grid, HandDesigned
from l2o.problems import MatrixGame, Problem, Saddle, Seesaw
from tests.helpers import Cubic

ITERATIONS = 120
PROBLEMS: list[Problem] = [Seesaw(a=[0.5, 3.0]), MatrixGame(m=2, n=3), Cubic(c=[0.5, 1.0])]


def _validation(problem: Problem, instances: int = 3, starts: int = 2) -> tuple:
    settings = EvaluationSettings(instances, starts, ITERATIONS)
    return sample_set(problem, settings, 0, "validation", torch.double)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: type(p).__name__)
def test_scores_are_those_of_one_run_at_a_time(problem: Problem) -> None:
    """With divergence on the way, which takes rows out of the batch."""
    instances, start = _validation(problem)
    points = [(0.03, 0.03, 0.0), (0.1, 0.3, 0.3), (3.0, 3.0, 0.6), (0.2, 0.2, -0.3)]
    names = ["step_size", "coupling", "momentum"]
    scores = score_points(LEAD(), names, points, instances, start, ITERATIONS)
    assert any(score.diverged > 0 for score in scores.values())
    for point in points:
        measured = measure(LEAD(*point), instances, start, ITERATIONS)
        tail = measured.joint[1 + ITERATIONS - int(TAIL * ITERATIONS) :].mean(0)
        score = scores[point]
        assert score.diverged == measured.diverged.double().mean().item()
        assert score.sr1 == (tail < 2e-2).double().mean().item()
        if math.isfinite(score.tail_median):
            assert score.tail_median == pytest.approx(tail.quantile(0.5).item(), rel=1e-9)


def test_a_grid_larger_than_one_batch_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    instances, start = _validation(Saddle())
    points = [(step,) for step in (0.1, 0.2, 0.3, 0.4, 0.5)]
    whole = score_points(GDA(), ["step_size"], points, instances, start, 50)
    assert ROWS > 30
    monkeypatch.setattr("l2o.evaluation.tuning.ROWS", 13)
    assert score_points(GDA(), ["step_size"], points, instances, start, 50) == whole


def test_finds_the_best_step_of_a_saddle() -> None:
    """On x² − y² the step ½ solves in one iteration: of the grid, the nearest to it."""
    instances, start = _validation(Saddle(a=[1, 1], b=[1, 1]))
    tuning = tune(GDA(), instances, start, 20)
    assert tuning.best == {"step_size": 0.562341}
    assert isinstance(tuning.method, GDA)
    assert tuning.method.step_size == 0.562341
    assert tuning.at_edge == []
    assert set(tuning.scores) == {(value,) for value in GDA.grids["step_size"].values()}


def test_a_best_value_at_an_edge_extends_the_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = Grid(1e-3, 1e-2, points=5, log=True, above=0)
    monkeypatch.setattr(Extragradient, "grids", {"step_size": grid})
    instances, start = _validation(Saddle(a=[1, 1], b=[1, 1]))
    tuning = tune(Extragradient(), instances, start, 50)
    # 4 more values at a time, 4 a decade: past ¼, where 1 − 2η + 4η² has its minimum
    assert tuning.best["step_size"] == pytest.approx(0.25, rel=0.4)
    assert tuning.at_edge == []
    assert max(tuning.scores) > (tuning.best["step_size"],)
    assert len(tuning.scores) % 4 == 1, "extended by four values at a time"


def test_a_best_value_still_at_an_edge_is_reported() -> None:
    """On f = xy descent-ascent only diverges, the less the smaller its step."""
    problem = MatrixGame(m=1, n=1, p=1, low=1, high=1)
    tuning = tune(GDA(), *_validation(problem), 100)
    assert tuning.at_edge == ["step_size"]
    assert tuning.best["step_size"] == min(point[0] for point in tuning.scores)


def test_a_bound_is_no_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = Grid(1e-3, 1e-2, points=5, log=True, above=0, below=0.0101)
    monkeypatch.setattr(OGDA, "grids", {"step_size": grid})
    tuning = tune(OGDA(0.005), *_validation(Saddle()), 50)
    assert tuning.best == {"step_size": 0.01}
    assert tuning.at_edge == []


def test_more_successes_win_over_smaller_distances() -> None:
    problem = Seesaw(a=[0.0, 5.0], b=[0.0, 2.0])
    tuning = tune(OGDA(), *_validation(problem, 20), ITERATIONS)
    scores = tuning.scores.values()
    best = tuning.scores[tuple(tuning.best.values())]
    assert best.sr1 == max(score.sr1 for score in scores)
    equals = [score for score in scores if score.sr1 == best.sr1]
    assert best.tail_median == min(score.tail_median for score in equals)


def test_every_method_has_a_grid_of_its_own_hyperparameters() -> None:
    classes = [c for c in vars(hand_designed).values() if inspect.isclass(c)]
    methods = [c for c in classes if issubclass(c, HandDesigned)]
    assert len(methods) == 33
    for method in methods:
        assert issubclass(method, HandDesigned)
        fields = getattr(method, "__dataclass_fields__", {})
        assert set(method.grids) <= set(fields), method
