"""The report of a reproduction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from l2o.reproduction.jobs import Job


def write_report(jobs: Mapping[str, Sequence[Job]], path: Path) -> None:
    """Writes `<path>.md`."""
