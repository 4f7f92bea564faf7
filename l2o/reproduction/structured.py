"""The structured twin: its trainings, its ablations, and where it stands among all methods."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

from l2o.reporting.tables import Column, Table
from l2o.reproduction.comparisons import Row, comparisons_of, picture, rows_of, table_of
from l2o.reproduction.groups import groups_of, table
from l2o.reproduction.jobs import Job

COLUMNS = {
    "optimizer": "optimizer",
    "sr1": "SR1",
    "sr2": "SR2",
    "calls_to_1e-06": "calls to 1e-6",
    "distance_after_100_calls": "after 100 calls",
    "distance_after_300_calls": "300",
    "distance_after_1000_calls": "1000",
    "memory": "memory",
    "per_1000_iterations_s": "s per 1000",
}
"""Of a comparison's table, what the report shows, and under which heading."""
AFTER = [key for key in COLUMNS if key.startswith("distance_after")]
SHOWN = 12
"""Rows of a comparison in the report: its best, beside all learned ones."""


def structured(jobs: Sequence[Job], path: Path) -> str:
    """The section on the structured twin.

    Args:
        jobs: All runs, finished.
        path: Of the report, without an ending.
    """
    trained = [job for job in jobs if job.script == "train"]
    lines = [
        "## Structured Twin-L2O",
        "",
        "Ours, not the paper's. Trainings, tested on the widest range of seesaw in single "
        "precision; `val/score` is the geometric mean of the iterations until the distance stays "
        "below 1e-4.",
        "",
        table("training", groups_of(trained, _told)),
        "",
        _scores(trained),
        "",
        "Comparisons, all in double precision on the same instances, hand-designed methods tuned. "
        "Dominated means: another method has both a higher SR1 and fewer oracle calls to 1e-6. "
        "Nearer at equal calls: how many others are, by their medians, after 100, 300 and 1000. "
        "Memory is in numbers for each coordinate. `TwinL2O_seed0` is Twin-L2O as the release's "
        "recipe trains it, `TwinL2O_seed0_2` Enhanced Twin-L2O.",
    ]
    for job in comparisons_of(jobs):
        lines += ["", f"### {_title(job)}", "", *_comparison(job, path)]
    return "\n".join(lines)


def _told(job: Job) -> str:
    """What distinguishes a training, without its seed."""
    changes = {k: v for k, v in job.settings.items() if k not in ("experiment", "seed")}
    name = str(job.settings["experiment"]).removeprefix("structured_")
    return ", ".join([name, *(f"{key.split('.')[-1]}={value}" for key, value in changes.items())])


def _scores(trained: Sequence[Job]) -> str:
    """Validation score and time of each training."""
    rows = []
    for group in groups_of(trained, _told):
        keys = ("val/score", "time/fit_s")
        found = [", ".join(f"{run[key] or math.inf:.1f}" for run in group.runs) for key in keys]
        rows.append([group.label, *found])
    heads = ("training, by seed", "val/score", "training, s")
    return Table([Column(head) for head in heads], rows).markdown()


def _title(job: Job) -> str:
    """The problem of a comparison, in words."""
    left_out = ("checkpoints", "seed", "only", "problem")
    changes = [
        f"{key.split('.')[-1]} = {value}"
        for key, value in job.settings.items()
        if key not in left_out and not key.startswith(("evaluation", "validation", "methods"))
    ]
    return ", ".join([str(job.settings["problem"]).replace("_", " "), *changes])


def _comparison(job: Job, path: Path) -> list[str]:
    """The best rows of its table, the standing of the learned optimizers, and its front."""
    rows = rows_of(job)
    kept = [row for place, row in enumerate(rows) if place < SHOWN or row["settings"] == "learned"]
    lines = [table_of(kept, COLUMNS)]
    for row in rows:
        if row["settings"] == "learned":
            above = [other["optimizer"] for other in rows if dominates(other, row)]
            told = f"dominated by {', '.join(above)}" if above else "not dominated"
            places = ", ".join(str(_nearer(key, row, rows)) for key in AFTER)
            lines += ["", f"`{row['optimizer']}`: {told}; nearer at equal calls: {places}."]
    # Where nobody is precise, as under noise, the front is empty and the way there tells more.
    precise = any(math.isfinite(float(row["calls_to_1e-06"] or math.inf)) for row in rows)
    plot = "front" if precise else "oracle_calls"
    told = "Success against oracle calls" if precise else "Distance against oracle calls"
    name = f"{plot}_" + re.sub(r"[^\w.-]+", "_", _title(job))
    return [*lines, "", picture(job, plot, path, name, told)]


def _nearer(key: str, row: Row, rows: Sequence[Row]) -> int:
    """How many others have a smaller median distance in a column."""
    distances = [float(other.get(key) or math.inf) for other in rows]
    return sum(distance < float(row.get(key) or math.inf) for distance in distances)


def dominates(one: Row, other: Row) -> bool:
    """Whether one optimizer has both a higher SR1 and fewer oracle calls to 1e-6."""
    calls = [float(row["calls_to_1e-06"] or math.inf) for row in (one, other)]
    return float(one["sr1"]) > float(other["sr1"]) and calls[0] < calls[1]
