"""Standard output and error that never end a script."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

ERRORS = {"stdout": "replace", "stderr": "backslashreplace"}
"""How letters that the terminal's encoding lacks are replaced."""


class _Unbroken(io.FileIO):
    """Writes into a file until it is full or closed, and then discards the rest."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return super().write(data)


class _Tolerant(io.TextIOWrapper):
    """A stream that replaces letters, and outlives its reader."""


def make_tolerant() -> None:
    """Lets a script go on whatever becomes of its output.

    Letters that cannot be written are replaced. What a pipe no longer takes, because of `| head`,
    or a full disk, is dropped, and so is all where a stream was closed from the beginning.
    """
    for name, errors in ERRORS.items():
        stream = getattr(sys, name)
        if stream is None:
            # To stay open, and so no context.
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8", errors=errors))  # noqa: SIM115
        elif type(stream) is io.TextIOWrapper:
            stream.flush()
            tolerant = _Tolerant(
                io.BufferedWriter(_Unbroken(stream.fileno(), "w", closefd=False)),
                encoding=stream.encoding,
                errors=errors,
                line_buffering=stream.line_buffering or stream.write_through,
                write_through=stream.write_through,
            )
            setattr(sys, name, tolerant)
