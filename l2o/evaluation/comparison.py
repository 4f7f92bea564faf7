"""What a comparison finds of every optimizer.

Axes: T iterations, B trajectories.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from l2o.evaluation.metrics import Measurements, median, settling_iteration
from l2o.evaluation.quality import Assessment
from l2o.evaluation.tuning import Tuning
from l2o.optimizers import OracleCalls

TOLD = (50, 100, 200, 500, 1000)
"""The iterations at which distances are reported."""
THRESHOLDS = (1e-2, 1e-4, 1e-6)
"""The distances for which oracle calls are reported."""
BUDGETS = (100, 300, 1000)
"""The oracle calls after which distances are reported."""


class Result(NamedTuple):
    """What was found of one optimizer."""

    name: str
    learned: bool
    calls: OracleCalls
    tuning: Tuning | None
    """None if there is nothing to tune."""
    quantity: str
    """What was measured, `distance` or `gradient_norm`, or the first measure of the problem."""
    medians: Tensor
    """Over the trajectories, of x, of y and of both, (3, T + 1); none if it was assessed."""
    numbers: dict[str, float]
    """Its row of the table, without name and settings."""
    assessment: Assessment | None = None
    """What was found by the problem's own measures, if it has any."""

    @classmethod
    def of(
        cls,
        name: str,
        found: Measurements | Assessment,
        calls: OracleCalls,
        tuning: Tuning | None = None,
        *,
        learned: bool = False,
        test_seconds: float = 0.0,
        tuning_seconds: float = 0.0,
    ) -> Result:
        """Summarizes what was found of one optimizer."""
        assessment = found if isinstance(found, Assessment) else None
        if isinstance(found, Assessment):
            quantity, iterations = found.measures[0].name, found.iterations[-1]
            medians, numbers = torch.empty(3, 0), _of_measures(found, calls)
        else:
            quantity, iterations = found.quantity, len(found.x) - 1
            medians = torch.stack([median(v) for v in (found.x, found.y, found.joint)])
            numbers = _of_distances(found, medians[2], calls)
        per_1000 = 1000 / max(1, iterations) * test_seconds
        numbers |= {"memory": found.memory, "per_1000_iterations_s": per_1000}
        numbers |= {"test_s": test_seconds, "tuning_s": tuning_seconds}
        # Last, as they are the optimizer's own.
        numbers |= {key: numbers.pop(key) for key in found.counts}
        return cls(name, learned, calls, tuning, quantity, medians, numbers, assessment)

    @property
    def settings(self) -> str:
        """Its tuned hyperparameters; a star marks a best value at the edge of its grid."""
        if self.tuning is None:
            return "learned" if self.learned else "tuning-free"
        stars = dict.fromkeys(self.tuning.at_edge, "*")
        best = self.tuning.best.items()
        return ", ".join(f"{name}={value:g}{stars.get(name, '')}" for name, value in best)


def _of_distances(found: Measurements, medians: Tensor, calls: OracleCalls) -> dict[str, float]:
    """Success, distances after iterations and oracle calls, and oracle calls to distances.

    Args:
        found: T + 1 iterates of B trajectories.
        medians: Of their distances, (T + 1,).
        calls: What the optimizer asks for.
    """
    quantity, summary = found.quantity, found.summary()
    numbers = {f"{quantity}_{k}": medians[k].item() for k in TOLD if k < len(medians)}
    numbers |= {key: summary[key] for key in ("sr1", "sr2") if key in summary}
    numbers["diverged"] = summary["diverged"]
    for budget in BUDGETS:
        done = max(0, math.floor((budget - calls.start) / calls.iteration))
        if done < len(medians):
            numbers[f"{quantity}_after_{budget}_calls"] = medians[done].item()
    for threshold in THRESHOLDS:
        settled = median(settling_iteration(found, threshold)).item()
        numbers[f"calls_to_{threshold:.0e}"] = calls.start + calls.iteration * settled
    numbers["calls_per_iteration"] = calls.iteration
    return numbers | {key: summary[key] for key in found.counts}


def _of_measures(found: Assessment, calls: OracleCalls) -> dict[str, float]:
    """The summary of every measure, also at equal oracle calls, and the calls of the whole run."""
    iterations, numbers = found.iterations[-1], found.summary()
    # What it had reached when a method of one call an iteration would have come to its end.
    affordable = [calls.start + calls.iteration * k <= iterations for k in found.iterations]
    for measure, curve in zip(found.measures, found.curves, strict=True):
        if any(affordable):
            reached = curve[torch.tensor(affordable)][-1].item()
            numbers[f"{measure.name}_after_{iterations}_calls"] = reached
    numbers["calls"] = calls.start + calls.iteration * iterations
    return numbers


def comparison_metrics(results: Iterable[Result]) -> dict[str, float]:
    """All numbers under `<optimizer>/<number>`."""
    return {f"{r.name}/{key}": value for r in results for key, value in r.numbers.items()}
