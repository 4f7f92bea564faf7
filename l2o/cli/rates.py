"""Best exact rates of hand-designed methods on quadratic games, against the mixture."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure
from rich.table import Table
from torch import Tensor

from l2o.cli.compare import hand_designed
from l2o.evaluation.spectral import best_rates, update_matrices
from l2o.io import checks, memory
from l2o.io.directory import begun
from l2o.io.errors import UserError
from l2o.io.seeds import generator
from l2o.io.settings import build
from l2o.optimizers.hand_designed import HandDesigned
from l2o.problems import Instances, Problem, QuadraticGame
from l2o.reporting.console import console
from l2o.reporting.plots import save, tidy
from l2o.reporting.progress import ProgressLine
from l2o.reporting.report import write_config, write_metrics, write_versions


class Curve(NamedTuple):
    """One method's best rates over the mixtures."""

    name: str
    rates: Tensor
    """ρ, (mixtures, games); NaN where the method cannot be applied."""
    points: list[list[dict[str, float]]]
    """The hyperparameters that reach them."""
    calls: float
    """Oracle calls an iteration."""

    def medians(self, per_call: bool) -> Tensor:
        """Over the games: ρ an iteration, or ρ^(1/calls) an oracle call, (mixtures,)."""
        return (self.rates ** (1 / self.calls if per_call else 1)).median(dim=1).values


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
        update_matrices(method, _at(0.5, sampled))

    with begun(directory):
        write_config(config, directory)
        write_versions(directory)
        with ProgressLine("finding rates", count * len(methods), "searches") as line:
            curves = [
                _curve(name, method, mixtures, sampled, line) for name, method in methods.items()
            ]
        metrics = {
            f"{curve.name}/rate_c{c:.2f}": rate
            for curve in curves
            for c, rate in zip(mixtures.tolist(), curve.medians(False).tolist(), strict=True)
        }
        _write_csv(curves, mixtures, directory / "rates.csv")
        _plot(curves, mixtures, directory / "plots" / "rates.png", problem)
        write_metrics(metrics, directory)
    _print(curves, mixtures, directory)
    return metrics


def _at(c: float, sampled: Instances) -> Instances:
    """The same games at another mixture."""
    theta = {**sampled.theta, "c": torch.full_like(sampled.theta["c"], c)}
    return Instances(sampled.problem, theta, len(sampled))


def _curve(
    name: str,
    method: HandDesigned[Any],
    mixtures: Tensor,
    sampled: Instances,
    line: ProgressLine,
) -> Curve:
    line.note(name)
    found: list[Tensor] = []
    points: list[list[dict[str, float]]] = []
    for c in mixtures.tolist():
        try:
            best = best_rates(method, _at(c, sampled))
        except UserError:
            # Follow-the-Ridge where the game is bilinear.
            found.append(torch.full((len(sampled),), torch.nan, dtype=torch.double))
            points.append([{} for _ in range(len(sampled))])
        else:
            found.append(best.rate)
            points.append(best.points)
        line.advance()
    return Curve(name, torch.stack(found), points, method.oracle_calls(sampled).iteration)


def _write_csv(curves: Sequence[Curve], mixtures: Tensor, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["method", "c", "game", "rate", "rate_per_call", "hyperparameters"])
        for curve in curves:
            for c, row, points in zip(mixtures.tolist(), curve.rates, curve.points, strict=True):
                for game, (rate, point) in enumerate(zip(row.tolist(), points, strict=True)):
                    settings = " ".join(f"{key}={value:g}" for key, value in point.items())
                    per_call = rate ** (1 / curve.calls)
                    writer.writerow([curve.name, f"{c:g}", game, rate, per_call, settings])


def _plot(curves: Sequence[Curve], mixtures: Tensor, path: Path, problem: QuadraticGame) -> None:
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    panels: Any = figure.subplots(1, 2, sharey=True)
    for panel, per_call in zip(panels, (False, True), strict=True):
        for place, curve in enumerate(curves):
            style = "-" if place < 10 else "--"
            rate = curve.medians(per_call).clamp(max=1.05)
            panel.plot(mixtures, rate, style, label=curve.name, lw=1.3)
        panel.axhline(1, color="grey", lw=0.8)
        panel.set_xlabel("mixture $c$: cooperative 0, adversarial 1")
        panel.set_title("per oracle call" if per_call else "per iteration", fontsize=11)
        tidy(panel)
    panels[0].set_ylabel("best rate (lower is faster)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=8)
    low, high = problem.spectrum
    title = f"Quadratic games, dimension {problem.m}, spectrum {low:g} to {high:g}"
    figure.suptitle(f"{title}  ·  median of {curves[0].rates.shape[1]} games", fontsize=11)
    save(figure, path)


def _print(curves: Sequence[Curve], mixtures: Tensor, directory: Path) -> None:
    table = Table(title="best rate an iteration, median over the games", title_justify="left")
    table.add_column("method")
    last = len(mixtures) - 1
    shown = sorted({0, last // 4, last // 2, 3 * last // 4, last})
    for place in shown:
        table.add_column(f"c = {mixtures[place]:.2f}", justify="right")
    for curve in curves:
        cells = [f"{curve.medians(False)[place]:.4f}" for place in shown]
        table.add_row(curve.name, *cells)
    out = console()
    out.print(table)
    out.print(f"results in {directory}", soft_wrap=True)
