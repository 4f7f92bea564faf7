"""What an optimizer computes: multiply-accumulates, counted while it runs.

Axes: B trajectories.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from l2o.cli.compare import hand_designed
from l2o.evaluation.measure import EvaluationSettings, sample_set
from l2o.evaluation.operations import Operations, count_operations
from l2o.io import checks, memory
from l2o.io.directory import begun
from l2o.io.memory import build_module
from l2o.io.settings import build, construct
from l2o.optimizers import LearnedOptimizer, Optimizer
from l2o.problems import Problem
from l2o.reporting.console import console
from l2o.reporting.report import write_config, write_metrics, write_versions


def operations(config: Mapping[str, Any]) -> dict[str, float]:
    """Counts the operations of a learned optimizer and of hand-designed methods.

    One instance is run from `starts` points; the counts, of an optimizer that is not trained,
    are those of a trained one. Results go into `run_dir`.

    Args:
        config: A composed config of `conf/operations.yaml`, as plain data.

    Returns:
        The metrics, as in `metrics.json`: `<optimizer>/products`, `<optimizer>/elementwise`.

    Raises:
        UserError: If the config cannot work; raised before any long work.
    """
    seed = checks.count("seed", config["seed"], minimum=0)
    directory = checks.path("run_dir", config["run_dir"])
    problem = build(config["problem"], Problem, "problem")
    sizes = {"instances": 1, **checks.mapping("evaluation", config["evaluation"])}
    size = construct(EvaluationSettings, sizes, "evaluation")
    memory.check(size.numbers(problem), problem=config["problem"], evaluation=sizes)
    problem.check()
    described = checks.mapping("methods", config["methods"])
    only = checks.names("only", config["only"])
    methods = hand_designed(described, only, problem, size.instances * size.starts)
    learned = build_module(config["variant"], LearnedOptimizer, "variant")
    test = sample_set(problem, size, seed, "test")
    optimizers: dict[str, Optimizer[Any]] = {**methods, type(learned).__name__: learned}
    found = {
        name: count_operations(optimizer, *test, size.iterations)
        for name, optimizer in optimizers.items()
    }
    metrics = {
        f"{name}/{key}": float(value)
        for name, counts in found.items()
        for key, value in counts._asdict().items()
    }
    with begun(directory):
        write_config(config, directory)
        write_versions(directory)
        write_metrics(metrics, directory)
    _print(found, directory)
    return metrics


def _print(found: Mapping[str, Operations], directory: Path) -> None:
    table = Table(title="multiply-accumulates, in millions", title_justify="left")
    for heading in ("optimizer", "matrix products", "element-wise", "together"):
        table.add_column(heading, justify="left" if heading == "optimizer" else "right")
    for name, counts in found.items():
        numbers = (*counts, counts.total)
        table.add_row(name, *(f"{number / 1e6:.2f}" for number in numbers))
    out = console()
    out.print(table)
    out.print(f"results in {directory}", soft_wrap=True)
