"""The front plot: which points make the front, and that every name can be read."""

import itertools
import math

import pytest
import torch
from matplotlib.transforms import Bbox

from l2o.evaluation import Measurements
from l2o.evaluation.comparison import Result
from l2o.optimizers import OracleCalls
from l2o.reporting.front import Point, _boxes, _spread, front, height, plot_front
from tests.reporting.figures import drawn


def points(*places: tuple[float, float]) -> list[Point]:
    """Points named by their places in the list."""
    return [Point(str(i), i % 3 == 0, *place) for i, place in enumerate(places)]


def test_the_front_is_what_nothing_dominates() -> None:
    never = math.inf
    places = points((50, 90), (20, 40), (20, 60), (60, 90), (never, 95), (70, 80), (never, 91))
    assert [p.name for p in front(places)] == ["2", "0", "4"]
    assert [p.name for p in front(points((never, 0.0)))] == ["0"]


def test_heights_are_stretched_towards_success() -> None:
    assert [height(sr1) for sr1 in (0, 75, 99, 100)] == pytest.approx([0, 0.5, 0.9, 1])


def test_names_in_a_column_keep_their_order_and_distance() -> None:
    assert _spread([100, 99, 50, 6, 5], 10, bottom=0) == [100, 90, 50, 15, 5]
    assert _spread([3, 2, 1], 10, bottom=0) == [25, 15, 5]


def test_no_name_covers_another_or_a_point() -> None:
    """Forty points in a heap, half of them never there."""
    generator = torch.Generator().manual_seed(0)
    heap = (500 + 60 * torch.rand(40, 2, generator=generator)).tolist()
    calls = [math.inf if i % 2 else 10.0 for i in range(40)]
    spots = [(900.0 if i % 2 else x, y) for i, (x, y) in enumerate(heap)]
    places = points(*[(each, 50.0) for each in calls])
    inside = Bbox.from_bounds(0, 0, 1000, 1000)
    sizes = [Bbox.from_bounds(0, 0, 60, 12)] * 40
    tensors = [torch.tensor(spot).numpy() for spot in spots]
    boxes = _boxes(places, tensors, sizes, inside)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert not any(box.contains(*spot) for box in boxes for spot in spots)


def test_every_optimizer_is_named() -> None:
    """Also where calls are zero, or nobody gets there."""
    still = torch.zeros(1, dtype=torch.bool)

    def result(name: str, far: float, learned: bool = False) -> Result:
        x = torch.full((10, 1), far)
        measured = Measurements(x, torch.zeros_like(x), still, "distance")
        return Result.of(name, measured, OracleCalls(1), learned=learned)

    for results in (
        [result("at_once", 0.0), result("also", 0.0), result("learnt", 1.0, learned=True)],
        [result("alone", 1.0)],
    ):
        (axes,) = drawn(plot_front, results, "title", "").axes
        texts = {text.get_text(): text for text in axes.texts}
        assert texts.keys() == {r.name for r in results}
        for r in results:
            assert (texts[r.name].get_weight() == "bold") == r.learned
