"""The composed config of a script: as plain data, and with all that it must have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError

from l2o.io import checks
from l2o.io.errors import UserError
from l2o.io.program import program

CONFIGS = (Path(__file__).parents[1] / "conf").resolve()
"""The folder of all config files: in the package, in a checkout beside it."""


def chosen(group: str) -> str:
    """The name of the choice in a group of settings, for `${chosen:GROUP}` in a config.

    Outside a script, where Hydra knows of no choices, it is the name of the group.

    Args:
        group: Such as `problem`.
    """
    return HydraConfig.get().runtime.choices[group] if HydraConfig.initialized() else group


OmegaConf.register_new_resolver("chosen", chosen, replace=True)
OmegaConf.register_new_resolver("program", program, replace=True)


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
