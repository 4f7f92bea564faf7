"""Best exact rates of hand-designed methods on quadratic games, against the mixture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from l2o.cli.compare import hand_designed
from l2o.evaluation.rates import at_mixture, rate_curve
from l2o.evaluation.spectral import update_matrices
from l2o.io import checks, memory
from l2o.io.directory import begun
from l2o.io.errors import UserError
from l2o.io.seeds import generator
from l2o.io.settings import build
from l2o.problems import Problem, QuadraticGame
from l2o.reporting.progress import ProgressLine
from l2o.reporting.rates import plot_rates, print_rates, write_rates
from l2o.reporting.report import write_config, write_metrics, write_versions


def rates(config: Mapping[str, Any]) -> dict[str, float]:
    """Finds the best rate of each method's grid at each mixture; writes it into `run_dir`.

    Args:
        config: A composed config of `conf/rates.yaml`, as plain data.

    Returns:
        The metrics, as in `metrics.json`: `<method>/rate_c<mixture>`.

    Raises:
        UserError: If the config cannot work; raised before any long work.
    """
    directory = checks.path("run_dir", config["run_dir"])
    problem = build(config["problem"], Problem, "problem")
    if not isinstance(problem, QuadraticGame):
        name = type(problem).__name__
        raise UserError(f"problem: expected problem=quadratic_game, got {name}")
    seed = checks.count("seed", config["seed"], minimum=0)
    count = checks.count("mixtures", config["mixtures"], minimum=2)
    games = checks.count("games", config["games"])
    asked = {"mixtures": count, "games": games, "problem": config["problem"]}
    memory.check(count * games * problem.numbers, **asked)
    described = checks.mapping("methods", config["methods"])
    methods = hand_designed(described, checks.names("only", config["only"]), problem, games)
    if not methods:
        raise checks.refusal("only", "at least one method", config["only"])
    mixtures = torch.linspace(*problem.ranges["c"], count, dtype=torch.double)
    sampled = problem.sample(games, generator(seed, "games")).to(torch.double)
    for method in methods.values():
        # In the middle every method applies; this refuses those without a linear map.
        update_matrices(method, at_mixture(0.5, sampled))

    with begun(directory):
        write_config(config, directory)
        write_versions(directory)
        curves = []
        with ProgressLine("finding rates", count * len(methods), "searches") as line:
            for name, method in methods.items():
                line.note(name)
                curves.append(rate_curve(name, method, mixtures, sampled, line.advance))
        write_rates(curves, mixtures, directory / "rates.csv")
        metrics = {
            f"{curve.name}/rate_c{c:.2f}": rate
            for curve in curves
            for c, rate in zip(mixtures.tolist(), curve.medians.tolist(), strict=True)
        }
        write_metrics(metrics, directory)
        low, high = problem.spectrum
        title = f"Quadratic games, dimension {problem.m}, spectrum {low:g} to {high:g}, seed {seed}"
        plot_rates(directory / "plots" / "rates.png", curves, mixtures, title)
    print_rates(curves, mixtures, directory)
    return metrics
