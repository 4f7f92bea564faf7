"""What is only for the eye may fail without taking results along."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def spared(what: str) -> Iterator[None]:
    """Turns an error in the context into one line on the error output.

    Args:
        what: The plot or table that is made, for the line.
    """
    try:
        yield
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        # The error output may be closed as well, and the results are what counts.
        with suppress(OSError, ValueError):
            print(f"warning: {what}: left out ({reason})", file=sys.stderr, flush=True)
