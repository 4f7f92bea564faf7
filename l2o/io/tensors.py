"""Files of tensors, read without running anything in them."""

from __future__ import annotations

import pickle
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from l2o.io.errors import UserError

TENSOR_PARTS = {
    "collections OrderedDict",
    "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_tensor_v2",
}
"""What a file of tensors names besides `torch.…Storage`. PyTorch itself allows more, such as
`bytearray`, with which a file of 100 bytes fills the memory."""

LEGACY_PICKLES = 5
"""Pickles that files of PyTorch before 1.6 begin with."""


def read_tensors(path: str | Path) -> Any:
    """The content of a file that `torch.save` wrote: tensors and plain data only.

    Nothing in the file is run, and it takes no more memory than it has bytes.

    Raises:
        UserError: If the file is missing, damaged, or holds anything else.
    """
    try:
        _check_parts(Path(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(
            f"{path}: expected a file, got a directory; of a run, take checkpoints/best.ckpt in it"
        ) from None
    except PermissionError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except pickle.UnpicklingError:
        raise UserError(
            f"{path}: holds more than tensors and plain data, or is no checkpoint; "
            "it was not loaded, since that could run code"
        ) from None
    except UserError:
        raise
    except Exception:
        # Whatever the bytes of a damaged file make of PyTorch's reader.
        raise UserError(f"{path}: damaged, truncated or not a checkpoint") from None
    for tensor in _tensors(content):
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise UserError(f"{path}: holds a tensor {tuple(tensor.shape)} larger than its data")
    return content


def _check_parts(path: Path) -> None:
    """Refuses a file that unpacks to more than its size, or names more than tensors."""
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            file.seek(0)
            for _ in range(LEGACY_PICKLES):
                _check_names(file)
            return
        with zipfile.ZipFile(file) as archive:
            if sum(part.file_size for part in archive.infolist()) > path.stat().st_size:
                raise UserError(f"{path}: unpacks to more than its size; it was not loaded")
            for name in archive.namelist():
                if name.endswith(".pkl"):
                    with archive.open(name) as pickled:
                        _check_names(pickled)


def _check_names(pickled: IO[bytes]) -> None:
    """Raises UnpicklingError if one pickle names anything but the parts of tensors."""
    for operation, argument, _ in pickletools.genops(pickled):
        name = str(argument)
        storage = name.startswith("torch ") and name.endswith("Storage")
        known = storage or name in TENSOR_PARTS
        if operation.name in ("INST", "STACK_GLOBAL") or (operation.name == "GLOBAL" and not known):
            raise pickle.UnpicklingError(name)


def _tensors(content: Any) -> Iterator[Tensor]:
    """Every tensor in plain data, which may contain itself."""
    waiting, seen = [content], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, Tensor):
            yield part
        elif isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, list | tuple | set):
            waiting += part
