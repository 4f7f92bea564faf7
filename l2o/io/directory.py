"""The directory of a run, which belongs to one process at a time."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import lock_descriptor

from l2o.io.errors import UserError

LOCK = ".lock"
"""The file whose lock is held while a run writes. The system drops the lock when the process
ends, however it ends, so that the file may stay."""


METRICS = "metrics.json"
"""The results of a run; one that has them is finished."""

BEST, LAST, PREVIOUS = "best.ckpt", "last.ckpt", "previous.ckpt"
"""A run's checkpoints: the best by validation, the one to go on from, and the one before that."""

FAILURE, PRUNED = "failure.json", "pruned.json"
"""What a job of a sweep leaves in place of results: why it failed, or that it was ended early
because others were better."""


@contextmanager
def claimed(directory: Path) -> Iterator[None]:
    """Makes a directory this process's own while in the context.

    Raises:
        UserError: If another process has it, it cannot be written, or its file system knows no
            locks.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{directory}: cannot be written ({error.strerror})") from None
    with lock as file:
        try:
            ours = lock_descriptor(file.fileno(), blocking=False)
        except OSError as error:
            raise UserError(
                f"{directory}: cannot be locked against other runs ({error.strerror}); "
                "choose a directory on another file system"
            ) from None
        if not ours:
            file.seek(0)
            raise UserError(
                f"{directory}: another run is writing there ({file.read().strip()}); "
                "wait for it to end, or choose another directory"
            )
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield


@contextmanager
def begun(directory: Path) -> Iterator[None]:
    """Claims a directory for results that are there or leave no trace.

    If an error or a signal ends the context before there are metrics, what was written is
    removed, so that the same command can be given again.

    Raises:
        UserError: If it cannot be claimed, or holds a run already.
    """
    before = set(directory.iterdir()) if directory.is_dir() else None
    with claimed(directory):
        refuse_used(directory)
        try:
            yield
        except BaseException:
            if not (directory / METRICS).exists():
                for path in set(directory.iterdir()) - (before or set()):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                if before is None:
                    directory.rmdir()
            raise


def in_use(directory: Path) -> bool:
    """Whether a run is writing into a directory at this moment."""
    try:
        with (directory / LOCK).open(encoding="utf-8") as file:
            return not lock_descriptor(file.fileno(), blocking=False)
    except OSError:
        return False


def refuse_used(directory: Path) -> None:
    """Raises UserError if a directory holds a run already, so that none is written over."""
    if (directory / "config.yaml").exists():
        raise UserError(
            f"{directory}: holds a run already; choose another directory, or remove it "
            "(training can go on with it: resume=auto)"
        )
