"""Many training runs in one table and one plot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from l2o.io.errors import UserError
from l2o.reporting.runs import RunSummary, collect
from l2o.reporting.summary import print_summary, write_summary


def summarize(config: Mapping[str, Any]) -> list[RunSummary]:
    """Collects the runs below `directories`, writes their summary into `run_dir` and prints it.

    Args:
        config: A composed config of `conf/summarize.yaml`.

    Returns:
        The runs, the lowest validation score first.

    Raises:
        UserError: If a directory does not exist, or there is no run in any.
    """
    directories = config["directories"]
    if not isinstance(directories, list) or not directories:
        raise UserError(f"directories: expected a list of directories, got {directories!r}")
    roots = [Path(str(directory)) for directory in directories]
    for root in roots:
        if not root.is_dir():
            raise UserError(f"directories: {root}: no such directory")
    runs = collect(roots)
    if not runs:
        raise UserError(
            f"directories: expected training runs below {', '.join(map(str, roots))}, found none"
        )
    directory = Path(config["run_dir"])
    write_summary(runs, directory)
    print_summary(runs, directory)
    return runs
