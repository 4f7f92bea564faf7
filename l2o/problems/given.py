"""What a problem is given from outside, and what its own methods give: refused in one line.

Axes: B instances.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from l2o.io import checks
from l2o.io.errors import UserError


def check_source(count: object, generator: object) -> None:
    """Raises UserError unless so many instances can be sampled from a generator."""
    checks.count("count", count)
    if not isinstance(generator, torch.Generator) or generator.device.type != "cpu":
        example = "a CPU generator, as torch.Generator().manual_seed(0)"
        raise checks.refusal("generator", example, generator)


def check_dtype(dtype: object) -> torch.dtype:
    """A float type; raises UserError otherwise."""
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise checks.refusal("dtype", "a float type such as torch.float64", dtype)
    return dtype


def check_device(device: object) -> torch.device:
    """A device; raises UserError otherwise."""
    expected = "a device such as 'cpu' or 'cuda'"
    if not isinstance(device, str | torch.device):
        raise checks.refusal("device", expected, device)
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:  # the latter where PyTorch is built without it
        expected += f" that PyTorch has here ({str(error).splitlines()[0]})"
        raise checks.refusal("device", expected, device) from None


def check_batch(where: str, parameters: object, count: int) -> None:
    """Raises UserError unless all of θ, or of a draw, are tensors with the batch axis first.

    Args:
        where: What returned it.
        parameters: θ by name.
        count: How many instances it is for.
    """
    if not isinstance(parameters, Mapping):
        raise UserError(f"{where}: expected tensors by name, got {checks.shown(parameters)}")
    for name, value in parameters.items():
        if not isinstance(value, Tensor) or value.ndim == 0 or len(value) != count:
            shape = tuple(value.shape) if isinstance(value, Tensor) else checks.shown(value)
            raise UserError(
                f"{where}: expected {name} with the batch axis first, ({count}, …), got {shape}; "
                "repeat what is the same for all instances, value.expand(count, …), or keep it in "
                "the problem itself and use it as value.to(x)"
            )
        if value.layout is not torch.strided:
            raise UserError(
                f"{where}: expected {name} to be dense, got {value.layout}; write value.to_dense()"
            )
