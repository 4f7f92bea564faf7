"""The composed config of a script, as plain data and checked for completeness."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError

from l2o.io import checks
from l2o.io.errors import UserError

CONFIGS = (Path(__file__).parents[1] / "conf").resolve()
"""The folder of all config files: in the package, in a checkout beside it."""

RUNNABLE = {("rates", "problem"): ["quadratic_game"]}
"""The choices that a script can run, by script and group, where it cannot run them all."""


def chosen(group: str) -> str:
    """The name of the choice in a group of settings, for `${chosen:GROUP}` in a config.

    Outside a script, where Hydra knows of no choices, it is the name of the group.

    Args:
        group: Such as `problem`.
    """
    return HydraConfig.get().runtime.choices[group] if HydraConfig.initialized() else group


OmegaConf.register_new_resolver("chosen", chosen, replace=True)


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
    """Raises UserError if a setting that others refer to as a group is not one."""
    for place in re.findall(r"\$\{([\w.]+)\}", OmegaConf.to_yaml(config)):
        names = place.split(".")
        for depth in range(1, len(names)):
            group = ".".join(names[:depth])
            value = OmegaConf.select(config, group, throw_on_resolution_failure=False)
            if not OmegaConf.is_dict(value):
                raise checks.refusal(group, f"settings by name, {names[depth]} among them", value)


def groups(config_name: str) -> dict[str, str | None]:
    """The groups of a script with the choice made in each; None for a group that is left out.

    Args:
        config_name: The file in `conf/` that the script composes.
    """
    content = yaml.safe_load((CONFIGS / f"{config_name}.yaml").read_text(encoding="utf-8"))
    found = [choice for choice in content["defaults"] if isinstance(choice, dict)]
    return {group: name for choice in found for group, name in choice.items() if " " not in group}


def choices(config_name: str, group: str) -> list[str]:
    """The choices of a group that a script can run."""
    known = sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))
    return RUNNABLE.get((config_name, group), known)


def check_complete(config: Mapping[str, Any], config_name: str) -> None:
    """Refuses a config that lacks a setting or a group of its file, or has one of its own.

    Args:
        config: The composed config.
        config_name: The file in `conf/` that it was composed from.

    Raises:
        UserError: If it does.
    """
    content = yaml.safe_load((CONFIGS / f"{config_name}.yaml").read_text(encoding="utf-8"))
    # `problem@problems.saddle` puts a problem below `problems`.
    chosen = {
        group.rpartition("@")[2].split(".")[0]
        for group, name in groups(config_name).items()
        if name is not None
    }
    known = (chosen | set(content)) - {"hydra", "defaults"}
    for name in sorted(known - set(config)):
        raise UserError(f"{name}: expected a value, got none; leave it as it is, or choose one")
    for name in sorted(map(str, set(config) - known - {"hydra"})):
        raise UserError(f"{name}: no such setting; the config has {', '.join(sorted(known))}")
