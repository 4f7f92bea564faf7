"""Resuming a run: with which config, and from which of its checkpoints."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from hydra.core.hydra_config import HydraConfig
from torch import nn

from l2o.io import checks
from l2o.io.checkpoints import check_fit, read_checkpoint, weights_of
from l2o.io.directory import LAST, PREVIOUS
from l2o.io.errors import UserError
from l2o.io.program import program
from l2o.io.settings import TARGET, flat
from l2o.reporting.report import versions
from l2o.training.command_line import quoted, shell_word

AUTO = "auto"
FREE = ("resume", "run_dir", "trust_classes", "checkpoint_seconds", "logger", "pruning")
"""Settings that cannot change results, and so may differ when a run goes on; pruning may end it."""
LABELS = ("chosen",)
"""Settings that only give names to others."""
DECISIVE = ("l2o", "torch", "pytorch-lightning")
"""Packages whose versions must be those of the run for it to go on as if never stopped."""


class Origin(NamedTuple):
    """Where a run comes from."""

    config: dict[str, Any]
    directory: Path
    trusted: bool
    """Whether classes outside `l2o` may be built: the user has named them, not a file."""
    continued: bool
    """Whether it began before, in its directory."""


def origin(config: dict[str, Any]) -> Origin:
    """The run that a config asks for, with `resume` a path, `auto` or null.

    Raises:
        UserError: If there is no run to go on with, or it has other settings.
    """
    resume = config["resume"]
    trusted = checks.flag("trust_classes", config["trust_classes"])
    directory = checks.path("run_dir", config["run_dir"])
    if resume is None or resume == AUTO:
        continued = resume == AUTO and _config_file(directory).exists()
        if continued:
            _refuse_difference(_read_config(directory), config, f"{_config_file(directory)}")
        return Origin(config, directory, True, continued)
    directory = checks.path("resume", resume).absolute()
    if not _config_file(directory).exists():
        raise UserError(f"resume: expected the directory of a run, got {resume}")
    stored = _read_config(directory)
    if set(stored) != set(config):
        raise UserError(f"{_config_file(directory)}: not the settings of a training run")
    stored |= {key: config[key] for key in _overridden()}
    stored |= {"resume": str(resume), "run_dir": str(directory)}
    return Origin(stored, directory, trusted, True)


def newest_checkpoint(
    directory: Path, config: Mapping[str, Any], optimizer: nn.Module
) -> Path | None:
    """The newest checkpoint that a run can go on from; None if it was never saved.

    Args:
        directory: Of the run.
        config: Of the run, which must be that of the checkpoint.
        optimizer: Whose weights are to be in it.

    Raises:
        UserError: If there are checkpoints, but none is valid.
    """
    paths = [directory / "checkpoints" / name for name in (LAST, PREVIOUS)]
    paths = [path for path in paths if path.exists()]
    errors: list[str] = []
    for path in paths:
        try:
            _check(path, config, optimizer)
        except UserError as error:
            errors.append(str(error))
            continue
        for error_before in errors:
            print(f"{error_before}; going on from {path.name}")
        return path
    if errors:
        raise UserError(errors[0])
    return None


def command(directory: Path, config: Mapping[str, Any]) -> str:
    """The command that resumes a run, whatever its path and wherever its classes are."""
    line = f"{program('train')} {shell_word(f'resume={quoted(str(directory))}')}"
    if all(target.startswith("l2o.") for target in _targets(config)):
        return line
    place = os.environ.get("PYTHONPATH")
    return f"{f'PYTHONPATH={shell_word(place)} ' if place else ''}{line} trust_classes=true"


def _targets(settings: object) -> Iterator[str]:
    """The classes that settings name, in lists too."""
    if isinstance(settings, Mapping):
        if TARGET in settings:
            yield str(settings[TARGET])
        settings = list(settings.values())
    if isinstance(settings, list):
        for part in settings:
            yield from _targets(part)


def _check(path: Path, config: Mapping[str, Any], optimizer: nn.Module) -> None:
    """Raises UserError unless the run with this config can go on from a checkpoint."""
    content = read_checkpoint(path)
    missing = {"unroll", "loops", "callbacks", "optimizer_states"} - set(content)
    if missing:
        raise UserError(f"{path}: cannot be gone on from, has no {', '.join(sorted(missing))}")
    _refuse_difference(content["l2o"]["config"], config, str(path))
    wrote, now = content["l2o"].get("versions"), versions()
    for name in DECISIVE:
        found = wrote.get(name) if isinstance(wrote, dict) else None
        if found != now.get(name):
            raise UserError(
                f"{path}: expected {name} {now.get(name)}, got {found}; a run goes on only with "
                "the versions that it began with"
            )
    check_fit(optimizer, weights_of(content), path)


def _refuse_difference(stored: Any, config: Mapping[str, Any], where: str) -> None:
    """Raises UserError naming a setting that differs from the one the run began with."""
    before, now = flat(stored), flat(config)
    for key in sorted(set(before) | set(now)):
        if key.split(".")[0] in FREE + LABELS or before.get(key) == now.get(key):
            continue
        raise UserError(
            f"{key}: the run was begun with {before.get(key)!r} ({where}), now it is "
            f"{now.get(key)!r}; choose another directory for another run"
        )


def _overridden() -> set[str]:
    """The settings given besides `resume`; raises UserError if one could change results."""
    if not HydraConfig.initialized():
        return set()
    names = set()
    for given in HydraConfig.get().overrides.task:
        name = given.lstrip("+~").split("=")[0].split(".")[0].split("@")[0]
        if name not in FREE or name == "run_dir":
            raise UserError(
                f"{given}: cannot be given together with resume=PATH, which goes on with the "
                f"run's own settings; {', '.join(sorted(set(FREE) - {'resume', 'run_dir'}))} can"
            )
        names.add(name)
    return names


def _config_file(directory: Path) -> Path:
    return directory / "config.yaml"


def _read_config(directory: Path) -> dict[str, Any]:
    path = _config_file(directory)
    try:
        stored = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        stored = None
    if not isinstance(stored, dict):
        raise UserError(f"{path}: damaged, or not the settings of a run")
    return stored
