"""Named streams of random numbers, all from one seed and none from the global generator."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def generator(seed: int, *stream: str | int) -> torch.Generator:
    """A CPU generator of its own for one named stream.

    Equal names give equal numbers; different names give independent ones. Being a function
    of its name alone, a stream needs no state to be saved for a run to be repeated.

    Args:
        seed: The seed of the run.
        stream: What the numbers are for, e.g. `"start", epoch`.

    Returns:
        A seeded `torch.Generator` on the CPU.
    """
    name = "/".join(str(part) for part in (seed, *stream))
    digest = hashlib.sha256(name.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


@contextmanager
def single_precision() -> Iterator[None]:
    """Whatever names no float type is in single precision, whatever the default one is."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(default)
