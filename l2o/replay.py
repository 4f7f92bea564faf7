"""What several evaluations of a closure in one iteration share: random numbers, and buffers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

BUFFERS = ("first", "last", "all")


class Replay:
    """The rounds of evaluations in one iteration, in each of which every micro-batch runs once.

    Args:
        random: Whether every round sees the random numbers of the first.
        keeps: Whose updates of buffers, batch norm's statistics for instance, are kept: those of
            the `first` round, of the `last`, or of `all`.
        buffers: The buffers.
        devices: Whose random numbers count besides the CPU's.
    """

    def __init__(
        self,
        random: bool,
        keeps: str,
        buffers: Sequence[Tensor] = (),
        devices: Sequence[torch.device] = (),
    ) -> None:
        self._random = random
        self._keeps = keeps
        self._buffers = buffers
        self._devices = [device for device in devices if device.type != "cpu"]
        self._generators: list[Tensor] = []
        self._before: list[Tensor] = []
        self._after_first: list[Tensor] = []
        self._rounds = 0

    def begin_round(self) -> None:
        """Before all closures run once more."""
        self._rounds += 1
        if self._rounds == 1:
            self._before = [buffer.clone() for buffer in self._buffers]
            if self._random:
                self._generators = self._states()
            return
        if self._random:
            self._restore(self._generators)
        if self._keeps == "last":
            self._write(self._before)
        elif self._rounds == 2:
            self._after_first = [buffer.clone() for buffer in self._buffers]

    def end(self) -> None:
        """After the last round, when no graph needs the buffers any more."""
        if self._keeps == "first" and self._rounds > 1:
            self._write(self._after_first)

    def undo(self) -> None:
        """Puts the buffers back to what they were before the first round."""
        if self._rounds:
            self._write(self._before)

    @torch.no_grad()
    def _write(self, values: Sequence[Tensor]) -> None:
        for buffer, value in zip(self._buffers, values, strict=True):
            buffer.copy_(value)

    def _states(self) -> list[Tensor]:
        others = [torch.get_device_module(device).get_rng_state(device) for device in self._devices]
        return [torch.get_rng_state(), *others]

    def _restore(self, states: Sequence[Tensor]) -> None:
        torch.set_rng_state(states[0])
        for device, state in zip(self._devices, states[1:], strict=True):
            torch.get_device_module(device).set_rng_state(state, device)
