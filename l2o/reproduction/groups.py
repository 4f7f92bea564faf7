"""The runs of several seeds under equal settings, and their table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import mean
from typing import NamedTuple

from l2o.reporting.tables import Column, Table
from l2o.reproduction.jobs import Job


class Group(NamedTuple):
    """The runs of several seeds under equal settings."""

    label: str
    runs: list[dict[str, float | None]]
    """Their metrics, one for each seed."""

    def values(self, key: str) -> list[float]:
        """One metric over the seeds; a number that was not finite is infinite."""
        found = (run[f"test/{key}"] for run in self.runs)
        return [float("inf") if value is None else value for value in found]

    def percent(self, key: str) -> str:
        """Mean (lowest–highest) in %, the mean alone if there is one seed."""
        values = [100 * value for value in self.values(key)]
        spread = f" ({min(values):.4g}–{max(values):.4g})" if len(values) > 1 else ""
        return f"{mean(values):.1f}{spread}"


def groups_of(jobs: Sequence[Job], label: Callable[[Job], str]) -> list[Group]:
    """The runs of each label, in the order of the sweep."""
    found: dict[str, list[dict[str, float | None]]] = {}
    for job in jobs:
        found.setdefault(label(job), []).append(job.metrics)
    return [Group(name, runs) for name, runs in found.items()]


def table(heading: str, groups: Iterable[Group]) -> str:
    """A table with a row for each group.

    Args:
        heading: Of the labels.
        groups: In the order of the rows.
    """
    heads = (heading, "SR1", "SR2", "diverged", "median distance at the end, by seed")
    rows = []
    for group in groups:
        shares = [group.percent(key) for key in ("sr1", "sr2", "diverged")]
        last = ", ".join(f"{value:.1e}" for value in group.values("distance_median"))
        rows.append([group.label, *shares, last])
    return Table([Column(head) for head in heads], rows).markdown()
