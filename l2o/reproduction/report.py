"""The report of a reproduction: what the paper says, what came out, one sentence on each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from l2o.reproduction.a5 import appendix_a5
from l2o.reproduction.claims import summary
from l2o.reproduction.comparisons import figure2, figure3
from l2o.reproduction.jobs import Job
from l2o.reproduction.structured import structured
from l2o.reproduction.table1 import table1
from l2o.reproduction.trained import appendix_a6, figure1, matrix_game, paper_protocol

HEAD = """# What reproduces

Made by `l2o-reproduce target=all` from the runs that were finished; SR1 and SR2 as in
the README, in % of 2000 test trajectories, the mean over training seeds with the lowest and the
highest in brackets; distances are medians. "Paper" is Shen et al., ICLR 2021. It and the code that
was released with it differ: "release's recipe" is what the code does (`protocol=release`), "paper's
protocol" what the text says (`protocol=paper`)."""


def write_report(jobs: Mapping[str, Sequence[Job]], path: Path) -> None:
    """Writes `<path>.md` and the plots in the folder `<path>`.

    Args:
        jobs: Of every target; those that are not finished are told as missing.
        path: Without an ending.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    done = {name: [job for job in group if job.finished] for name, group in jobs.items()}
    told = {
        name: group
        for name, group in done.items()
        if group and (len(group) == len(jobs[name]) or name in PIECEMEAL)
    }
    parts = [HEAD, summary(told)]
    for name, section in SECTIONS.items():
        if name in told:
            parts.append(section(told[name], path))
        if done.get(name) and len(done[name]) < len(jobs[name]):
            heading = [] if name in told else [f"## {name}"]
            count = f"{len(done[name])} of {len(jobs[name])} runs are finished."
            parts += [*heading, count]
    path.with_suffix(".md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


SECTIONS: dict[str, Callable[[Sequence[Job], Path], str]] = {
    "structured": structured,
    "figure1": figure1,
    "figure2": figure2,
    "matrix_game": matrix_game,
    "figure3": figure3,
    "table1": table1,
    "a5": appendix_a5,
    "a6": appendix_a6,
    "paper_protocol": paper_protocol,
}
"""What is written on each target, in the order of the report."""
PIECEMEAL = ("structured", "matrix_game", "paper_protocol")
"""Targets whose runs are told one by one, without waiting for the others."""
