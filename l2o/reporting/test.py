"""The test of an optimizer: measured, and drawn."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from l2o.evaluation.measure import EvaluationSettings, measure, sample_set
from l2o.evaluation.metrics import summarize
from l2o.io.seeds import generator
from l2o.optimizers import Optimizer
from l2o.problems import Problem
from l2o.reporting.progress import ProgressLine
from l2o.reporting.report import write_plots


def run_test(
    optimizer: Optimizer[Any],
    problem: Problem,
    settings: EvaluationSettings,
    seed: int,
    directory: Path,
    title: str,
    dtype: torch.dtype,
) -> dict[str, float]:
    """Tests an optimizer on the test set of a seed, in a float type, and writes the plots.

    Returns:
        The metrics `test/…`, and `time/test_s` of the unroll alone.
    """
    instances, start = sample_set(problem, settings, seed, "test", dtype)
    began = time.perf_counter()
    with ProgressLine("testing", settings.iterations, "iterations") as line:
        measured = measure(
            optimizer,
            instances,
            start,
            settings.iterations,
            generator=generator(seed, "test", "states"),
            on_chunk=line.advance,
        )
    seconds = time.perf_counter() - began
    write_plots(measured, instances, settings.starts, directory, title)
    metrics = {f"test/{name}": value for name, value in summarize(measured).items()}
    return {**metrics, "time/test_s": seconds}
