"""Progress of long work: a live line on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from l2o.reporting.console import console

PLAIN_LINES = 10
"""How many lines a piece of work prints where there is no terminal to redraw."""


class ProgressLine:
    """One line of progress, used as a context manager.

    Args:
        name: What is being done.
        total: How many units of work there are.
        unit: What a unit is called.
    """

    def __init__(self, name: str, total: int, unit: str) -> None:
        self._name, self._total, self._unit = name, total, unit
        self._done, self._note = 0, ""
        self._console = console()
        self._live = self._console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f} " + unit),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            disable=not self._live,
        )
        self._task = self._progress.add_task(name, total=total, note="")

    def __enter__(self) -> ProgressLine:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def note(self, text: str) -> None:
        """What to show beside the bar from now on."""
        self._note = text

    def advance(self, units: int = 1) -> None:
        """So many more units are done."""
        before, self._done = self._done, self._done + units
        if self._live:
            self._progress.update(self._task, advance=units, note=self._note)
        elif self._done * PLAIN_LINES // self._total > before * PLAIN_LINES // self._total:
            line = f"{self._name}: {self._done}/{self._total} {self._unit}  {self._note}"
            self._console.print(line.rstrip(), soft_wrap=True)
