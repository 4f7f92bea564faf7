"""Comparisons under noise: fair, repeatable, and measured without it."""

import csv
import math
from pathlib import Path

import pytest
import torch

from l2o import UserError
from l2o.cli.compare import compare
from l2o.evaluation import EvaluationSettings, measure, sample_set
from l2o.evaluation.metrics import TAIL
from l2o.evaluation.tuning import score_points
from l2o.io.seeds import generator
from l2o.optimizers.hand_designed import GDA, GMRES, LEAD
from l2o.problems import Instances, Iterate, MatrixGame, Noisy, Problem, Saddle, Seesaw
from tests.cli.test_compare import composed
from tests.helpers import Cubic

ITERATIONS = 120


def _noisy(problem: Problem, deviation: float = 0.1) -> tuple[Instances, Iterate]:
    settings = EvaluationSettings(3, 2, ITERATIONS)
    return sample_set(Noisy(problem, deviation), settings, 0, "test", torch.double)


def test_the_distances_are_those_of_a_loop_by_hand() -> None:
    """Descent-ascent on x² − y² with a step of ¼: z ← z/2 − ε/4; measured without ε."""
    noisy, (x, y) = _noisy(Saddle(a=[1, 1], b=[1, 1]))
    measured = measure(GDA(0.25), noisy, Iterate(x, y), 30)
    for t in range(30):
        noise = 0.1 * torch.randn(3, 2, generator=generator(noisy.seed, t)).repeat(2, 1)
        x, y = x / 2 - noise[:, :1] / 4, y / 2 - noise[:, 1:] / 4
        torch.testing.assert_close(measured.x[t + 1], x.abs().squeeze(1))
        torch.testing.assert_close(measured.y[t + 1], y.abs().squeeze(1))


def test_every_measurement_meets_the_same_noise() -> None:
    noisy, start = _noisy(MatrixGame())
    first = measure(GMRES(), noisy, start, 40)
    measure(LEAD(), noisy, start, 40)
    assert torch.equal(measure(GMRES(), noisy, start, 40).joint, first.joint)
    assert first.joint.isfinite().all(), "a Krylov method breaks down quietly"
    assert first.joint[-1].min() > 1e-3


@pytest.mark.parametrize("problem", [Seesaw(a=[0.5, 3.0]), MatrixGame(m=2, n=3)])
def test_a_grid_is_scored_as_one_run_at_a_time(problem: object) -> None:
    """Each point meets the noise of the set, also after others have diverged."""
    noisy, start = _noisy(problem)
    points = [(0.03, 0.03, 0.0), (0.1, 0.3, 0.3), (3.0, 3.0, 0.6)]
    names = ["step_size", "coupling", "momentum"]
    scores = score_points(LEAD(), names, points, noisy, start, ITERATIONS)
    assert any(score.diverged > 0 for score in scores.values())
    for point in points:
        joint = measure(LEAD(*point), noisy, start, ITERATIONS).joint
        tail = joint[1 + ITERATIONS - int(TAIL * ITERATIONS) :].mean(0)
        if math.isfinite(scores[point].tail_median):
            assert scores[point].tail_median == pytest.approx(tail.quantile(0.5).item(), rel=1e-9)


def test_gradient_norms_are_measured_without_noise() -> None:
    noisy, start = _noisy(Cubic(c=[0.5, 1.0]), deviation=10.0)
    grad_x, grad_y = noisy.split(noisy.field(torch.cat(start, dim=1)))
    measured = measure(GDA(), noisy, start, 1)
    torch.testing.assert_close(measured.x[0], grad_x.norm(dim=1))
    torch.testing.assert_close(measured.y[0], grad_y.norm(dim=1))


def test_a_comparison_under_noise(tmp_path: Path) -> None:
    """Tuned under noise too: smaller steps. Methods with every kind of oracle run."""
    only = "only=[gda,halpern,gmres,cgd,follow_the_ridge]"
    game = ["problem=matrix_game", "problem.m=2", "problem.n=2"]
    metrics = compare(composed(tmp_path / "noisy", *game, only, "noise=0.3"))
    again = compare(composed(tmp_path / "again", *game, only, "noise=0.3"))
    assert [value for key, value in metrics.items() if not key.endswith("_s")] == [
        value for key, value in again.items() if not key.endswith("_s")
    ]
    exact = compare(composed(tmp_path / "exact", *game, only))
    assert metrics["gmres/distance_50"] > 1e-2 > 1e-9 > exact["gmres/distance_50"]
    steps = []
    for run in ("noisy", "exact"):
        rows = csv.DictReader((tmp_path / run / "table.csv").open())
        settings = {row["optimizer"]: row["settings"] for row in rows}
        steps.append(float(settings["halpern"].split("=")[1].rstrip("*")))
    assert steps[0] < steps[1]
    markdown = (tmp_path / "noisy" / "table.md").read_text()
    assert markdown.startswith("# MatrixGame, seed 0, noise 0.3\n")
    assert "Not run: follow_the_ridge." in markdown, "noise does not make a Hessian invertible"


def test_bad_noise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="noise: expected a finite number of at least 0, got -1"):
        compare(composed(tmp_path / "out", "noise=-1"))
    assert not (tmp_path / "out").exists()
