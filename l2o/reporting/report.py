"""The results of a run as files to read, plots to look at and a table to see."""

from __future__ import annotations

import functools
import json
import math
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from rich.table import Table

from l2o.evaluation.metrics import Measurements
from l2o.io.files import replace_file
from l2o.problems import Instances
from l2o.reporting.console import console
from l2o.reporting.plots import has_plane, plot_convergence, plot_plane

PACKAGES = ("l2o", "torch", "pytorch-lightning", "hydra-core", "omegaconf", "wandb", "numpy")
MEANINGS = {
    "sr1": "SR1, tail's mean distance < 2e-2",
    "sr2": "SR2, tail's deviation < 1e-4",
    "distance_median": "median distance, last iterate",
    "distance_mean": "mean distance, last iterate",
    "gradient_norm_median": "median gradient norm, last iterate",
    "gradient_norm_mean": "mean gradient norm, last iterate",
    "diverged": "diverged",
    "fallback": "fallback, share of the proposals",
}
SHARES = ("sr1", "sr2", "diverged", "fallback")


def write_metrics(metrics: Mapping[str, float], directory: Path) -> None:
    """Writes `metrics.json`, flat; a number that is not finite is written as null."""
    finite = {key: value if math.isfinite(value) else None for key, value in metrics.items()}
    _write(directory / "metrics.json", json.dumps(finite, indent=2) + "\n")


def read_metrics(directory: Path) -> dict[str, float]:
    """The metrics that `write_metrics` wrote; null is read as not a number."""
    written = json.loads((directory / "metrics.json").read_text(encoding="utf-8"))
    return {key: math.nan if value is None else value for key, value in written.items()}


def write_config(settings: Mapping[str, Any], directory: Path) -> None:
    """Writes `config.yaml`: the resolved settings of the run."""
    _write(directory / "config.yaml", yaml.safe_dump(dict(settings), sort_keys=False))


@functools.cache
def versions() -> dict[str, str]:
    """What results are made with."""
    found = {"python": sys.version.split()[0], "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def write_versions(directory: Path) -> None:
    """Writes `versions.json`: what the results were made with."""
    _write(directory / "versions.json", json.dumps(versions(), indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    replace_file(path, text.encode())


def write_plots(
    measured: Measurements, instances: Instances, starts: int, directory: Path, title: str
) -> None:
    """Writes the plots of a test into `plots/`.

    Args:
        measured: Distances of B trajectories.
        instances: `starts` copies of the test instances, B together.
        starts: Starting points of each instance.
        directory: Of the run.
        title: What was run.
    """
    plot_convergence(measured, directory / "plots" / "convergence.png", title)
    if has_plane(measured, instances):
        plot_plane(measured, instances, starts, directory / "plots" / "success.png")


def print_table(metrics: Mapping[str, float], title: str, directory: Path) -> None:
    """Prints the results as a table, and where they were written."""
    table = Table(title=title, title_justify="left", show_header=False)
    for key, value in metrics.items():
        group, _, name = key.partition("/")
        if name in SHARES:
            table.add_row(MEANINGS[name], f"{value:.2%}")
        elif group == "time":
            table.add_row(f"time, {name.removesuffix('_s')}", f"{value:.1f} s")
        else:
            table.add_row(MEANINGS.get(name, key), f"{value:.3g}")
    out = console()
    out.print(table)
    # A path is to be copied: neither wrapped nor coloured.
    out.print(f"results in {directory}", soft_wrap=True)
