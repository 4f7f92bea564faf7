"""Checkpoints: what they hold, and modules with their weights. Nothing in one is ever executed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from l2o.io.errors import UserError
from l2o.io.memory import tensors_in
from l2o.io.tensors import read_tensors

Module = TypeVar("Module", bound=nn.Module)

PREFIX = "optimizer."
"""What the names of the optimizer's weights begin with in a checkpoint."""

FORMAT = 1
"""Of the checkpoints that this version writes and reads; 1 is also meant where none is given."""

SPARE = 10**8
"""Bytes of tensors that an optimizer from a file may have besides its weights."""


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The content of a checkpoint of l2o, as tensors and plain data.

    Raises:
        UserError: If the file is missing, damaged, of another format or not one of l2o.
    """
    content = read_tensors(path)
    match content:
        case {"state_dict": dict(), "l2o": {"config": {"variant": dict()}} as own}:
            found = own.get("format", FORMAT)
        case _:
            raise UserError(f"{path}: not a checkpoint written by l2o")
    if found != FORMAT:
        raise UserError(
            f"{path}: expected a checkpoint of format {FORMAT}, got {found!r}; use the version of "
            "l2o that wrote it"
        )
    checkpoint: dict[str, Any] = content
    return checkpoint


def weights_of(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """The optimizer's weights in the content of a checkpoint, by their names in the optimizer."""
    named = {str(name): value for name, value in checkpoint["state_dict"].items()}
    return {n.removeprefix(PREFIX): value for n, value in named.items() if n.startswith(PREFIX)}


def with_weights(
    make: Callable[[], Module],
    weights: Mapping[str, Any],
    path: str | Path,
    *,
    trusted: bool = False,
) -> Module:
    """A learned optimizer with weights from a file, in evaluation mode.

    Args:
        make: Builds it.
        weights: By name.
        path: Of the file, for messages.
        trusted: Whether `make` may be called without a look at the sizes first. A class of the
            user's need not be one that can be built without memory.

    Raises:
        UserError: If names or shapes differ; found out before any memory is taken.
    """
    if not trusted:
        _check_sizes(make, weights, path)
    optimizer = make()
    kinds = {value.dtype for value in weights.values() if isinstance(value, Tensor)}
    optimizer.to(torch.float64 if torch.float64 in kinds else torch.float32)
    try:
        optimizer.load_state_dict(weights)
    except (RuntimeError, AttributeError, TypeError):
        raise _misfit(path) from None
    optimizer.eval()
    return optimizer


def check_fit(module: nn.Module, weights: Mapping[str, Any], path: str | Path) -> None:
    """Raises UserError unless weights from a file have a module's names and shapes."""
    expected = {name: tensor.shape for name, tensor in module.state_dict().items()}
    found = {name: value.shape for name, value in weights.items() if isinstance(value, Tensor)}
    if found != expected or len(found) < len(weights):
        raise _misfit(path)


def _check_sizes(
    make: Callable[[], nn.Module], weights: Mapping[str, Any], path: str | Path
) -> None:
    """The same for what `make` builds, without any memory, and that it needs little besides."""
    try:
        with torch.device("meta"):
            empty = make()
    except RuntimeError:
        # Sizes whose product is beyond 64 bits.
        raise _misfit(path) from None
    check_fit(empty, weights, path)
    kept = sum(tensor.nbytes for tensor in empty.state_dict().values())
    if sum(tensor.nbytes for tensor in tensors_in(empty)) - kept > SPARE:
        raise _misfit(path)


def _misfit(path: str | Path) -> UserError:
    return UserError(f"{path}: its weights do not fit the optimizer that its settings describe")
