"""The front plot of a comparison: what success costs, every optimizer a named point."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from l2o.evaluation.comparison import Result
from l2o.reporting.drawing import BLUE, GREY, ORANGE, entitle, plot, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

CALLS = "calls_to_1e-06"
"""What success costs, among the numbers of a result."""
TICKS = (0, 20, 40, 60, 80, 90, 95, 98, 99, 99.9, 100)
HAND_DESIGNED, LEARNED, FRONT = BLUE, ORANGE, GREY
GAP, RINGS = 4.0, 60
"""Pixels between a point and its label, and how many half lines further it may go."""


class Point(NamedTuple):
    """An optimizer in the plot."""

    name: str
    learned: bool
    calls: float
    """The median of the oracle calls until the distance stays below 1e-6; infinite: never."""
    sr1: float
    """In %."""


def front(points: Sequence[Point]) -> list[Point]:
    """The points that no other dominates, cheapest first.

    One dominates another that is no better in both respects, and worse in one.
    """
    best: list[Point] = []
    for point in sorted(points, key=lambda p: (p.calls, -p.sr1)):
        if not best or point.sr1 > best[-1].sr1:
            best.append(point)
    return best


@plot
def plot_front(figure: Figure, results: Sequence[Result], title: str, details: str) -> None:
    """SR1 against the median of the oracle calls until the distance stays below 1e-6.

    Heights are 1 − √(share of failures), so that 99 and 99.9 % can be told apart.

    Args:
        figure: Where to.
        results: Every optimizer of the comparison, with an SR1; learned ones are drawn as stars.
        title: What was run.
        details: The problem's settings.
    """
    points = [Point(r.name, r.learned, r.numbers[CALLS], 100 * r.numbers["sr1"]) for r in results]
    figure.set_size_inches(10.5, 7)
    axes: Any = figure.subplots()
    never = _scales(axes, points)
    places = {p.name: (min(max(1.0, p.calls), never), height(p.sr1)) for p in points}
    steps = [places[p.name] for p in front(points)]
    # From below up to the cheapest point, and on to the right from the most successful one.
    corners = [(steps[0][0], -1.0), *steps, (never, steps[-1][1])]
    axes.step(
        *zip(*corners, strict=True), where="post", color=FRONT, lw=1.4, zorder=1, label="front"
    )
    for learned, label in ((False, "hand-designed, tuned"), (True, "learned")):
        chosen = [places[p.name] for p in points if p.learned == learned]
        if chosen:
            style: dict[str, Any] = {"color": LEARNED if learned else HAND_DESIGNED, "zorder": 3}
            style |= {"marker": "*", "s": 150} if learned else {"marker": "o", "s": 28}
            axes.scatter(*zip(*chosen, strict=True), label=label, lw=0, alpha=0.85, **style)
    axes.set_xlabel("oracle calls until the distance stays below 1e-6, median")
    axes.set_ylabel("SR1 in %, stretched towards 100")
    entitle(figure, title, details)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    _label(figure, axes, points, [places[p.name] for p in points])


def height(sr1: float) -> float:
    """Where a success rate in % is drawn: 0 and 100 at 0 and 1, steeper towards 100."""
    return 1 - math.sqrt(max(0.0, 1 - sr1 / 100))


def _scales(axes: Any, points: Sequence[Point]) -> float:
    """Sets limits and ticks; returns where `never` is drawn."""
    calls = [max(1.0, p.calls) for p in points if math.isfinite(p.calls)]
    low, high = min(calls, default=100.0), max(calls, default=1000.0)
    never: float = high * max(2.0, (high / low) ** 0.15)
    axes.set_xscale("log")
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    rounds = [d * 10.0**k for k in decades for d in (1, 2, 5)]
    ticks = [tick for tick in rounds if low / 1.6 <= tick <= high * 1.2]
    axes.set_xticks([*ticks, never], [*(f"{tick:g}" for tick in ticks), "never"])
    axes.set_xticks([], minor=True)
    # To the right of `never` there is room for the names of its points.
    axes.set_xlim(low / 1.6, never * (never / low * 1.6) ** 0.25)
    axes.set_yticks([height(tick) for tick in TICKS], [f"{tick:g}" for tick in TICKS])
    lowest = min(min(height(p.sr1) for p in points), 0.9)
    axes.set_ylim(lowest - 0.07 * (1 - lowest), 1 + 0.08 * (1 - lowest))
    tidy(axes)
    axes.axvline(never, color=FRONT, lw=0.8, ls=":", zorder=0)
    return never


def _label(
    figure: Figure, axes: Any, points: Sequence[Point], places: Sequence[tuple[float, float]]
) -> None:
    """Writes each name beside its point, where it covers no other name and no point.

    Args:
        figure: With everything else drawn.
        axes: Where the points are.
        points: Their names.
        places: Where they are, in data coordinates.
    """
    from matplotlib.patheffects import withStroke

    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the names must not move what they are placed by
    halo = [withStroke(linewidth=2.5, foreground="white")]
    spots = [axes.transData.transform(place) for place in places]
    sizes = []
    for point in points:
        text = axes.text(0, 0, point.name, fontsize=8, weight="bold" if point.learned else "normal")
        sizes.append(text.get_window_extent())
        text.remove()
    boxes = _boxes(points, spots, sizes, axes.get_window_extent())
    back = axes.transData.inverted()
    for point, place, spot, box in zip(points, places, spots, boxes, strict=True):
        style: dict[str, Any] = {"weight": "bold", "color": LEARNED} if point.learned else {}
        style |= {"fontsize": 8, "va": "bottom", "path_effects": halo, "zorder": 4}
        axes.text(*back.transform((box.x0, box.y0)), point.name, **style)
        end = (min(max(spot[0], box.x0), box.x1), min(max(spot[1], box.y0 + 3), box.y1 - 3))
        if math.dist(end, spot) > 3 * GAP:
            color = LEARNED if point.learned else FRONT
            axes.plot(*zip(place, back.transform(end), strict=True), color=color, lw=0.6, zorder=2)


def _boxes(
    points: Sequence[Point], spots: Sequence[Any], sizes: Sequence[Bbox], inside: Bbox
) -> list[Bbox]:
    """Where the names go: those of `never` in a column, others near their points.

    Args:
        points: Of all optimizers.
        spots: Where they are, everything in pixels.
        sizes: Of their names.
        inside: The plot's area.
    """
    from matplotlib.transforms import Bbox

    boxes: dict[int, Bbox] = {}
    column = [i for i, point in enumerate(points) if math.isinf(point.calls)]
    column.sort(key=lambda i: (-spots[i][1], points[i].name))
    heights = _spread([spots[i][1] for i in column], 1.1 * sizes[0].height, inside.y0 + GAP)
    for i, y in zip(column, heights, strict=True):
        width, height = sizes[i].size
        boxes[i] = Bbox.from_bounds(spots[i][0] + 6 * GAP, y - height / 2, width, height)
    gaps = [GAP + (7 if point.learned else 3) for point in points]
    taken = [Bbox([spot - gap, spot + gap]) for spot, gap in zip(spots, gaps, strict=True)]
    taken += boxes.values()
    # Learned ones first, then from the top down.
    others = [i for i in range(len(points)) if i not in boxes]
    for i in sorted(others, key=lambda i: (not points[i].learned, -spots[i][1])):
        boxes[i] = _free_box(spots[i], gaps[i] + 1, sizes[i].size, taken, inside)
        taken.append(boxes[i])
    return [boxes[i] for i in range(len(points))]


def _spread(heights: Sequence[float], distance: float, bottom: float) -> list[float]:
    """Heights in falling order, moved down, then up from the bottom, to keep a distance.

    Args:
        heights: In falling order.
        distance: What two of them must be apart.
        bottom: What the lowest must be above, by half of that.
    """
    spread: list[float] = []
    for wanted in heights:
        spread.append(min(wanted, spread[-1] - distance) if spread else wanted)
    floor = bottom + distance / 2
    for i in reversed(range(len(spread))):
        spread[i] = max(spread[i], floor)
        floor = spread[i] + distance
    return spread


def _free_box(
    spot: Sequence[float],
    gap: float,
    size: tuple[float, float],
    taken: Sequence[Bbox],
    inside: Bbox,
) -> Bbox:
    """The first free place for a label around its point, rings further and further out.

    Args:
        spot: The point, as everything in pixels.
        gap: How far from it the label is at least.
        size: Width and height of the label.
        taken: What must not be covered.
        inside: What must not be left.

    Returns:
        The place; the last one tried where nothing is free.
    """
    from matplotlib.transforms import Bbox

    (x, y), (width, height) = spot, size
    for ring, (side, rise) in itertools.product(
        range(RINGS), ((1, 0), (1, 1), (1, -1), (-1, 0), (-1, 1), (-1, -1), (0, 1), (0, -1))
    ):
        rise_by = rise * (gap + (ring + 1) * height / 2)
        beside = gap + min(ring, 3) * height / 2
        left = {1: x + beside, -1: x - beside - width, 0: x - width / 2}[side]
        box = Bbox.from_bounds(left, y + rise_by - height / 2, width, height)
        within = inside.contains(box.x0, box.y0) and inside.contains(box.x1, box.y1)
        if within and not any(box.overlaps(other) for other in taken):
            break
    return box
