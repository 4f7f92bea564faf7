"""Learned optimizers that come with the package, each with what was measured of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from l2o.io.errors import UserError

WEIGHTS = Path(__file__).parents[1] / "weights"
"""One `.safetensors` file each; its folder and name are the name to load it by."""
KEY = "l2o"
"""Where the description is in a file's metadata, as JSON."""


class Pretrained(NamedTuple):
    """What is known of a shipped optimizer."""

    config: dict[str, Any]
    """The resolved config it was trained under."""
    results: dict[str, dict[str, Any]]
    """By problem: its settings, the size of the test, and the figures measured."""


def pretrained() -> dict[str, Pretrained]:
    """The shipped optimizers by name, for `l2o.load(name)`.

    Example:
        >>> for name, known in l2o.pretrained().items():
        ...     print(name, {problem: r["sr1"] for problem, r in known.results.items()})
    """
    paths = sorted(WEIGHTS.rglob("*.safetensors"))
    names = (path.relative_to(WEIGHTS).with_suffix("").as_posix() for path in paths)
    return {name: _described(path) for name, path in zip(names, paths, strict=True)}


def shipped(name: str | Path) -> Path | None:
    """The file of a shipped optimizer, None if there is none of that name."""
    path = WEIGHTS / f"{name}.safetensors"
    return path if path.resolve().is_relative_to(WEIGHTS.resolve()) and path.is_file() else None


def read_weights(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors of a shipped file, and the config its optimizer was trained under."""
    return load_file(path), _described(path).config


def write_weights(optimizer: nn.Module, description: Pretrained, path: Path) -> None:
    """Writes an optimizer as one `.safetensors` file.

    Args:
        optimizer: Its weights are what is written.
        description: Put into the file's metadata.
        path: Of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Copies, since weights that two players share would be one tensor under two names.
    tensors = {
        name: tensor.clone(memory_format=torch.contiguous_format)
        for name, tensor in optimizer.state_dict().items()
    }
    save_file(tensors, path, metadata={KEY: json.dumps(description._asdict())})


def _described(path: Path) -> Pretrained:
    try:
        with safe_open(path, framework="pt") as file:
            return Pretrained(**json.loads(file.metadata()[KEY]))
    except (SafetensorError, KeyError, TypeError, ValueError):
        raise UserError(f"{path}: not a file of weights that l2o wrote") from None
