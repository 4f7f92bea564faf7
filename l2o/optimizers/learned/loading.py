"""Learned optimizers from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from l2o.io import checks
from l2o.io.checkpoints import read_checkpoint, weights_of, with_weights
from l2o.io.errors import UserError
from l2o.io.pretrained import pretrained, read_weights, shipped
from l2o.io.settings import build
from l2o.optimizers.base import LearnedOptimizer


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
        The optimizer, in evaluation mode, on the CPU, in the float type it was trained in.

    Raises:
        UserError: If the file is missing, damaged, or not a checkpoint of l2o.

    Example:
        >>> optimizer = l2o.load("structured_twin/universal")
        >>> trajectory = l2o.unroll(optimizer, instances, start, iterations=1000)
    """
    return load_checkpoint(path, trust_classes=trust_classes).optimizer


def load_checkpoint(path: str | Path, *, trust_classes: bool = False) -> Checkpoint:
    """The optimizer of a checkpoint together with its settings; see `load`."""
    if not isinstance(path, str | Path):
        raise checks.refusal("path", "the path of a checkpoint, or the name of one", path)
    checks.path("path", str(path))
    checks.flag("trust_classes", trust_classes)
    own = None if Path(path).exists() else shipped(path)
    if own is None and not Path(path).exists():
        names = ", ".join(pretrained())
        raise UserError(f"{path}: no such file, nor one of the package's: {names}")
    if own is not None:
        weights, config = read_weights(own)
    else:
        content = read_checkpoint(path)
        weights, config = weights_of(content), content["l2o"]["config"]

    def make() -> LearnedOptimizer[Any]:
        name = f"{path}: variant"
        return build(config["variant"], LearnedOptimizer, name, own_only=not trust_classes)

    return Checkpoint(with_weights(make, weights, path, trusted=trust_classes), config)
