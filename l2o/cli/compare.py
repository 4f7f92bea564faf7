"""Comparison: hand-designed methods, tuned, and learned optimizers on the same test set."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch

from l2o.cli.evaluate import safeguarded
from l2o.evaluation.comparison import Result, comparison_metrics
from l2o.evaluation.examine import examine
from l2o.evaluation.measure import EvaluationSettings, sample_set
from l2o.evaluation.tuning import Tuning, tune
from l2o.io import checks, memory
from l2o.io.directory import begun
from l2o.io.errors import UserError
from l2o.io.pretrained import pretrained
from l2o.io.seeds import generator
from l2o.io.settings import build, construct
from l2o.optimizers import Optimizer
from l2o.optimizers.hand_designed import HandDesigned
from l2o.optimizers.learned.loading import load_checkpoint
from l2o.problems import Instances, Iterate, Noisy, Problem
from l2o.reporting.comparison import (
    draw_comparison,
    print_comparison,
    write_tables,
    write_tuning,
)
from l2o.reporting.progress import ProgressLine
from l2o.reporting.report import described, write_config, write_metrics, write_versions

DTYPE = torch.double
"""The float type of every method: in single precision, the good ones would all end at rounding."""
NETWORKS = torch.float32
"""The float type where the problem has measures of its own, which never get near rounding."""

TestSet = tuple[Instances, Iterate]


def compare(config: Mapping[str, Any]) -> dict[str, float]:
    """Tunes, tests and compares optimizers, and writes results into `run_dir`.

    Args:
        config: A composed config of `conf/compare.yaml`, as plain data.

    Returns:
        The metrics, as in `metrics.json`: `<optimizer>/…`.

    Raises:
        UserError: If the config cannot work; raised before any long work.
    """
    seed = checks.count("seed", config["seed"], minimum=0)
    noise = checks.number("noise", config["noise"], minimum=0)
    problem = build(config["problem"], Problem, "problem")
    sizes = {name: _size(name, config, problem) for name in ("evaluation", "validation")}
    problem.check()
    directory = checks.path("run_dir", config["run_dir"])
    methods = checks.mapping("methods", config["methods"])
    only = list(methods) if config["only"] is None else checks.names("only", config["only"])
    budget = config["budget"]
    if budget is not None:
        checks.count("budget", budget)
    trusted = checks.flag("trust_classes", config["trust_classes"])
    dtype = NETWORKS if problem.assessed else DTYPE
    learned = _learned(checks.names("checkpoints", config["checkpoints"]), trusted, dtype)
    guarded = safeguarded(learned, config["safeguard"])
    count = sizes["evaluation"].instances * sizes["evaluation"].starts
    optimizers = {**hand_designed(methods, only, problem, count), **learned, **guarded}
    if not optimizers:
        raise UserError("only: expected at least one method or checkpoint, got none")
    seen = Noisy(problem, noise) if noise else problem
    validation = sample_set(seen, sizes["validation"], seed, "validation", dtype)
    test = sample_set(seen, sizes["evaluation"], seed, "test", dtype)
    # Judged without noise, under which no matrix is singular.
    optimizers, refused = _applicable(optimizers, test)
    if not optimizers:
        raise UserError("; ".join(refused.values()))

    title = f"{type(problem).__name__}, seed {seed}" + (f", noise {noise:g}" if noise else "")
    with begun(directory):
        write_config(config, directory)
        write_versions(directory)
        size = sizes["evaluation"]
        results = _results(optimizers, validation, test, size, budget, seed, directory)
        metrics = comparison_metrics(results)
        details = described(config["problem"])
        write_tables(results, refused, directory, title, details)
        # Of what others rely on, the last; what is only to be seen comes after.
        write_metrics(metrics, directory)
        draw_comparison(results, directory, title, details)
    print_comparison(results, refused, directory, title)
    return metrics


def _results(
    optimizers: Mapping[str, Optimizer[Any]],
    validation: TestSet,
    test: TestSet,
    size: EvaluationSettings,
    budget: int | None,
    seed: int,
    directory: Path,
) -> list[Result]:
    """Those of all optimizers, in their order; each grid is written as soon as it is searched."""
    results: list[Result] = []
    with ProgressLine("comparing", len(optimizers), "optimizers") as line:
        for name, optimizer in optimizers.items():
            line.note(name)
            result = _result(name, optimizer, validation, test, size, budget, seed, line)
            if result.tuning:
                write_tuning(name, result.tuning, directory)
            results.append(result)
            line.advance()
    return results


def _result(
    name: str,
    optimizer: Optimizer[Any],
    validation: TestSet,
    test: TestSet,
    size: EvaluationSettings,
    budget: int | None,
    seed: int,
    line: ProgressLine,
) -> Result:
    """Tunes an optimizer if it can be tuned, and measures it on the test set."""
    tuning: Tuning | None = None
    began = time.perf_counter()
    if isinstance(optimizer, HandDesigned) and optimizer.grids:
        tuning = tune(
            optimizer,
            *validation,
            size.iterations,
            budget,
            on_points=lambda points: line.note(f"{name}: tuning, {points} points"),
        )
        optimizer = tuning.method
    tuned = time.perf_counter()
    line.note(f"{name}: testing")
    states = generator(seed, "test", "states")
    found = examine(optimizer, *test, size.iterations, starts=size.starts, generator=states)
    ended = time.perf_counter()
    return Result.of(
        name,
        found,
        optimizer.oracle_calls(test[0]),
        tuning,
        learned=not isinstance(optimizer, HandDesigned),
        test_seconds=ended - tuned,
        tuning_seconds=tuned - began,
    )


def hand_designed(
    methods: Mapping[str, Any], only: list[str], problem: Problem, count: int
) -> dict[str, HandDesigned[Any]]:
    """The methods that were asked for.

    Args:
        methods: All of the config.
        only: The names of those that were asked for.
        problem: What they will run on.
        count: On how many instances at a time.

    Raises:
        UserError: If there is none such, or its states are larger than the memory.
    """
    for name in only:
        if name not in methods:
            raise UserError(f"only: no method {name!r}; choose from {', '.join(methods)}")
    found = {name: build(methods[name], HandDesigned, f"methods.{name}") for name in only}
    game = problem.sample(1, generator(0, "check"), dtype=DTYPE, device="meta")
    start = problem.sample_start(1, generator(0, "check"), dtype=DTYPE, device="meta")
    for name, method in found.items():
        with suppress(UserError):  # it cannot be applied, which is told later
            state = memory.numbers_in(partial(method.init, game, start))
            memory.check(count * state, **{f"methods.{name}": methods[name]})
    return found


def _learned(
    paths: list[str], trust_classes: bool, dtype: torch.dtype
) -> dict[str, Optimizer[Any]]:
    """The learned optimizers: checkpoints named by class and seed, shipped ones by name."""
    found: dict[str, Optimizer[Any]] = {}
    for path in paths:
        with checks.naming("checkpoints"):
            optimizer, trained = load_checkpoint(
                checks.path(repr(path), path), trust_classes=trust_classes
            )
        own = path if path in pretrained() else None
        base = own or f"{type(optimizer).__name__}_seed{trained.get('seed')}"
        name, copies = base, 1
        while name in found:
            copies += 1
            name = f"{base}_{copies}"
        found[name] = optimizer.to(dtype)
    return found


def _applicable(
    optimizers: Mapping[str, Optimizer[Any]], test: TestSet
) -> tuple[dict[str, Optimizer[Any]], dict[str, str]]:
    """Those that can be applied to the problem, and why the others cannot."""
    applicable, refused = {}, {}
    for name, optimizer in optimizers.items():
        try:
            optimizer.init(*test)
            applicable[name] = optimizer
        except UserError as error:
            refused[name] = str(error)
    return applicable, refused


def _size(name: str, config: Mapping[str, Any], problem: Problem) -> EvaluationSettings:
    # What is tuned for is what is tested: as many iterations in both.
    tested = checks.mapping("evaluation", config["evaluation"])
    settings = {"iterations": tested.get("iterations"), **checks.mapping(name, config[name])}
    size = construct(EvaluationSettings, settings, name)
    memory.check(size.numbers(problem), **{"problem": config["problem"], name: settings})
    return size
