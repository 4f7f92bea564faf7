"""The buffers of the modules that hold the players' parameters, batch norm's statistics say."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, NoReturn

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from l2o.io.errors import UserError


class Place(NamedTuple):
    """Where a buffer is, so that it is found again after `module.to`."""

    module: nn.Module
    name: str


class Holders:
    """The modules that hold parameters, found among all objects: parameters do not know them.

    Global hooks would find them as they run, but not inside of compiled modules.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.count = len(parameters)
        index = {id(p): i for i, p in enumerate(parameters) if isinstance(p, nn.Parameter)}
        found = []
        for module in _all_modules() if index else ():
            held = [index[id(p)] for p in module.parameters() if id(p) in index]
            if held:
                found.append((len(list(module.modules())), min(held), module))
        found.sort(key=lambda entry: entry[:2])
        self._parallel = [m for *_, m in found if isinstance(m, DistributedDataParallel)]
        self._places: dict[str, Place] = {}
        known = set()
        for _, first, module in found:
            for path, child in module.named_modules():
                for name in child._buffers:
                    if (id(child), name) not in known:
                        known.add((id(child), name))
                        self._places[self._key(f"{first}.{path}.{name}")] = Place(child, name)

    def buffers(self) -> dict[str, Tensor]:
        """The buffers, by names that are the same in every process.

        A name begins with the number of a parameter in the smallest module that holds both.
        """
        found = {key: place.module._buffers[place.name] for key, place in self._places.items()}
        return {key: buffer for key, buffer in found.items() if buffer is not None}

    @contextmanager
    def without_ddp(self) -> Iterator[None]:
        """Refuses, within the context, a module that runs inside DistributedDataParallel."""
        handles = [module.register_forward_pre_hook(_refuse) for module in self._parallel]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _key(self, name: str) -> str:
        while name in self._places:
            name += "'"
        return name


def _all_modules() -> list[Any]:
    """Every module there is."""
    classes: set[type] = {nn.Module}
    waiting = [nn.Module]
    while waiting:
        further = set(waiting.pop().__subclasses__()) - classes
        classes |= further
        waiting += further
    return [thing for thing in gc.get_objects() if type(thing) in classes]


def _refuse(module: nn.Module, inputs: Any) -> NoReturn:
    raise UserError(
        "closure: expected plain modules, got one inside DistributedDataParallel, which knows no "
        "gradients without backward; use its .module (l2o.optim averages over the processes itself)"
    )
