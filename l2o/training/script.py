"""What the scripts share: composing the config, and one line for every mistake in it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from l2o import checks
from l2o.errors import UserError

CONFIGS = Path(__file__).resolve().parents[2] / "conf"
"""The folder of all config files."""

TOO_LARGE = ("can't allocate memory", "Storage size calculation overflowed")
"""What PyTorch says of tensors beyond the memory or beyond 64 bits."""


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
                with one_line_errors():
                    check_complete(config, config_name)
                    return job(plain(config))
            finally:
                _remove_empty_directory()

        def main() -> None:
            # Hydra would print its own account of an error, several lines long.
            os.environ["HYDRA_FULL_ERROR"] = "1"
            with one_line_errors():
                check_arguments(sys.argv[1:])
                hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=config_name)(
                    guarded
                )()

        return main

    return decorate


def plain(config: Any) -> dict[str, Any]:
    """A config as plain data, with every interpolation resolved."""
    if OmegaConf.is_config(config):
        try:
            config = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        except InterpolationResolutionError:
            _check_references(config)
            raise
    return dict(config)


def _check_references(config: DictConfig) -> None:
    """Raises UserError for a setting that others refer to as a group, and that is none."""
    for place in re.findall(r"\$\{([\w.]+)\}", OmegaConf.to_yaml(config)):
        names = place.split(".")
        for depth in range(1, len(names)):
            group = ".".join(names[:depth])
            value = OmegaConf.select(config, group, throw_on_resolution_failure=False)
            if not OmegaConf.is_dict(value):
                raise checks.refusal(group, f"settings by name, {names[depth]} among them", value)


def check_complete(config: Mapping[str, Any], config_name: str) -> None:
    """Refuses a config that lacks a setting or a group of its file, or has one of its own.

    Args:
        config: The composed config.
        config_name: The file in `conf/` that it was composed from.

    Raises:
        UserError: If it does.
    """
    content = yaml.safe_load((CONFIGS / f"{config_name}.yaml").read_text())
    groups = [choice for choice in content.pop("defaults") if isinstance(choice, dict)]
    # `problem@problems.saddle` puts a problem below `problems`; null is a group left out.
    chosen = {
        group.rpartition("@")[2].split(".")[0]
        for choice in groups
        for group, name in choice.items()
        if name is not None and " " not in group
    }
    known = (chosen | set(content)) - {"hydra"}
    for name in sorted(known - set(config)):
        raise UserError(f"{name}: expected a value, got none; leave it as it is, or choose one")
    for name in sorted(map(str, set(config) - known - {"hydra"})):
        raise UserError(f"{name}: no such setting; the config has {', '.join(sorted(known))}")


def check_arguments(arguments: Sequence[str]) -> None:
    """Refuses arguments that Hydra answers with several lines.

    Args:
        arguments: Of the command line.

    Raises:
        UserError: If a number is given for the name of a choice, or is too long to be read.
    """
    parser = OverridesParser.create()
    for argument in arguments:
        try:
            override = parser.parse_override(argument)
        except HydraException:
            continue  # a flag, or what Hydra itself has a line for
        except ValueError:
            raise UserError(f"{argument[: checks.LONGEST]}…: the number is too long") from None
        group = CONFIGS / override.key_or_group
        if not override.key_or_group:
            raise UserError(f"{argument}: expected KEY=VALUE")
        value = None if override.is_delete() else override.value()
        if group.is_dir() and not override.is_delete() and isinstance(value, int | float | None):
            choices = ", ".join(sorted(path.stem for path in group.glob("*.yaml")))
            raise checks.refusal(override.key_or_group, f"one of {choices}", value)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends the script with status 2 and one line on the error output for a user's mistake."""
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
    print(f"error: {' '.join(message.splitlines())}", file=sys.stderr)
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
    if missing := re.search(r"Missing mandatory value: (.+)", str(error)):
        key = missing[1]
    if missing or isinstance(cause, MissingMandatoryValue):
        return f"{key}: a value is missing; add {key}=VALUE"
    if isinstance(cause, OmegaConfBaseException) and key:
        # A run's directory is named after settings, one of which is at fault then.
        typed = f"; given {' '.join(sys.argv[1:])}" if str(key).startswith("hydra.") else ""
        return f"{key}: {_first_line(cause)}{typed}"
    return _first_line(error)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def _remove_empty_directory() -> None:
    """A run that was refused, or went on elsewhere, leaves no directory behind."""
    directory = Path(HydraConfig.get().runtime.output_dir)
    with suppress(OSError):
        directory.rmdir()
        directory.parent.rmdir()
