"""What plots say, and that one that fails takes nothing along."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor

from l2o.evaluation import Measurements
from l2o.reporting.drawing import FLOOR, logarithmic, plot
from l2o.reporting.plots import plot_convergence, plot_training
from l2o.reporting.summary_plot import plot_summary
from tests.reporting.figures import drawn

DRAW = """
import sys
from pathlib import Path
from l2o.reporting.plots import plot_training
plot_training(Path(sys.argv[1]), [{"epoch": 0, "train/meta_loss": 1.0, "val/score": 1.0}], "t", "")
"""


def _measured(x: Tensor) -> Measurements:
    return Measurements(x, x.clone(), ~x[-1].isfinite(), "distance")


def _titles(figure: Figure) -> list[str]:
    return [axis.get_title() for axis in figure.axes]


def _marks(figure: Figure) -> list[set[str]]:
    return [{text.get_text() for text in axis.texts} for axis in figure.axes]


def _drawing(directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Draws in a process of its own, in a directory."""
    return subprocess.run(
        [sys.executable, "-c", DRAW, directory / "plots" / "a.png"],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("rc", ["text.usetex: True", "figure.figsize: 1, 1", "backend: tkagg"])
def test_settings_of_matplotlib_do_not_count(tmp_path: Path, rc: str) -> None:
    """LaTeX is not installed everywhere, nor has every machine a screen."""
    (tmp_path / "plain").mkdir()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "matplotlibrc").write_text(rc)
    for name in ("plain", "own"):
        done = _drawing(tmp_path / name)
        assert (done.returncode, done.stderr) == (0, "")
    plain, own = ((tmp_path / name / "plots" / "a.png").read_bytes() for name in ("plain", "own"))
    assert plain == own


@pytest.mark.parametrize(
    ("environment", "rc"), [({"MPLBACKEND": "none_such"}, b""), ({}, b"\xff\xfe\x00")]
)
def test_where_matplotlib_cannot_be_imported_a_warning_is_all(
    tmp_path: Path, environment: dict[str, str], rc: bytes
) -> None:
    (tmp_path / "matplotlibrc").write_bytes(rc)
    done = _drawing(tmp_path, **environment)
    assert done.returncode == 0
    # Matplotlib itself may have logged something before.
    line = done.stderr.splitlines()[-1]
    assert line.startswith(f"warning: {tmp_path}/plots/a.png: left out (")
    assert not (tmp_path / "plots").exists()


def test_a_plot_that_fails_leaves_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    @plot
    def broken(figure: Figure, text: str) -> None:
        figure.subplots().set_title(text)

    path = tmp_path / "a.png"
    broken(path, "sound")
    before = path.read_bytes()
    broken(path, "$x^$")
    assert capsys.readouterr().err.startswith(f"warning: {path}: left out (")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_titles_are_taken_as_they_are() -> None:
    figure = drawn(plot_convergence, _measured(torch.ones(3, 2)), "a_b $x^", "c=[$, _]")
    assert figure.get_suptitle() == "a_b $x^  ·  2 trajectories, 0 diverged\nc=[$, _]"


def test_a_diverged_median_is_told_in_words() -> None:
    """Of five, one diverges at iteration 2 and takes the mean along, the third the median."""
    x = torch.ones(11, 5)
    for trajectory, iteration in enumerate((2, 4, 6)):
        x[iteration:, trajectory] = math.inf
    for title in _titles(drawn(plot_convergence, _measured(x), "", "")):
        assert title.splitlines()[1:] == [
            "from iteration 2 on the mean is infinite: diverged",
            "from iteration 6 on the median is infinite: diverged",
        ]
    sound = drawn(plot_convergence, _measured(torch.ones(11, 5)), "", "")
    assert _titles(sound) == ["$x$", "$y$"]


@pytest.mark.parametrize(
    ("lowest", "dtype", "marks"),
    [
        (1e-3, torch.float32, set()),
        (1e-9, torch.float32, {"ε of float32"}),
        (1e-9, torch.float64, set()),
        (0.0, torch.float64, {"ε of float64", "1e-16 and below"}),
        (0.0, torch.float32, {"ε of float32", "1e-16 and below"}),
    ],
)
def test_floors_are_marked_where_they_are_reached(
    lowest: float, dtype: torch.dtype, marks: set[str]
) -> None:
    x = torch.tensor([[1.0], [lowest]], dtype=dtype)
    assert _marks(drawn(plot_convergence, _measured(x), "", "")) == [marks, marks]


def test_what_is_infinite_leaves_no_point() -> None:
    """The best of the validations is one that is finite; without any nothing is drawn."""
    history = [{"epoch": i, "train/meta_loss": 1.0, "val/score": math.inf} for i in range(3)]
    figure = drawn(plot_training, history, "", "")
    assert _titles(figure) == ["training", "validation\n3 of 3 validations: all diverged"]
    assert all(not len(line.get_xdata()) for line in figure.axes[1].lines)
    history[1]["val/score"] = 0.25
    figure = drawn(plot_training, history, "", "")
    assert figure.axes[1].get_legend().get_texts()[0].get_text() == "best: 2.50e-01 in epoch 1"
    assert {tuple(line.get_xydata()[0]) for line in figure.axes[1].lines} == {(1, 0.25)}


@pytest.mark.parametrize("values", [[3.0], [3.0, 4.0], [0.11, 0.9], [1e-9, 1e5], [FLOOR]])
@pytest.mark.parametrize("which", ["x", "y"])
def test_a_logarithmic_scale_has_a_number_and_holds_its_values(
    values: list[float], which: str
) -> None:
    figure = Figure()
    axis = figure.subplots()
    axis.plot(values, values, ".")
    logarithmic(axis, values, which)
    figure.draw_without_rendering()
    line = getattr(axis, f"{which}axis")
    low, high = line.get_view_interval()
    assert low <= min(values)
    assert max(values) <= high
    ticks = [(text.get_position()[which == "y"], text.get_text()) for text in line.get_ticklabels()]
    assert any(text for place, text in ticks if low <= place <= high)


def test_epochs_are_whole() -> None:
    figure = drawn(plot_training, [{"epoch": 4, "train/meta_loss": 1.0, "val/score": 2.0}], "", "")
    for axis in figure.axes:
        assert all(tick == round(tick) for tick in axis.get_xticks())


def test_a_row_without_a_number_says_why() -> None:
    runs = [
        {"val/score": 2.0, "test/sr1": 0.0},
        {"val/score": 1.0, "test/sr1": 1.0, "test/distance_median": 1e-3},
        {"val/score": 3.0},
    ]
    figure = drawn(plot_summary, ["lost", "good", "pruned"], runs)
    rows = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert rows == ["good", "lost", "pruned"]
    words = {(text.get_position()[1], text.get_text()) for text in figure.axes[1].texts}
    assert words == {(1, "diverged"), (2, "not tested")}
