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
    """The rounds of evaluations in one iteration.

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
        self._before: dict[int, tuple[Tensor, Tensor]] = {}
        self._rounds = 0
        self.seen: dict[int, Tensor] = {}
        """The buffers of the modules that ran, by identity."""

    @contextmanager
    def running(self, *, new_round: bool) -> Iterator[None]:
        """While a closure runs; with a new round, all micro-batches run once more."""
        if new_round:
            self._begin_round()
        if self._buffers == "first":
            self._before = {}
        hook = register_module_forward_pre_hook(self._look)
        try:
            yield
        finally:
            hook.remove()
            if self._buffers == "first" and self._rounds > 1:
                _put_back(self._before)

    def _begin_round(self) -> None:
        self._rounds += 1
        if self._buffers == "last":
            _put_back(self._before)
        if self._random and self._states is None:
            self._states = self._generators()
        elif self._states is not None:
            self._restore(self._states)

    def _look(self, module: nn.Module, inputs: object) -> None:
        """Notes the buffers of a module before it runs."""
        if isinstance(module, DistributedDataParallel):
            raise UserError(
                "closure: expected plain modules, got one inside DistributedDataParallel, which "
                "knows no gradients without backward; use its .module (l2o.optim averages over the "
                "processes itself)"
            )
        for buffer in module.buffers():
            if id(buffer) not in self._before:
                self.seen[id(buffer)] = buffer
                if self._buffers != "all":
                    self._before[id(buffer)] = buffer, buffer.detach().clone()

    def _generators(self) -> list[Tensor]:
        others = [torch.get_device_module(device).get_rng_state(device) for device in self._devices]
        return [torch.get_rng_state(), *others]

    def _restore(self, states: list[Tensor]) -> None:
        torch.set_rng_state(states[0])
        for device, state in zip(self._devices, states[1:], strict=True):
            torch.get_device_module(device).set_rng_state(state, device)


@torch.no_grad()
def _put_back(before: dict[int, tuple[Tensor, Tensor]]) -> None:
    for buffer, value in before.values():
        buffer.copy_(value)
