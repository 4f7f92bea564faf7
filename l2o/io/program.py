"""What a user types to run a command of the package."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path


def program(name: str) -> str:
    """How a command is run, as it was typed for this process if that runs it.

    Args:
        name: Of the command, `train` for instance.

    Returns:
        For a shell: `l2o-train`, with its folder unless the shell finds it,
        or `python scripts/train.py` with the interpreter and the path that were given. In
        processes that were started in another way, the workers of a sweep, it is `l2o-train`.
    """
    given, installed = Path(sys.argv[0]), f"l2o-{name}"
    if given.name == f"{name}.py" and sys.argv[0] in sys.orig_argv:
        return shlex.join(sys.orig_argv[: sys.orig_argv.index(sys.argv[0]) + 1])
    found = shutil.which(installed)
    if given.name == installed and not (found and given.samefile(found)):
        return shlex.quote(sys.argv[0])
    return installed
