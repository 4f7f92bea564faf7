"""The end of a sweep: a summary of its jobs, however it ends."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from l2o.io.directory import FAILURE


class Sweep(Callback):
    """Notes where a sweep begins; each script's config names it in `hydra.callbacks`."""

    directory: ClassVar[Path | None] = None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        Sweep.directory = Path(config.hydra.sweep.dir).absolute()


@contextmanager
def concluded() -> Iterator[None]:
    """Ends what may be a sweep, once its jobs have ended or a signal came.

    Raises:
        SystemExit: With 1 if a job failed and no signal came.
    """
    try:
        yield
    finally:
        failed = _summarize(Sweep.directory) if Sweep.directory else 0
    if failed:
        sys.exit(1)


def _summarize(directory: Path) -> int:
    """Writes and prints what became of the jobs of a sweep; returns how many failed."""
    # Imported late: drawing is not needed to begin.
    from l2o.reporting.runs import collect, run_directories
    from l2o.reporting.summary import print_summary, write_summary

    runs = collect([directory])
    if runs:
        write_summary(runs, directory)
        print_summary(runs, directory)
    jobs = list(run_directories(directory))
    failed = sum((job / FAILURE).exists() for job in jobs)
    if failed:
        print(f"{failed} of {len(jobs)} jobs failed", file=sys.stderr)
    return failed
