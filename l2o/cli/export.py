"""Makes a file of weights for the package out of a training run, with its measured results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from l2o.evaluation.measure import EvaluationSettings, measure, sample_set
from l2o.evaluation.metrics import median, settling_iteration
from l2o.io import checks, memory
from l2o.io.memory import build_module
from l2o.io.pretrained import WEIGHTS, Pretrained, write_weights
from l2o.io.seeds import generator
from l2o.io.settings import build, construct
from l2o.optimizers import LearnedOptimizer
from l2o.optimizers.learned.loading import load_checkpoint
from l2o.problems import Problem
from l2o.reporting.progress import ProgressLine

DECISIVE = (
    "variant",
    "problem",
    "mixture",
    "protocol",
    "estimator",
    "reward",
    "curriculum",
    "seed",
)
"""The parts of a run's config that its weights depend on."""
PRECISE = 1e-6
"""Oracle calls are counted until the distance stays below this."""


def export(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Measures an optimizer on all testbed problems and writes it beside the others.

    Args:
        config: A composed config of `conf/export.yaml`, as plain data.

    Returns:
        The results by problem.

    Raises:
        UserError: If the config cannot work; raised before any long work.
    """
    seed = checks.count("seed", config["seed"], minimum=0)
    optimizer: LearnedOptimizer[Any]
    if config["checkpoint"] is None:
        optimizer = build_module(config["variant"], LearnedOptimizer, "variant")
        trained = {"variant": config["variant"], "seed": seed}
    else:
        path = checks.path("checkpoint", config["checkpoint"])
        with checks.naming("checkpoint"):
            optimizer, trained = load_checkpoint(path)
        trained = {key: value for key, value in trained.items() if key in DECISIVE}
    described = checks.mapping("problems", config["problems"])
    if not described:
        raise checks.refusal("problems", "at least one problem", described)
    problems = {n: build(one, Problem, f"problems.{n}") for n, one in described.items()}
    size = construct(EvaluationSettings, config["evaluation"], "evaluation")
    for name, problem in problems.items():
        asked = {f"problems.{name}": described[name], "evaluation": config["evaluation"]}
        memory.check(size.numbers(problem), **asked)
    path = WEIGHTS / f"{checks.path('name', config['name'])}.safetensors"
    if not path.resolve().is_relative_to(WEIGHTS.resolve()):
        raise checks.refusal("name", "one such as structured_twin/mine", config["name"])
    precise, results = optimizer.double(), {}
    with ProgressLine("measuring", len(problems), "problems") as line:
        for name, problem in problems.items():
            line.note(name)
            results[name] = {
                "problem": config["problems"][name],
                "evaluation": {**config["evaluation"], "seed": seed},
                **figures(precise, problem, size, seed),
            }
            line.advance()
    write_weights(optimizer.float(), Pretrained(trained, results), path)
    print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")
    return results


def figures(
    optimizer: LearnedOptimizer[Any], problem: Problem, size: EvaluationSettings, seed: int
) -> dict[str, float]:
    """What is recorded of an optimizer on a problem, in double precision.

    Returns:
        `sr1`, `sr2`, `distance_median`, …, and `calls`: the median of the oracle calls after
        which the distance stays below 1e-6.
    """
    instances, start = sample_set(problem, size, seed, "test", torch.double)
    states = generator(seed, "test", "states")
    measured = measure(optimizer, instances, start, size.iterations, generator=states)
    calls = optimizer.oracle_calls(instances)
    settled = median(settling_iteration(measured, PRECISE)).item()
    return {**measured.summary(), "calls": calls.start + settled * calls.iteration}
