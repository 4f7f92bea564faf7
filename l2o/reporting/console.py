"""The console that results are printed to."""

from __future__ import annotations

import sys

from rich.console import Console


def console(width: int | None = None) -> Console:
    """Standard output, for words and tables.

    Brackets in a text are no markup: `[bold]` may be the name of a folder. Where the encoding
    lacks the lines of a table, they are drawn in ASCII.

    Args:
        width: In letters; None for that of the terminal.
    """
    return Console(file=sys.stdout, width=width, markup=False, emoji=False, highlight=False)
