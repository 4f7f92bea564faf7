"""Where the numbers of a run go while it trains: `metrics.csv`, or nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger, Logger


def build_loggers(settings: Mapping[str, Any], directory: Path) -> list[Logger]:
    """The loggers that the `logger` group describes, but for W&B, which reads `metrics.csv`.

    Args:
        settings: `csv`: true or false.
        directory: Of the run.
    """
    if not settings["csv"]:
        return []
    return [CSVLogger(directory.parent, directory.name, version="", flush_logs_every_n_steps=1)]
