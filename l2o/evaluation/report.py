"""The results of a run as files to read, plots to look at and a table to see."""

from __future__ import annotations

import json
import math
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from l2o.evaluation.metrics import Measurements
from l2o.evaluation.plots import has_plane, plot_convergence, plot_plane
from l2o.problems import Instances

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
    (directory / "metrics.json").write_text(json.dumps(finite, indent=2) + "\n")


def write_config(settings: Mapping[str, Any], directory: Path) -> None:
    """Writes `config.yaml`: the resolved settings of the run."""
    (directory / "config.yaml").write_text(yaml.safe_dump(dict(settings), sort_keys=False))


def write_versions(directory: Path) -> None:
    """Writes `versions.json`: what the results were made with."""
    versions = {"python": sys.version.split()[0], "platform": platform.platform()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    (directory / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")


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
    console = Console()
    console.print(table)
    # A path is to be copied: neither wrapped nor coloured.
    console.print(f"results in {directory}", soft_wrap=True, highlight=False)
