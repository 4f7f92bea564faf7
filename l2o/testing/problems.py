"""What every problem must be."""

from __future__ import annotations

import torch

from l2o.io import checks
from l2o.io.errors import UserError
from l2o.io.seeds import generator, single_precision
from l2o.problems import Problem

COUNT = 3
"""Instances that are compared."""


def check_problem(problem: Problem) -> None:
    """Tries what every problem must be; see `Problem.check`, of which this is all and more.

    Instances in a batch are what they are alone, and one that diverges changes no other; closed
    forms are the derivatives of the costs, these are those of finite differences, and products
    with them are symmetric; derivatives are partial; `nearest` is a solution, and the nearest;
    `affine`, `broadcasts` and `zero_sum` are true; draws and samples are functions of their
    generator; all of that whatever the default float type is.

    Args:
        problem: The problem.

    Raises:
        UserError: At the first thing that is not so.
    """
    if not isinstance(problem, Problem):
        raise checks.refusal("check_problem", "a problem", problem)
    name, found = type(problem).__name__, []
    for default in (torch.float32, torch.float64):
        with single_precision():  # puts the default back
            torch.set_default_dtype(default)
            problem.check()
            instances = problem.sample(COUNT, generator(0, "check"))
            start = problem.sample_start(COUNT, generator(0, "check"))
        found.append([*start, *instances.theta.values()])
    if not all(torch.equal(*pair) for pair in zip(*found, strict=True)):
        raise UserError(
            f"{name}: expected the same instances and starting points whatever the default float "
            "type is, got others where it is double; name it, torch.rand(…, dtype=torch.float32)"
        )
