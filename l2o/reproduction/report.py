"""The report of a reproduction: what the paper says, what came out, one sentence on each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from l2o.reproduction.comparisons import figure2, figure3
from l2o.reproduction.jobs import Job
from l2o.reproduction.table1 import table1

HEAD = """# What reproduces

Made by `python scripts/reproduce.py target=all` from the runs that were finished; SR1 and SR2 as in
the README, in % of 2000 test trajectories, the mean over training seeds with the lowest and the
highest in brackets. "Paper" is Shen et al., ICLR 2021."""


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
        """Mean (lowest–highest) in %."""
        values = [100 * value for value in self.values(key)]
        mean = sum(values) / len(values)
        return f"{mean:.1f} ({min(values):.0f}–{max(values):.0f})"


def groups_of(jobs: Sequence[Job], key: str) -> list[Group]:
    """The runs of each value of a setting, in the order of the sweep."""
    found: dict[str, list[dict[str, float | None]]] = {}
    for job in jobs:
        found.setdefault(str(job.settings[key]), []).append(job.metrics)
    return [Group(label, runs) for label, runs in found.items()]


def write_report(jobs: Mapping[str, Sequence[Job]], path: Path) -> None:
    """Writes `<path>.md` and the plots in the folder `<path>`.

    Args:
        jobs: Of every target; those that are not finished are told as missing.
        path: Without an ending.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [HEAD]
    for name, section in SECTIONS.items():
        of_target = jobs.get(name, [])
        finished = [job for job in of_target if job.finished]
        if of_target and len(finished) == len(of_target):
            parts.append(section(finished, path))
        elif finished:
            parts.append(f"## {name}\n\n{len(finished)} of {len(of_target)} runs are finished.")
    path.with_suffix(".md").write_text("\n\n".join(parts) + "\n")


def figure1(jobs: Sequence[Job], path: Path) -> str:
    """The four ablations of Section 4.1."""
    groups = {group.label: group for group in groups_of(jobs, "variant")}
    best = max(groups.values(), key=lambda group: sum(group.values("sr1")))
    two = groups["twin"]
    claim = sum(two.values("sr1")) >= sum(best.values("sr1"))
    equals = [g.label for g in groups.values() if g.values("sr1") == two.values("sr1")][1:]
    alike = f"; {', '.join(f'`{name}`' for name in equals)} is as good" if equals else ""
    verdict = (
        f"no other variant reaches a higher SR1: holds with the release's recipe{alike}."
        if claim
        else f"`{best.label}` reaches a higher SR1: does not hold with the release's recipe."
    )
    return "\n".join(
        [
            "## Figure 1: sharing weights, sharing the hidden state",
            "",
            "Paper: two LSTMs with two hidden states converge best (seesaw, a, b in [0.9, 1]).",
            "",
            *_table("variant", groups.values()),
            "",
            f"Of the four, {verdict}",
        ]
    )


def appendix_a6(jobs: Sequence[Job], path: Path) -> str:
    """The rewards of Appendix A6."""
    groups = {group.label: group for group in groups_of(jobs, "reward")}
    ours = {name: sum(group.values("sr1")) for name, group in groups.items()}
    worse = ours["gradient"] < ours["objective"]
    useless = max(groups["nikaido_isoda"].values("sr1")) < 0.5
    return "\n".join(
        [
            "## Appendix A6: the reward",
            "",
            "Paper: squared gradient norms (Eq. 38) solve seesaw worse than the objective-based "
            "reward (Eq. 4), with x diverging; Nikaido–Isoda (Eq. 39) is ineffective.",
            "",
            *_table("reward", groups.values()),
            "",
            f"Eq. 38 is worse than Eq. 4: {'holds' if worse else 'does not hold'}. "
            f"Eq. 39 is ineffective: {'holds' if useless else 'does not hold'}. "
            "All under the release's recipe, where each half-step answers for itself.",
        ]
    )


def _table(heading: str, groups: Iterable[Group]) -> list[str]:
    rows = [
        f"| {heading} | SR1 | SR2 | diverged | median distance at the end, by seed |",
        "|---|---|---|---|---|",
    ]
    for group in groups:
        shares = " | ".join(group.percent(key) for key in ("sr1", "sr2", "diverged"))
        last = ", ".join(f"{value:.1e}" for value in group.values("distance_median"))
        rows.append(f"| `{group.label}` | {shares} | {last} |")
    return rows


SECTIONS: dict[str, Callable[[Sequence[Job], Path], str]] = {
    "figure1": figure1,
    "figure2": figure2,
    "figure3": figure3,
    "table1": table1,
    "a6": appendix_a6,
}
"""What is written on each target, in the order of the report."""
