"""What the scripts share: composing the config, and one line for every mistake in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from l2o.errors import UserError

CONFIGS = Path(__file__).resolve().parents[2] / "conf"
"""The folder of all config files."""

TOO_LARGE = ("can't allocate memory", "Storage size calculation overflowed")
"""What PyTorch says of tensors beyond the memory or beyond 64 bits."""


def chosen(group: str) -> str:
    """The name of the choice in a group of settings, for `${chosen:GROUP}` in a config.

    Outside a script, where Hydra knows of no choices, it is the name of the group.

    Args:
        group: Such as `problem`.
    """
    return HydraConfig.get().runtime.choices[group] if HydraConfig.initialized() else group


OmegaConf.register_new_resolver("chosen", chosen, replace=True)


def script(
    config_name: str,
) -> Callable[[Callable[[dict[str, Any]], float]], Callable[[], None]]:
    """Turns a function of a config into the main function of a Hydra script.

    The function receives the composed config as plain data. A mistake of the user's ends the
    script with status 2 and one line on the error output.

    Args:
        config_name: The file in `conf/` that the script composes.
    """

    def decorate(job: Callable[[dict[str, Any]], float]) -> Callable[[], None]:
        def guarded(config: DictConfig) -> float:
            try:
                with _one_line_errors():
                    return job(plain(config))
            finally:
                _remove_empty_directory()

        def main() -> None:
            # Hydra would print its own account of an error, several lines long.
            os.environ["HYDRA_FULL_ERROR"] = "1"
            with _one_line_errors():
                hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=config_name)(
                    guarded
                )()

        return main

    return decorate


def plain(config: Any) -> dict[str, Any]:
    """A config as plain data, with every interpolation resolved."""
    if OmegaConf.is_config(config):
        config = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    return dict(config)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except (UserError, HydraException, OmegaConfBaseException) as error:
        message = _message(error)
    except OSError as error:
        if error.strerror is None:
            raise
        message = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(w in str(error) for w in TOO_LARGE):
            raise
        message = f"not enough memory; choose smaller sizes ({_first_line(error)[:200]})"
    else:
        return
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def _message(error: Exception) -> str:
    """One line: what was expected, what arrived, what to do."""
    if isinstance(error, MissingConfigException) and error.options:
        group, _, name = (error.missing_cfg_file or "").rpartition("/")
        return f"{group}: expected one of {', '.join(error.options)}, got '{name}'"
    if isinstance(error, OverrideParseException):
        return f"{error.override}: expected KEY=VALUE, could not read it ({_first_line(error)})"
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    key, parent = getattr(cause, "full_key", None), getattr(cause, "parent_node", None)
    if "is not in struct" in str(cause) and isinstance(parent, DictConfig):
        where, _, name = str(key).rpartition(".")
        names = ", ".join(sorted(str(name) for name in parent))
        return f"{key}: no such setting '{name}'; {where or 'the config'} has {names}"
    if isinstance(cause, MissingMandatoryValue):
        return f"{key}: a value is missing; add {key}=VALUE"
    if isinstance(cause, OmegaConfBaseException) and key:
        return f"{key}: {_first_line(cause)}"
    return _first_line(error)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def _remove_empty_directory() -> None:
    """A run that was refused, or went on elsewhere, leaves no directory behind."""
    directory = Path(HydraConfig.get().runtime.output_dir)
    with suppress(OSError):
        directory.rmdir()
        directory.parent.rmdir()
