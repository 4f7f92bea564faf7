"""Files of runs, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def replace_file(path: Path, content: bytes, previous: Path | None = None) -> None:
    """Writes a file so that at any moment it is there whole, the old one or the new one.

    Args:
        path: Of the file.
        content: What it shall hold.
        previous: Where the old one goes, if it is to be kept; a kill may leave that one alone.

    Raises:
        OSError: If it cannot be written, with the path in it; an old file is kept.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if previous is not None and path.exists():
            os.replace(path, previous)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)
        raise
