"""Evaluation of a learned optimizer from its file to results on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from l2o.evaluation.measure import EvaluationSettings
from l2o.io import checks, memory
from l2o.io.directory import begun
from l2o.io.errors import UserError
from l2o.io.settings import TARGET, build, construct
from l2o.optimizers import Optimizer
from l2o.optimizers.learned.loading import Checkpoint, load_checkpoint
from l2o.optimizers.learned.released import load_released
from l2o.problems import Problem
from l2o.reporting.report import described, write_config, write_versions
from l2o.reporting.test import run_test


def evaluate(config: Mapping[str, Any]) -> dict[str, float]:
    """Tests a checkpoint, or the released weights, and writes results into `run_dir`.

    Args:
        config: A composed config of `conf/evaluate.yaml`, as plain data. What it leaves null
            is as in the checkpoint.

    Returns:
        The metrics, as in `metrics.json`: `test/…` and `time/test_s`.

    Raises:
        UserError: If the config cannot work; raised before any long work.
    """
    directory = checks.path("run_dir", config["run_dir"])
    checks.flag("trust_classes", config["trust_classes"])
    learned = _learned(config)
    seed = config["seed"] if config["seed"] is not None else learned.config.get("seed")
    seed = checks.count("seed", seed, minimum=0)
    settings = _merged(learned.config.get("problem", {}), config["problem"])
    named = TARGET in _given("problem", config["problem"])
    own_only = not config["trust_classes"] and not named
    problem = build(settings, Problem, "problem", own_only=own_only)
    trained = _given("evaluation", learned.config.get("evaluation", {}))
    size = {**trained, **_given("evaluation", config["evaluation"])}
    evaluation = construct(EvaluationSettings, size, "evaluation")
    memory.check(evaluation.numbers(problem), problem=settings, evaluation=size)
    problem.check()

    plain: dict[str, Optimizer[Any]] = {type(learned.optimizer).__name__: learned.optimizer}
    ((name, optimizer),) = (safeguarded(plain, config.get("safeguard")) or plain).items()

    used = {**config, "problem": settings, "evaluation": size, "seed": seed}
    title = f"{name} on {type(problem).__name__}, seed {seed}"
    with begun(directory):
        write_config(used, directory)
        write_versions(directory)
        dtype = learned.optimizer.dtype
        test = (problem, evaluation, seed, dtype)
        details = f"{described(settings)}\n{_source(config)}"
        return run_test(optimizer, *test, directory, title, details)


def _source(config: Mapping[str, Any]) -> str:
    """Where the optimizer comes from: the last parts of its path, enough to name the run."""
    given = config["checkpoint"] or config["released_min"]
    parts = [part for part in Path(str(given)).parts if part != "checkpoints"]
    return f"checkpoint {'/'.join(parts[-3:])}"


def safeguarded(
    optimizers: Mapping[str, Optimizer[Any]], settings: Mapping[str, Any] | None
) -> dict[str, Optimizer[Any]]:
    """Each optimizer inside the safeguard of the settings, named `<name>+halpern`.

    Returns:
        The wrapped optimizers; none if the settings name no safeguard.

    Raises:
        UserError: If a setting is unknown or not allowed, or there is nothing to wrap.
    """
    settings = {} if settings is None else checks.mapping("safeguard", settings)
    if settings.get(TARGET) is None:
        return {}
    if not optimizers:
        raise UserError("safeguard: expected a checkpoint to guard, as in 'checkpoints=[PATH]'")
    wrapped = {
        name: build({**settings, "optimizer": optimizer}, Optimizer, "safeguard")
        for name, optimizer in optimizers.items()
    }
    return {f"{name}+{_label(guard)}": guard for name, guard in wrapped.items()}


def _label(guard: Optimizer[Any]) -> str:
    """What a safeguard adds to a name: `halpern` for a `HalpernSafeguard`."""
    return type(guard).__name__.removesuffix("Safeguard").lower()


def _learned(config: Mapping[str, Any]) -> Checkpoint:
    """The optimizer to test, with the config it was trained under."""
    given = {n: config[n] for n in ("checkpoint", "released_min", "released_max")}
    path, min_path, max_path = (
        None if value is None or value == "" else checks.path(name, value)
        for name, value in given.items()
    )
    if (path is None) == (min_path is None and max_path is None):
        values = ", ".join(f"{name}={checks.shown(value)}" for name, value in given.items())
        raise UserError(
            "checkpoint: expected either checkpoint=PATH or both released_min=PATH and "
            f"released_max=PATH, got {values}"
        )
    if path is not None:
        with checks.naming("checkpoint"):
            return load_checkpoint(path, trust_classes=config["trust_classes"])
    if min_path is None or max_path is None:
        missing = "released_min" if min_path is None else "released_max"
        raise UserError(f"{missing}: expected the path of the other weight file, got nothing")
    state_std = checks.number("released_state_std", config["released_state_std"], minimum=0)
    with checks.naming("released_min, released_max"):
        optimizer = load_released(min_path, max_path, state_std=state_std)
    # The released weights come without a config; they were trained on range 1 of seesaw.
    defaults = {"seed": 0, "problem": {TARGET: "l2o.problems.Seesaw"}, "evaluation": {}}
    return Checkpoint(optimizer, defaults)


def _merged(trained_on: object, given: object) -> dict[str, Any]:
    """The problem to test on: another one entirely, or the trained one with changes."""
    changes = _given("problem", given)
    return changes if TARGET in changes else {**_given("problem", trained_on), **changes}


def _given(name: str, settings: object) -> dict[str, Any]:
    given = checks.mapping(name, settings)
    return {key: value for key, value in given.items() if value is not None}
