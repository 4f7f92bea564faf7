"""What optimizers compute: multiply-accumulates, counted while they run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from l2o.cli.compare import hand_designed
from l2o.evaluation.measure import EvaluationSettings, sample_set
from l2o.evaluation.operations import Operations, count_operations
from l2o.io import checks, memory
from l2o.io.directory import begun
from l2o.io.memory import build_module
from l2o.io.settings import build, construct
from l2o.optimizers import LearnedOptimizer, Optimizer
from l2o.problems import Problem
from l2o.reporting.failures import spared
from l2o.reporting.report import write_config, write_metrics, write_versions
from l2o.reporting.tables import Column, Table


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
    with begun(directory):
        write_config(config, directory)
        write_versions(directory)
        found = {
            name: count_operations(optimizer, *test, size.iterations)
            for name, optimizer in optimizers.items()
        }
        metrics = {
            f"{name}/{key}": float(value)
            for name, counts in found.items()
            for key, value in counts._asdict().items()
        }
        write_metrics(metrics, directory)
    _print(found, directory)
    return metrics


@spared("table")
def _print(found: Mapping[str, Operations], directory: Path) -> None:
    columns = [
        Column("optimizer"),
        *(
            Column(heading, lambda count: f"{count / 1e6:.2f}")
            for heading in ("matrix products", "element-wise", "together")
        ),
    ]
    rows = [[name, *counts, counts.total] for name, counts in found.items()]
    Table(columns, rows).print("multiply-accumulates, in millions")
    print(f"results in {directory}")
