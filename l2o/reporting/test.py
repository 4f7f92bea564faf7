"""The test of an optimizer: measured, written, and drawn."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from l2o.evaluation.examine import examine
from l2o.evaluation.measure import EvaluationSettings, sample_set
from l2o.evaluation.quality import Assessment
from l2o.io.seeds import generator
from l2o.optimizers import Optimizer
from l2o.problems import Problem
from l2o.reporting.plots import has_plane, plot_convergence, plot_plane
from l2o.reporting.progress import ProgressLine
from l2o.reporting.quality_plots import plot_quality, plot_strips
from l2o.reporting.report import print_metrics, write_metrics


def run_test(
    optimizer: Optimizer[Any],
    problem: Problem,
    settings: EvaluationSettings,
    seed: int,
    dtype: torch.dtype,
    directory: Path,
    title: str,
    details: str = "",
    known: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Tests an optimizer on the test set of a seed, in a float type.

    Writes `metrics.json`, then draws `plots/` and prints the metrics: what is only to be seen may
    fail, and costs a warning.

    Args:
        optimizer: Any optimizer.
        problem: The family it is tested on.
        settings: The size of the test.
        seed: Of the test set.
        dtype: The float type to compute in.
        directory: Where results go.
        title: What is tested, for table and plots.
        details: More of it, for the plots: the problem's settings and the checkpoint.
        known: Metrics of the same run that are written before those of the test.

    Returns:
        The metrics: what was known, `test/…`, and `time/test_s` of the unroll alone.
    """
    instances, start = sample_set(problem, settings, seed, "test", dtype)
    began = time.perf_counter()
    with ProgressLine("testing", settings.iterations, "iterations") as line:
        found = examine(
            optimizer,
            instances,
            start,
            settings.iterations,
            starts=settings.starts,
            generator=generator(seed, "test", "states"),
            on_chunk=line.advance,
        )
    seconds = time.perf_counter() - began
    tested = {f"test/{name}": value for name, value in found.summary().items()}
    metrics = {**(known or {}), **tested, "time/test_s": seconds}
    write_metrics(metrics, directory)

    plots = directory / "plots"
    if isinstance(found, Assessment):
        plot_quality(plots / "convergence.png", found, title, details)
        if found.samples:
            plot_strips(plots / "samples.png", {type(optimizer).__name__: found}, title, details)
    else:
        plot_convergence(plots / "convergence.png", found, title, details)
        if has_plane(found, instances):
            plot_plane(plots / "success.png", found, instances, settings.starts, title, details)
    print_metrics(metrics, title, directory)
    return metrics
