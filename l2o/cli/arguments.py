"""The words of a command line, made ready for Hydra or refused in one line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from l2o.cli.config import CONFIGS, choices, groups
from l2o.io import checks
from l2o.io.errors import UserError
from l2o.training.command_line import quoted, shell_word

PATHS = (
    *("checkpoint", "released_min", "released_max", "resume", "run_dir", "directory", "report"),
    *("hydra.run.dir", "hydra.sweep.dir"),
)
"""Settings that are the path of one file or folder."""
FLAGS = "--help, --multirun, --config-dir=FOLDER and --cfg=job; --hydra-help lists all"


class CommandLine(NamedTuple):
    """The arguments of a script, which Hydra reads if the settings come before the flags."""

    settings: list[str]
    flags: list[str]
    help: bool
    """Whether to print the help and do nothing else."""
    folder: str | None
    """Where the user's own choices are."""


def readable(arguments: Sequence[str], config_name: str) -> CommandLine:
    """The arguments of a script, made ready for Hydra.

    Args:
        arguments: As they were typed. A path needs no quotes besides the shell's.
        config_name: Of the script.

    Raises:
        UserError: If a flag or a setting cannot be read, is not one of the script's, or has
            several values without `--multirun`.
    """
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]
    known, unknown = parser.parse_known_intermixed_args(arguments)
    for argument in unknown:
        raise UserError(f"{argument}: {_remedy(argument)}")
    if known.resolve and not known.cfg:
        raise UserError("--resolve: expected --cfg=job beside it")
    flags = list(arguments)
    for setting in known.overrides:
        flags.remove(setting)
    settings = [_with_path(setting, known.multirun) for setting in known.overrides]
    for setting in settings:
        override = _read(setting)
        if override.is_sweep_override() and not known.multirun:
            raise UserError(f"{setting}: {_several(*setting.split('=', 1))}")
        _check_choice(override, config_name)
    return CommandLine(settings, flags, known.help, known.config_dir)


def _refuse(message: str) -> NoReturn:
    """Says in one line what argparse says in several."""
    raise UserError(f"{message}; the flags are {FLAGS}")


def _remedy(argument: str) -> str:
    setting = argument.lstrip("-")
    if "=" in setting:
        return f"settings have no dashes; write {shell_word(setting)}"
    return f"no such flag; settings are KEY=VALUE without dashes, flags are {FLAGS}"


def _with_path(setting: str, multirun: bool) -> str:
    """A setting; if it is a path, in quotes, and from the home where it begins with ~/."""
    key, equals, value = setting.partition("=")
    if key in ("hydra.run.dir", "hydra.sweep.dir") and equals and not value:
        raise UserError(f"{setting}: expected a folder, got nothing; {key}=. is this one")
    given = value and value[0] not in "'\"" and "${" not in value and value != "null"
    # Of several jobs each may have a path of its own.
    if key not in PATHS or not given or (multirun and "," in value):
        return setting
    return f"{key}={quoted(os.path.expanduser(value) if value.startswith('~/') else value)}"


def _read(setting: str) -> Override:
    """What Hydra reads; raises UserError if it is nothing."""
    key, equals, value = setting.partition("=")
    try:
        override = OverridesParser.create().parse_override(setting)
    except HydraException:
        listed = value.startswith("[") and value.endswith("]")
        text = f"[{quoted(value[1:-1])}]" if listed else quoted(value)
        how = f"; a text goes in quotes: {shell_word(f'{key}={text}')}" if key and value else ""
        raise UserError(f"{setting}: expected KEY=VALUE, could not read it{how}") from None
    except ValueError:
        raise UserError(f"{setting[: checks.LONGEST]}…: the number is too long") from None
    if not override.key_or_group or not (equals or override.is_delete()):
        raise UserError(f"{setting}: expected KEY=VALUE")
    return override


def _several(key: str, values: str) -> str:
    plain = "(" not in values
    listed = f"; one list is written {shell_word(f'{key}=[{values}]')}" if plain else ""
    text = shell_word(f"{key}={quoted(values)}")
    return f"to try each of several values, add --multirun{listed}; one text is written {text}"


def _check_choice(override: Override, config_name: str) -> None:
    """Raises UserError for a group that the script does not have, or a choice it cannot run."""
    group = override.key_or_group
    if not (CONFIGS / group).is_dir() or group.startswith("hydra"):
        return
    own = {name.partition("@")[0] for name in groups(config_name)}
    if group not in own:
        raise UserError(f"{group}: no such group of {config_name}; it has {', '.join(sorted(own))}")
    if override.is_delete() or override.is_sweep_override():
        return
    value, known = override.value(), choices(config_name, group)
    foreign = (CONFIGS / group / f"{value}.yaml").exists() and value not in known
    if isinstance(value, int | float | list | None) or foreign:
        raise checks.refusal(group, f"one of {', '.join(known)}", value)
