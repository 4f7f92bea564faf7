"""Finished jobs whose results are made up."""

import csv
import itertools
import json
from collections.abc import Mapping
from pathlib import Path

from l2o.reproduction.jobs import Job

_number = itertools.count()


def trained(directory: Path, sr1: float, distance: float = 1e-3, **settings: object) -> Job:
    """A training run of a certain SR1."""
    metrics = {"sr1": sr1, "sr2": 1.0, "diverged": 0.0, "distance_median": distance}
    return written(directory, "train", {f"test/{k}": v for k, v in metrics.items()}, settings)


def compared(directory: Path, comparison: str, rows: Mapping[str, tuple[float, float]]) -> Job:
    """A comparison in which each optimizer has a median distance at the end and an SR1."""
    job = written(directory, "compare", {}, {"comparison": comparison})
    with (job.directory / "table.csv").open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["optimizer", "settings", "distance_100", "distance_1000", "sr1"])
        for name, (distance, sr1) in rows.items():
            settings = "learned" if name.startswith("TwinL2O") else "step_size=0.1"
            writer.writerow([name, settings, 0.5, distance, sr1])
    return job


def written(
    directory: Path, script: str, metrics: Mapping[str, float], settings: Mapping[str, object]
) -> Job:
    """A job with these metrics, in a directory of its own."""
    job = Job(script, dict(settings), directory / str(next(_number)))
    job.directory.mkdir(parents=True)
    (job.directory / "metrics.json").write_text(json.dumps(metrics))
    return job
