"""The results of a run as files to read and a table to see."""

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

from l2o.io.files import replace_file
from l2o.reporting.failures import spared
from l2o.reporting.tables import SHARES, Column, Table, percent

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


@spared("table")
def print_metrics(metrics: Mapping[str, float], title: str, directory: Path) -> None:
    """Prints the results as a table, and where they were written."""
    rows = [_told(*key.partition("/")[::2], value) for key, value in metrics.items()]
    Table([Column(""), Column("")], rows).print(title)
    print(f"results in {directory}")


def _told(group: str, name: str, value: float) -> tuple[str, str]:
    """A number of `metrics.json` in words."""
    if name in SHARES:
        return MEANINGS[name], percent(2)(value)
    if group == "time":
        return f"time, {name.removesuffix('_s')}", f"{value:.1f} s"
    return MEANINGS.get(name, f"{group}/{name}"), f"{value:.3g}"


def described(settings: Mapping[str, Any]) -> str:
    """A problem's settings in one line, for titles, as they are given: `a=[0.9, 1], b=[0, 1]`."""
    told = {key: value for key, value in settings.items() if key[0] != "_" and value is not None}
    return ", ".join(f"{key}={_short(value)}" for key, value in told.items())


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_short, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
