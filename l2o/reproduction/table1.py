"""Table 1 of the paper: plain and Enhanced Twin-L2O on seven ranges of seesaw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from l2o.reporting.drawing import BLUE, ORANGE, plot, tidy
from l2o.reporting.tables import Column, Table
from l2o.reproduction.jobs import Job

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RANGES = (
    "[.9, 1], [.9, 1]",
    "[0, 1], [.9, 1]",
    "[0, 3.5], [.9, 1]",
    "[0, 5], [.9, 1]",
    "[.9, 1], [0, 1]",
    "[0, 5], [0, 1]",
    "[0, 5], [0, 2]",
)
PAPER = {
    ("none", "sr1"): (100, 96.6, 0, 0, 97.8, 11.6, 22.8),
    ("none", "sr2"): (100, 89.6, 17.4, 16.0, 96.2, 31.4, 71.6),
    ("gradient", "sr1"): (100, 96.6, 64.8, 82.8, 98.0, 85.0, 62.6),
    ("gradient", "sr2"): (100, 96.0, 87.8, 91.2, 97.4, 86.2, 53.8),
}
"""Shen et al. (ICLR 2021), Table 1, in %."""
NAMES = {"none": "Twin-L2O", "gradient": "Enhanced Twin-L2O"}
Found = dict[tuple[str, str], list[list[float]]]


def table1(jobs: Sequence[Job], path: Path) -> str:
    """The section on Table 1, with its plot `<path>/table1.png`.

    Args:
        jobs: All runs, finished.
        path: Of the report, without an ending.
    """
    found = found_in(jobs)
    picture = path / "table1.png"
    plot_table1(picture, found)
    seeds = len(found["none", "sr1"][0])
    lines = [
        "## Table 1: seven ranges of seesaw",
        "",
        f"Ours: mean (lowest–highest) of {seeds} training seeds, the release's recipe.",
    ]
    for key in ("sr1", "sr2"):
        lines += ["", _table(found, key)]
    return "\n".join([*lines, "", *_verdicts(found), "", f"![Table 1]({path.name}/{picture.name})"])


def _table(found: Found, key: str) -> str:
    """The paper's and our success on every range."""
    columns, rows = [Column(f"{key.upper()}: a, b")], [[name] for name in RANGES]
    for curriculum, name in NAMES.items():
        columns += [Column(f"{name}, {who}") for who in ("paper", "ours")]
        both = zip(rows, PAPER[curriculum, key], found[curriculum, key], strict=True)
        for row, paper, ours in both:
            row += [f"{paper:g}", f"{mean(ours):.1f} ({min(ours):.0f}–{max(ours):.0f})"]
    return Table(columns, rows).markdown()


def found_in(jobs: Sequence[Job]) -> Found:
    """SR1 and SR2 in %, for each curriculum: by range, then by seed."""
    found: Found = {key: [[] for _ in RANGES] for key in PAPER}
    for job in jobs:
        place = int(str(job.settings["problem"]).removeprefix("seesaw_range")) - 1
        for key in ("sr1", "sr2"):
            share = job.metrics[f"test/{key}"]
            found[str(job.settings["curriculum"]), key][place].append(100 * (share or 0.0))
    return found


def _verdicts(found: Found) -> list[str]:
    """One sentence on each claim."""
    sentences = []
    for curriculum, name in NAMES.items():
        reached = [
            place + 1
            for place in range(len(RANGES))
            if all(
                mean(found[curriculum, key][place]) >= PAPER[curriculum, key][place] - 1
                for key in ("sr1", "sr2")
            )
        ]
        told = ", ".join(map(str, reached)) or "none"
        sentences.append(
            f"- {name} reaches the paper's SR1 and SR2, within a point, on ranges {told}."
        )
    plain, enhanced = (found[curriculum, "sr1"] for curriculum in NAMES)
    gains = [mean(e) - mean(p) for p, e in zip(plain, enhanced, strict=True)]
    better = [str(place + 1) for place, gain in enumerate(gains) if gain > 1]
    worse = [str(place + 1) for place, gain in enumerate(gains) if gain < -1]
    sentences.append(
        "- The curriculum raises SR1 by more than a point on ranges "
        f"{', '.join(better) or 'none'} and lowers it on {', '.join(worse) or 'none'}."
    )
    return sentences


@plot
def plot_table1(figure: Figure, found: Found) -> None:
    """SR1 and SR2 on every range: a bar for the mean, points for seeds, marks for the paper.

    Args:
        figure: Where to.
        found: As of `found_in`.
    """
    figure.set_size_inches(11, 4)
    panels: Any = figure.subplots(1, 2, sharey=True)
    for panel, key in zip(panels, ("sr1", "sr2"), strict=True):
        for shift, (curriculum, name) in zip((-0.2, 0.2), NAMES.items(), strict=True):
            color = BLUE if curriculum == "none" else ORANGE
            places = [place + 1 + shift for place in range(len(RANGES))]
            means = [mean(values) for values in found[curriculum, key]]
            panel.bar(places, means, 0.38, color=color, alpha=0.55, label=f"{name}, mean")
            for place, values in zip(places, found[curriculum, key], strict=True):
                panel.plot([place] * len(values), values, "o", ms=3, color=color)
            panel.plot(places, PAPER[curriculum, key], "k_", ms=12, mew=1.8)
        panel.plot([], [], "k_", ms=10, label="paper")
        panel.plot([], [], "o", ms=3, color="grey", label="each seed")
        panel.set_title(key.upper(), fontsize=11)
        panel.set_xlabel("range of Table 1")
        panel.set_ylim(-3, 105)  # so that marks at 0 and 100 are seen whole
        tidy(panel)
    panels[0].set_ylabel("% of test trajectories")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
