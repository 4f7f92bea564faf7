"""What several evaluations of a closure in one iteration share: random numbers, and buffers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.nn.parallel import DistributedDataParallel

from l2o.io.errors import UserError

BUFFERS = ("first", "last", "all")


class Replay:
    """The rounds of evaluations in one iteration, in each of which every micro-batch runs once.

    Args:
        random: Whether every round sees the random numbers of the first.
        buffers: Which round's updates of buffers, batch norm's statistics for instance, are kept:
            those of the `first`, of the `last`, or of `all`.
        devices: Whose random numbers count besides the CPU's.
    """

    def __init__(self, random: bool, buffers: str, devices: list[torch.device]) -> None:
        self._random = random
        self._buffers = buffers
        self._devices = [device for device in devices if device.type != "cpu"]
        self._states: list[Tensor] | None = None
        self._values: dict[int, Tensor] = {}
        self._rounds = 0
        self.seen: dict[int, Tensor] = {}
        """The buffers of the modules that ran, by identity."""

    @contextmanager
    def running(self, *, new_round: bool) -> Iterator[None]:
        """While a closure runs; with a new round, all micro-batches run once more."""
        if new_round:
            self._begin_round()
        hook = register_module_forward_pre_hook(self._look)
        try:
            yield
        finally:
            hook.remove()

    def end(self) -> None:
        """After the last round, when no graph needs the buffers any more."""
        if self._buffers == "first" and self._rounds > 1:
            self._put_back()

    def _begin_round(self) -> None:
        self._rounds += 1
        if self._buffers == "last":
            self._put_back()
        elif self._buffers == "first" and self._rounds == 2:
            self._values = {key: buffer.detach().clone() for key, buffer in self.seen.items()}
        if self._random and self._states is None:
            self._states = self._generators()
        elif self._states is not None:
            self._restore(self._states)

    def _look(self, module: nn.Module, inputs: object) -> None:
        """Notes the buffers of a module before it first runs."""
        if isinstance(module, DistributedDataParallel):
            raise UserError(
                "closure: expected plain modules, got one inside DistributedDataParallel, which "
                "knows no gradients without backward; use its .module (l2o.optim averages over the "
                "processes itself)"
            )
        for buffer in module.buffers():
            if id(buffer) not in self.seen:
                self.seen[id(buffer)] = buffer
                self._values[id(buffer)] = buffer.detach().clone()

    @torch.no_grad()
    def _put_back(self) -> None:
        for key, value in self._values.items():
            self.seen[key].copy_(value)

    def _generators(self) -> list[Tensor]:
        others = [torch.get_device_module(device).get_rng_state(device) for device in self._devices]
        return [torch.get_rng_state(), *others]

    def _restore(self, states: list[Tensor]) -> None:
        torch.set_rng_state(states[0])
        for device, state in zip(self._devices, states[1:], strict=True):
            torch.get_device_module(device).set_rng_state(state, device)
