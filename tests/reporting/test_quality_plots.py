"""What plots of measures show."""

import torch

from l2o.evaluation import assess
from l2o.evaluation.comparison import Result
from l2o.io.seeds import generator
from l2o.optimizers import Adam, OracleCalls
from l2o.problems import GANMixture
from l2o.reporting.quality_plots import PANELS, plot_qualities, plot_quality, plot_strips
from tests.reporting.figures import drawn

PROBLEM = GANMixture(width=4, batch=4, samples=32)
BATCH, START = PROBLEM.sample(3, generator(0)), PROBLEM.sample_start(3, generator(1))
FOUND = assess(Adam(), BATCH, START, 10)
TITLES = [
    "log energy distance (lower is better)",
    "good samples (higher is better)",
    "modes covered (higher is better)",
]


def test_each_measure_has_a_panel_with_last_and_averaged_iterate() -> None:
    figure = drawn(plot_quality, FOUND, "title", "details")
    assert [panel.get_title() for panel in figure.axes] == TITLES
    assert figure.get_suptitle() == "title  ·  3 trajectories, 0 diverged\ndetails"
    averaged, last = figure.axes[0].lines
    assert (averaged.get_label(), last.get_label()) == ("averaged iterate", "last iterate")
    assert list(last.get_xdata()) == list(range(11))
    assert last.get_ydata()[-1] == FOUND.curves[0, -1].item()


def test_curves_are_against_iterations_or_calls() -> None:
    results = [
        Result.of(name, FOUND, OracleCalls(calls, start=1))
        for name, calls in (("one", 1), ("two", 2))
    ]
    for axis, ends in (("iterations", [10, 10]), ("oracle_calls", [11, 21])):
        figure = drawn(plot_qualities, results, axis, "", "")
        assert [panel.get_title() for panel in figure.axes] == TITLES
        assert [line.get_xdata()[-1] for line in figure.axes[2].lines] == ends
        assert [line.get_label() for line in figure.axes[2].lines] == ["one", "two"]


def test_strips_show_samples_and_data_over_time() -> None:
    figure = drawn(plot_strips, {"first": FOUND, "second": FOUND}, "", "")
    assert len(figure.axes) == 2 * PANELS
    heads = [f"iteration {when}" for when in (0, 2, 4, 6, 8, 10)]
    assert [panel.get_title() for panel in figure.axes] == 2 * heads
    real, generated = figure.axes[-1].collections
    expected = PROBLEM.samples_of(START.x, START.y, BATCH.theta).real[0]
    assert torch.equal(torch.tensor(real.get_offsets()).float(), expected)
    assert torch.equal(torch.tensor(generated.get_offsets()).float(), FOUND.samples[-1].generated)
