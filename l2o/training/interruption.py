"""Signals that ask a run to end: Ctrl-C, SIGTERM, and SIGUSR1, which Slurm sends in good time."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class Interrupted(BaseException):
    """The run was asked to end. Like `KeyboardInterrupt`, not for `except Exception`.

    Args:
        received: The signal that asked.
    """

    def __init__(self, received: signal.Signals) -> None:
        super().__init__(received)
        self.signal = received

    @property
    def status(self) -> int:
        """The conventional exit status: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.signal


class Interruption:
    """Answers the signals: by `Interrupted` at once, or, in `deferred`, by taking note."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._deferred = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Answers the signals while in the context."""
        before = {number: signal.getsignal(number) for number in SIGNALS}
        self.listen()
        try:
            yield
        finally:
            if _in_main_thread():
                for number, handler in before.items():
                    signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Only takes note in the context; raises `Interrupted` at its end."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        if self.received is not None:
            raise Interrupted(self.received)

    def listen(self) -> None:
        """Takes the signals over, also from Lightning, which would save in mid-window."""
        if _in_main_thread():
            for number in SIGNALS:
                signal.signal(number, self._answer)

    def _answer(self, number: int, frame: FrameType | None) -> None:
        again = self.received is signal.SIGINT and number == signal.SIGINT
        if self.received is None:
            self.received = signal.Signals(number)
        # A second Ctrl-C is impatience. A second SIGTERM is not: `timeout`, for one, sends two.
        if again or not self._deferred:
            raise Interrupted(self.received)


def _in_main_thread() -> bool:
    """Whether signals can be answered: Python allows it in the main thread alone."""
    return threading.current_thread() is threading.main_thread()
