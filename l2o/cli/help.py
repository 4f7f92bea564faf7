"""What `--help` prints: examples, choices and settings, explained by the comments in `conf/`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from l2o.cli.config import CONFIGS, choices, groups
from l2o.io.program import program
from l2o.io.settings import TARGET
from l2o.training.command_line import quoted

EXAMPLE = "Example: "
"""Marks an example in the comments at the head of a script's config."""
INTERNAL = ("run_dir", "chosen")
"""Settings that exist only for others to refer to."""
WIDEST = 40
"""Columns for a setting and its value; explanations begin behind them."""


def help_text(config_name: str, settings: Sequence[str], folder: str | None = None) -> str:
    """The help of a script, with the settings as the user has chosen them.

    Args:
        config_name: The file in `conf/` that the script composes.
        settings: From the command line.
        folder: Of choices of the user's own.
    """
    path = CONFIGS / f"{config_name}.yaml"
    head, own = _head(path), program(config_name)
    said = [line for line in head if not line.startswith(EXAMPLE)]
    examples = [line.removeprefix(EXAMPLE) for line in head if line.startswith(EXAMPLE)]
    return "\n".join(
        [
            *said,
            f"\n  {own} [SETTING=VALUE …] [--multirun] [--config-dir=FOLDER] [--cfg=job]\n",
            "Examples:",
            *(f"  {own} {example}" for example in examples),
            *_choices(config_name, settings),
            "\nSettings, with the values that they have now:",
            *_settings(config_name, settings, folder),
            "\n--multirun runs every combination of values that are separated by commas, two at",
            "a time with hydra/launcher=joblib hydra.launcher.n_jobs=2; --config-dir adds a folder",
            "of your own choices; --cfg=job shows all settings as YAML; --hydra-help has more.",
        ]
    )


def explained(path: Path) -> dict[str, str]:
    """The comments beside the settings in a file, by their dotted names."""
    found: dict[str, str] = {}
    place: list[tuple[int, str]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        match = re.match(r"( *)(?:- )?([\w.@]+):(?: (.*?))??(?: # (.*))?$", line)
        if not match:
            continue
        indent, key, value, comment = match.groups()
        place = [(depth, name) for depth, name in place if depth < len(indent)]
        place.append((len(indent), key))
        name = ".".join(name for _, name in place)
        within = yaml.safe_load(value) if value and value.startswith("{") else {}
        for one in (name, *(f"{name}.{part}" for part in within)):
            if comment:
                found[one] = comment
    return found


def _head(path: Path) -> list[str]:
    """The comments that a file begins with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if not line.startswith("# @package")]
    length = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return [line.removeprefix("# ") for line in lines[:length]]


def _choices(config_name: str, settings: Sequence[str]) -> Iterator[str]:
    """The groups of a script, and what can be chosen in each."""
    comments = explained(CONFIGS / f"{config_name}.yaml")
    for group, chosen in _chosen(config_name, settings).items():
        if "@" in group:
            continue
        yield f"\n{group}=NAME: {comments[f'defaults.{group}']}"
        for name in choices(config_name, group):
            said = " ".join(_head(CONFIGS / group / f"{name}.yaml"))
            yield f" {'*' if name == chosen else ' '}{name:<{WIDEST - 10}} {said}"


def _chosen(config_name: str, settings: Sequence[str]) -> dict[str, str | None]:
    """What is chosen in each group, by the user or else by the script."""
    given = dict(setting.partition("=")[::2] for setting in settings)
    return {group: given.get(group, name) for group, name in groups(config_name).items()}


def _settings(config_name: str, settings: Sequence[str], folder: str | None) -> Iterator[str]:
    """Every setting with its value and what it is."""
    place = f"hydra.searchpath=[{quoted(f'file://{os.path.abspath(folder)}')}]" if folder else None
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose(config_name, [*settings, place] if place else list(settings))
    yield from _lines(config, _comments(config_name, settings))
    if "run_dir" in config:
        yield _line("hydra.run.dir=FOLDER", "where the results go")


def _comments(config_name: str, settings: Sequence[str]) -> dict[str, str]:
    """Explanations of a script's settings, from the chosen files and from its own."""
    found: dict[str, str] = {}
    for group, chosen in _chosen(config_name, settings).items():
        paths = (CONFIGS / group).glob("*.yaml")
        for path in sorted(paths, key=lambda path: (path.stem == chosen, path)):
            whole = "@package _global_" in path.read_text(encoding="utf-8")
            if path.stem == chosen or not whole:
                at = "" if whole else f"{group}."
                found |= {f"{at}{name}": said for name, said in explained(path).items()}
    return found | explained(CONFIGS / f"{config_name}.yaml")


def _lines(
    settings: DictConfig, comments: Mapping[str, str], prefix: str = "", listed: bool = False
) -> Iterator[str]:
    """A line for each setting below a name; for settings listed by name, only if explained."""
    raw: Any = OmegaConf.to_container(settings)
    if raw and all(_is_entry(value) for value in raw.values()):
        listed = True
        yield f"  {prefix}NAME.…: one of {', '.join(map(str, raw))}"
    for key, value in raw.items():
        name = f"{prefix}{key}"
        said = comments.get(name, "")
        if name in INTERNAL:
            continue
        if isinstance(value, dict):
            yield from _lines(settings[key], comments, f"{name}.", listed)
        elif OmegaConf.is_missing(settings, key):
            yield _line(f"{name}=VALUE", f"needed: {said}")
        elif key != TARGET and (said or not listed):
            yield _line(f"{name}={_text(settings, key)}", said)


def _is_entry(value: object) -> bool:
    """Whether a value is one of several that are listed by name: a class, or a list of sweeps."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, dict) for one in value)
    return isinstance(value, dict) and TARGET in value


def _text(settings: DictConfig, key: Any) -> str:
    """A value as it is typed, cut off if it is long."""
    try:
        value = settings[key]
    except OmegaConfBaseException:
        raw: Any = OmegaConf.to_container(settings)
        value = raw[key]
    plain = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    text = json.dumps(plain, ensure_ascii=False)
    text = text.replace('"', "").replace(", ", ",")
    return text if len(text) <= WIDEST else f"{text[:WIDEST]}…"


def _line(name: str, meaning: str) -> str:
    return f"  {name:<{WIDEST}}  {meaning}".rstrip()
