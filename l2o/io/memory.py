"""The memory that settings ask for, compared with what there is before any of it is taken."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from l2o.io import checks
from l2o.io.errors import UserError
from l2o.io.settings import TARGET, build, flat

Module = TypeVar("Module", bound=nn.Module)

OWN_GROUPS = Path("/proc/self/cgroup")
"""Where Linux tells the control groups of a process."""
GROUPS = Path("/sys/fs/cgroup")
"""Where their limits are."""
BEYOND = 2**61
"""Numbers whose bytes 64 bits do not count."""
SHOWN = 3
"""Sizes that a message names."""


def available() -> float:
    """Bytes that this process may take: the machine's, or fewer if its control group limits them.

    Such limits are how containers and batch systems share out a machine, by the first or the
    second version of control groups.
    """
    limits: list[float] = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    lines = OWN_GROUPS.read_text().splitlines() if OWN_GROUPS.exists() else []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            root, name = GROUPS, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = GROUPS / "memory", "memory.limit_in_bytes"
        else:
            continue
        # A group has the limits of those around it as well.
        own = Path(path.lstrip("/"))
        limits += [_limit(root / group / name) for group in (own, *own.parents)]
    return min(limits)


def _limit(path: Path) -> float:
    """The limit in a file, infinite if it has none."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return math.inf


def check(numbers: int, **settings: object) -> None:
    """Refuses settings that ask for more memory than there is.

    Asked before any of it is taken: a system may promise memory that it does not have.

    Args:
        numbers: How many numbers they ask for at least; each takes 4 bytes.
        settings: Those that decide it, by name: `problem={"m": 5}` is told as `problem.m`.

    Raises:
        UserError: If the memory is too small; names the largest of the sizes.
    """
    needed, held = 4 * numbers, available()
    if needed <= held:
        return
    sizes = {name: value for name, value in flat(settings).items() if type(value) is int}
    largest = sorted(sizes, key=lambda name: -sizes[name])
    given = ", ".join(f"{name}={sizes[name]}" for name in largest[:SHOWN])
    raise UserError(
        f"{given}: not enough memory; choose smaller sizes (these take at least "
        f"{needed / 1e9:.3g} GB, there are {held / 1e9:.3g} GB)"
    )


def numbers_in(make: Callable[[], Any]) -> int:
    """How many numbers something holds, made without memory for them on the meta device.

    Args:
        make: Makes a module, or nested tuples of tensors such as a state.

    Returns:
        How many, `BEYOND` if 64 bits do not count them; 0 if it cannot be made without memory.
    """
    try:
        with torch.device("meta"):
            return sum(tensor.numel() for tensor in tensors_in(make()))
    except RuntimeError as error:
        return BEYOND if "overflow" in str(error) else 0


def build_module(
    settings: object, kind: type[Module], name: str, *, own_only: bool = False
) -> Module:
    """The module that settings describe, see `build`, if there is memory for it.

    Raises:
        UserError: As `build` does; and if its weights are larger than the memory. A class of the
            user's need not be one that can be made without memory, and is not asked.
    """
    arguments = checks.mapping(name, settings)

    def make() -> Module:
        return build(arguments, kind, name, own_only=own_only)

    if str(arguments.get(TARGET)).startswith("l2o."):
        sizes = {key: value for key, value in arguments.items() if key != "seed"}
        check(numbers_in(make), **{name: sizes})
    return make()


def tensors_in(made: Any) -> list[Tensor]:
    """The tensors of nested tuples, or of a module: weights, buffers and its own besides."""
    if isinstance(made, nn.Module):
        own = [value for part in made.modules() for value in vars(part).values()]
        made = [*made.parameters(), *made.buffers(), *(v for v in own if isinstance(v, Tensor))]
    if isinstance(made, Tensor):
        return [made]
    return [tensor for part in made for tensor in tensors_in(part)]
