"""Appendix A5 of the paper: what Twin-L2O and K-beam compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from l2o.reporting.tables import Column, Table
from l2o.reproduction.jobs import Job

ITERATIONS = 20 * 1000
"""20 trials of one instance, 1000 iterations each; the paper's totals are of these."""
PAPER = {"kbeam_1": 2.36, "kbeam_2": 3.8, "kbeam_5": 8.11, "kbeam_10": 15.31, "TwinL2O": 3.86}
"""Multiply-accumulates in millions (Shen et al., ICLR 2021, Appendix A5)."""


class Count(NamedTuple):
    """The multiply-accumulates of one optimizer, in millions."""

    products: float
    """In matrix products."""
    elementwise: float
    """In operations on single numbers."""

    @property
    def total(self) -> float:
        """Both together."""
        return self.products + self.elementwise


def counts_of(jobs: Sequence[Job]) -> dict[str, Count]:
    """The counts of each optimizer of the paper's appendix.

    Args:
        jobs: The one job of the target, finished.
    """
    metrics = jobs[0].metrics
    return {
        name: Count(*((metrics[f"{name}/{key}"] or 0.0) / 1e6 for key in Count._fields))
        for name in PAPER
    }


def beam_ratio(totals: dict[str, float]) -> float:
    """How many times as much as Twin-L2O K-beam with K = 5 computes."""
    return totals["kbeam_5"] / totals["TwinL2O"]


def _table(counts: Mapping[str, Count]) -> str:
    heads = ("ours, millions", "in matrix products", "element-wise", "ours / paper")
    columns = [Column("optimizer"), Column("paper, millions", "{:g}".format)]
    columns += [Column(head, "{:.2f}".format) for head in heads]
    rows = []
    for name, paper in PAPER.items():
        ours = counts[name]
        rows.append([name, paper, ours.total, *ours, ours.total / paper])
    return Table(columns, rows).markdown()


def appendix_a5(jobs: Sequence[Job], path: Path) -> str:
    """The section on Appendix A5."""
    counts = counts_of(jobs)
    lines = [
        "## Appendix A5: multiply-accumulates",
        "",
        "Paper: K-beam with K = 5, the one of Figure 2, computes "
        f"{beam_ratio(PAPER):.1f} times as much as Twin-L2O (seesaw, one instance, 20 trials of "
        "1000 iterations).",
        "",
        _table(counts),
    ]
    ours_total = {name: count.total for name, count in counts.items()}
    per_iteration = PAPER["TwinL2O"] * 1e6 / ITERATIONS
    products = counts["TwinL2O"].products * 1e6 / ITERATIONS
    return "\n".join(
        [
            *lines,
            "",
            "Counted while they run, gradients included. A multiplication in a matrix product is "
            "one together with its addition, and so is every element-wise operation on one number "
            "(+, ·, sin, tanh, clamp, …). Copies, sums and argmax are not counted; of the pair of "
            "gradients that is computed for K-beam, one is used.",
            "",
            f"K-beam with K = 5 computes {beam_ratio(ours_total):.2g} times as much as Twin-L2O. "
            f"The paper's {PAPER['TwinL2O']} million are {per_iteration:.0f} an iteration; the "
            f"matrix products of two LSTMs with 50 hidden units need {products:.0f}.",
        ]
    )
