"""Runs an optimizer on instances and judges it as their problem asks for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from l2o.evaluation.measure import measure
from l2o.evaluation.metrics import Measurements
from l2o.evaluation.quality import Assessment, assess
from l2o.games import Iterate
from l2o.optimizers import Optimizer
from l2o.problems import Instances


def examine(
    optimizer: Optimizer[Any],
    instances: Instances,
    start: Iterate,
    iterations: int,
    *,
    starts: int = 1,
    generator: torch.Generator | None = None,
    on_chunk: Callable[[int], object] = lambda done: None,
) -> Measurements | Assessment:
    """Unrolls an optimizer and records what its problem is judged by: measures, or distances.

    Arguments as of `assess`.
    """
    run = partial(assess, starts=starts) if instances.problem.assessed else measure
    return run(optimizer, instances, start, iterations, generator=generator, on_chunk=on_chunk)
