"""Learned optimizers from files. Nothing in a file is ever executed."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import torch

from l2o.errors import UserError
from l2o.optimizers import LearnedOptimizer
from l2o.pretrained import pretrained, read_weights, shipped
from l2o.settings import build

PREFIX = "optimizer."
"""What the names of the optimizer's weights begin with in a checkpoint."""


class Checkpoint(NamedTuple):
    """What a checkpoint holds: enough to evaluate it."""

    optimizer: LearnedOptimizer[Any]
    """With the weights of the checkpoint."""
    config: dict[str, Any]
    """The resolved config of the run that wrote it."""


def load(path: str | Path, *, trust_classes: bool = False) -> LearnedOptimizer[Any]:
    """The learned optimizer of a checkpoint.

    Args:
        path: A `.ckpt` file that a training run wrote, or the name of an optimizer that comes
            with the package, see `l2o.pretrained()`.
        trust_classes: Also build classes that the file names outside `l2o`. Importing them
            runs their code: opt in only for files that you trust.

    Returns:
        The optimizer, in evaluation mode, on the CPU.

    Raises:
        UserError: If the file is missing, damaged, or not a checkpoint of l2o.

    Example:
        >>> optimizer = l2o.load("structured_twin/universal")
        >>> trajectory = l2o.unroll(optimizer, instances, start, iterations=1000)
    """
    return load_checkpoint(path, trust_classes=trust_classes).optimizer


def load_checkpoint(path: str | Path, *, trust_classes: bool = False) -> Checkpoint:
    """The optimizer of a checkpoint together with its settings; see `load`."""
    own = None if Path(path).exists() else shipped(path)
    if own is not None:
        weights, config = read_weights(own)
        optimizer = build(config["variant"], LearnedOptimizer, f"{path}: variant", own_only=True)
        load_weights(optimizer, weights, path)
        return Checkpoint(optimizer, config)
    match read_tensors(path):
        case {"state_dict": dict(named), "l2o": {"config": {"variant": dict(variant)} as config}}:
            names = [name for name in named if str(name).startswith(PREFIX)]
            weights = {name.removeprefix(PREFIX): named[name] for name in names}
        case _:
            raise UserError(f"{path}: not a checkpoint written by l2o")
    optimizer = build(variant, LearnedOptimizer, f"{path}: variant", own_only=not trust_classes)
    load_weights(optimizer, weights, path)
    return Checkpoint(optimizer, config)


def read_tensors(path: str | Path) -> Any:
    """The content of a file that `torch.save` wrote: tensors and plain data only.

    Raises:
        UserError: If the file is missing, damaged, or holds anything else.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        names = ", ".join(pretrained())
        raise UserError(f"{path}: no such file, nor one of the package's: {names}") from None
    except (PermissionError, IsADirectoryError) as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except pickle.UnpicklingError:
        raise UserError(
            f"{path}: holds more than tensors and plain data, or is no checkpoint; "
            "it was not loaded, since that could run code"
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        raise UserError(f"{path}: damaged, truncated or not a checkpoint") from None


def load_weights(optimizer: LearnedOptimizer[Any], weights: Any, path: str | Path) -> None:
    """Puts weights into a learned optimizer.

    Raises:
        UserError: If names or shapes differ.
    """
    try:
        optimizer.load_state_dict(weights)
    except (RuntimeError, AttributeError, TypeError):
        raise UserError(
            f"{path}: its weights do not fit {type(optimizer).__name__} as the file describes it"
        ) from None
    optimizer.eval()
