"""Figures 2 and 3 of the paper: comparisons with tuned methods, and the safeguard."""

from __future__ import annotations

import csv
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from l2o.reporting.failures import spared
from l2o.reporting.tables import Column, Table, format_of, percent
from l2o.reproduction.jobs import Job

Row = Mapping[str, str]
COLUMNS = {
    "optimizer": "optimizer",
    "settings": "settings",
    "distance_100": "at 100",
    "distance_1000": "at 1000",
    "sr1": "SR1",
    "sr2": "SR2",
    "diverged": "diverged",
    "fallback": "fallback",
    "calls_to_1e-06": "calls to 1e-6",
}
"""Of a comparison's table, what the report shows, and under which heading."""
WORDS = ("optimizer", "settings")
"""The columns that are not numbers."""
RIVALS = ("gda", "ogda", "gd_anchoring", "kbeam_5", "halpern")
"""The methods that the paper compares with; the others are ours."""


class Ends(NamedTuple):
    """Where a comparison's optimizers end: median distances after 1000 iterations."""

    twin: float
    """Of Twin-L2O as it was trained."""
    twin_sr1: float
    """Its SR1."""
    guarded: float
    """Of safeguarded Twin-L2O; NaN if it was not compared."""
    guarded_sr1: float
    """Its SR1."""
    rivals: dict[str, float]
    """Of the methods that the paper compares with."""

    @property
    def best_rival(self) -> str:
        """The one of them that ends closest."""
        return min(self.rivals, key=lambda name: self.rivals[name])


def ends_of(jobs: Sequence[Job]) -> dict[str, Ends]:
    """Where optimizers end, by the name of each comparison.

    Args:
        jobs: Of one target, finished; those that train are passed over.
    """
    found = {}
    for job in comparisons_of(jobs):
        last = {row["optimizer"]: float(row["distance_1000"]) for row in rows_of(job)}
        learned = {row["optimizer"]: row for row in rows_of(job) if row["settings"] == "learned"}
        twin, *guarded = sorted(learned, key=len)
        found[str(job.settings["comparison"])] = Ends(
            last[twin],
            float(learned[twin]["sr1"]),
            last[guarded[0]] if guarded else math.nan,
            float(learned[guarded[0]]["sr1"]) if guarded else math.nan,
            {name: last[name] for name in RIVALS if name in last},
        )
    return found


def figure2(jobs: Sequence[Job], path: Path) -> str:
    """Twin-L2O against tuned methods on three problems."""
    claims = {
        "figure2_seesaw": (
            "Seesaw",
            "Paper: Twin-L2O largely outperforms all tuned methods, by a magnitude in precision.",
        ),
        "figure2_rotated_saddle": (
            "Rotated saddle",
            "Paper: no superiority; OMD has the best speed and solutions.",
        ),
        "figure2_matrix_game": (
            "Matrix game",
            "Paper: Twin-L2O is faster and more precise than the tuned methods.",
        ),
    }
    lines = ["## Figure 2: Twin-L2O and tuned methods"]
    for job in comparisons_of(jobs):
        name, claim = claims[str(job.settings["comparison"])]
        lines += ["", f"### {name}", "", claim, "", *_section(job, path), "", _standing(job)]
    return "\n".join(lines)


def figure3(jobs: Sequence[Job], path: Path) -> str:
    """Safeguarded Twin-L2O on games as in training and unlike them."""
    names = {
        "figure3_seen": "Seen: entries Bernoulli(0.5)·U[−1, 1]",
        "figure3_unseen": "Unseen: entries U[−8, 8]",
    }
    lines = [
        "## Figure 3: the safeguard",
        "",
        "Paper: on unseen games plain Twin-L2O diverges, safeguarded it converges, faster than "
        "Halpern's iteration and OMD and much better than GD-Anchoring. The safeguard has the "
        "step size that Halpern's iteration is tuned to.",
    ]
    for job in comparisons_of(jobs):
        name = names[str(job.settings["comparison"])]
        lines += ["", f"### {name}", "", *_section(job, path), "", _standing(job)]
    return "\n".join(lines)


def comparisons_of(jobs: Sequence[Job]) -> list[Job]:
    return [job for job in jobs if job.script == "compare"]


def rows_of(job: Job) -> list[dict[str, str]]:
    """The rows of its table, best first."""
    with (job.directory / "table.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table_of(rows: Sequence[Row], headings: Mapping[str, str]) -> str:
    """The table of a comparison.

    Args:
        rows: Of its `table.csv`.
        headings: By the names of the columns that are shown, as far as there are such.
    """
    shown = [key for key in headings if key in rows[0]]
    columns = [
        Column(headings[key], str if key in WORDS else format_of(key, digits=1)) for key in shown
    ]
    values = [[row[key] if key in WORDS else _number(row[key]) for key in shown] for row in rows]
    return Table(columns, values).markdown()


def _number(text: str) -> float | None:
    return float(text) if text else None


def picture(job: Job, plot: str, path: Path, name: str, text: str) -> str:
    """The line that shows a plot of a comparison, copied into the folder of the report.

    Args:
        job: The comparison.
        plot: Its name there, without an ending.
        path: The folder.
        name: Its name in the folder, without an ending.
        text: What it shows.
    """
    with spared(f"{name}.png"):
        path.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(job.directory / "plots" / f"{plot}.png", path / f"{name}.png")
    return f"![{text}]({path.name}/{name}.png)"


def _section(job: Job, path: Path) -> list[str]:
    """The table and the plot of a comparison."""
    name = str(job.settings["comparison"])
    shown = picture(job, "iterations", path, name, "Distance against iterations")
    return [table_of(rows_of(job), COLUMNS), "", shown]


def _standing(job: Job) -> str:
    """Where each learned optimizer stands among all."""
    rows = rows_of(job)
    sentences = []
    for row in rows:
        if row["settings"] == "learned":
            last = float(row["distance_1000"])
            closer = sum(float(other["distance_1000"]) < last for other in rows)
            sentences.append(
                f"{row['optimizer']} has the SR1 {percent(1)(float(row['sr1']))}; of the "
                f"{len(rows) - 1} others {closer} end closer to a solution (medians)."
            )
    return " ".join(sentences)
