"""Weights of the code that was released with the paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from l2o.io.checkpoints import with_weights
from l2o.io.errors import UserError
from l2o.io.tensors import read_tensors
from l2o.optimizers import TwinL2O

SETTINGS: dict[str, Any] = {
    "state_rescale": 1e-4,
    "warmup_iterations": 10,
    "warmup_start": 1e-4,
    "warmup_end": 1e-1,
}
"""What the released code does around its LSTMs (see `TwinL2O`)."""


def load_released(
    min_path: str | Path, max_path: str | Path, *, state_std: float = 0.01
) -> TwinL2O:
    """Twin-L2O with the two weight files of the released code.

    Args:
        min_path: State dictionary of LSTM-Min, keys `recurs.*`, `recurs2.*`, `output.*`.
        max_path: State dictionary of LSTM-Max, likewise.
        state_std: Standard deviation of the initial LSTM states; 0.01 is the release's, 0
            starts them at zero.

    Returns:
        The optimizer, with the hidden size of the files and the release's settings.

    Raises:
        UserError: If a file is missing, damaged, or not such a state dictionary.
    """
    minimizer, maximizer = _weights(min_path), _weights(max_path)
    sizes = [weights["head"].shape[-1] for weights in (minimizer, maximizer)]
    if sizes[0] != sizes[1]:
        raise UserError(
            f"{min_path} has {sizes[0]} hidden units, {max_path} has {sizes[1]}: "
            "expected two files of one training"
        )
    both = {f"minimizer.{name}": tensor for name, tensor in minimizer.items()}
    both |= {f"maximizer.{name}": tensor for name, tensor in maximizer.items()}

    def make() -> TwinL2O:
        return TwinL2O(hidden_size=sizes[0], state_std=state_std, **SETTINGS)

    return with_weights(make, both, f"{min_path}, {max_path}")


def _weights(path: str | Path) -> dict[str, Tensor]:
    """A released state dictionary under the names of `CoordinateLSTM`."""
    content = read_tensors(path)
    try:
        return {
            "lower": _cell(content, "recurs"),
            "upper": _cell(content, "recurs2"),
            "head": content["output.weight"],
            "head_bias": content["output.bias"],
        }
    except (KeyError, TypeError, RuntimeError, AttributeError):
        raise UserError(
            f"{path}: expected a state dictionary with the keys recurs.*, recurs2.* and output.* "
            "of torch.nn.LSTMCell and torch.nn.Linear"
        ) from None


def _cell(content: dict[str, Tensor], name: str) -> Tensor:
    """The one weight matrix of an `LSTMCell` from the four tensors of a PyTorch one.

    PyTorch orders the gates i, f, g, o; here the three sigmoid gates come first: i, f, o, g.
    """
    inputs = content[f"{name}.weight_ih"], content[f"{name}.weight_hh"]
    biases = content[f"{name}.bias_ih"], content[f"{name}.bias_hh"]
    i, f, g, o = torch.cat((*inputs, *(bias[:, None] for bias in biases)), dim=1).chunk(4)
    return torch.cat((i, f, o, g))
