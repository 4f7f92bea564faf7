"""What became of training runs, and what sets them apart, as their directories tell."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from l2o.io.directory import FAILURE, PRUNED, in_use
from l2o.io.settings import TARGET, flat

NUMBERS = ("val/score", "test/sr1", "test/sr2", "test/distance_median")
"""What is told of a run: the validation score, and of the test success and the median distance."""
UNTOLD = ("run_dir", "resume", "logger", "checkpoint_seconds", "trust_classes", "pruning")
"""Settings that do not change what is learned."""
TRAINING = {"protocol", "variant", "reward"}
"""Settings by which a training run is known among others."""


@dataclass(frozen=True)
class RunSummary:
    """What became of one run.

    Attributes:
        directory: Of the run.
        settings: All of them, with dotted names.
        state: `finished`, `pruned`, `failed`, `running`, or `stopped` and to be gone on with.
        numbers: Those of `NUMBERS` that it has.
        note: Why it failed.
    """

    directory: Path
    settings: dict[str, Any]
    state: str
    numbers: dict[str, float]
    note: str = ""

    @classmethod
    def of(cls, directory: Path) -> RunSummary | None:
        """The training run in a directory; None if there is none, or its files are damaged."""
        failure, pruned = _read(directory / FAILURE), _read(directory / PRUNED)
        settings = _read(directory / "config.yaml") or failure.get("settings")
        if not isinstance(settings, dict) or not set(settings) >= TRAINING:
            return None
        settings = flat(settings)
        metrics = _read(directory / "metrics.json")
        if metrics:
            return cls(directory, settings, "finished", _numbers(metrics))
        if in_use(directory):
            return cls(directory, settings, "running", {})
        if failure:
            return cls(directory, settings, "failed", {}, str(failure.get("error", "")))
        if pruned:
            return cls(directory, settings, "pruned", _numbers(pruned))
        return cls(directory, settings, "stopped", {})

    @property
    def rank(self) -> tuple[float, str, str]:
        """The lowest score first, those without one last."""
        score = self.numbers.get("val/score", math.inf)
        return (score, self.state, str(self.directory))


def run_directories(root: Path) -> Iterator[Path]:
    """The directories of all runs below a directory, or itself if it is one."""
    for folder, below, files in os.walk(root):
        below.sort()
        if FAILURE in files or "config.yaml" in files:
            below.clear()
            yield Path(folder)


def collect(roots: Iterable[Path]) -> list[RunSummary]:
    """All training runs below some directories, the lowest validation score first."""
    directories = dict.fromkeys(path for root in roots for path in run_directories(root))
    found = [RunSummary.of(directory) for directory in directories]
    return sorted((run for run in found if run is not None), key=lambda run: run.rank)


def differing(runs: Sequence[RunSummary]) -> dict[str, list[str]]:
    """The settings that set runs apart, each with its value in every run.

    Left out is what follows from others: equal values, as of a setting that refers to another,
    and what the class of its section alone decides.
    """
    names = dict.fromkeys(name for run in runs for name in run.settings)
    columns: dict[str, list[str]] = {}
    # `seed` before `variant.seed`, which refers to it.
    for name in sorted(names, key=lambda name: name.count(".")):
        values = [_text(name, run.settings.get(name)) for run in runs]
        if name.split(".")[0] in UNTOLD or len(set(values)) == 1 or values in columns.values():
            continue
        classes = columns.get(f"{name.split('.')[0]}.{TARGET}")
        if classes and len(set(zip(classes, values, strict=True))) == len(set(classes)):
            continue
        columns[name] = values
    return columns


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name.endswith(TARGET):
        return str(value).rpartition(".")[2]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _numbers(found: Mapping[str, Any]) -> dict[str, float]:
    """Those of the numbers that are told; a file may hold anything in their place."""
    return {key: float(found[key]) for key in NUMBERS if isinstance(found.get(key), int | float)}


def _read(path: Path) -> dict[str, Any]:
    """A file of settings or results; empty if it is missing, damaged or something else."""
    try:
        text = path.read_text()
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}
