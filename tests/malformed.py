"""Malformed settings, and what a script makes of one."""

from __future__ import annotations

import contextlib
import io
import math
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hypothesis import Phase, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from l2o.cli.config import CONFIGS, check_complete, plain
from l2o.cli.script import one_line_errors

MANY, TOO_MANY, HUGE = 10**12, 10**13, 10**400
"""The largest whole number allowed, beyond any memory; more; and more than any float."""
NUMBERS = [-HUGE, -1e300, -2, -1, -0.5, 0, 0.0, 5e-324, 0.5, 1, 1.0, 2, 3, 7, MANY, TOO_MANY]
NUMBERS += [1e39, 1e300, HUGE, math.nan, math.inf, -math.inf]
TEXTS = [
    "",
    " ",
    "x",
    "maybe",
    "true",
    "nan",
    "1",
    "auto",
    "cpu",
    "ddp",
    "none",
    "a/b",
    "../..",
    ".",
]
TEXTS += ["l2o.problems.Problem", "l2o.problems", "os.system", "..", "a\nb", "é☃\u2028", "x" * 300]
TEXTS += ["${nothing}", "???", "\0", "[0,1]", "gradient", "both"]

scalars = st.one_of(
    st.none(), st.booleans(), st.sampled_from(NUMBERS), st.sampled_from(TEXTS), st.text(max_size=5)
)
nested = st.recursive(
    scalars,
    lambda part: st.one_of(
        st.lists(part, max_size=3), st.dictionaries(st.sampled_from("abc"), part, max_size=2)
    ),
    max_leaves=4,
)
garbage = st.one_of(scalars, nested, st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=3))
"""Every kind of value that YAML can hold, with those that are most likely to break something."""

trials = settings(phases=[Phase.generate])
"""Found values are simple enough as they are: to make them simpler would take minutes."""

Allowed = Callable[[Any], bool]


class Taken(BaseException):
    """A script has taken its config and would now begin the work."""


def stop(*_: object, **__: object) -> None:
    """Stands for the work of a script."""
    raise Taken


def outcome(script: str, function: Callable[[dict[str, Any]], Any], config: Any) -> str | None:
    """The line that a script ends with, None if it takes the config.

    Run in an empty directory, which must be empty after a refusal.
    """
    errors = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        try:
            with contextlib.redirect_stderr(errors), one_line_errors():
                check_complete(config, script)
                function(plain(config))
        except Taken:
            return None
        except SystemExit as ended:
            status, left = ended.code, list(Path(folder).iterdir())
        else:
            raise AssertionError("the work is replaced by `stop`")
    assert status == 2
    assert not left, "a refused run leaves nothing"
    return errors.getvalue()


def composed(script: str, *overrides: str) -> DictConfig:
    """The config of a script, with a directory that its function may write into."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose(script, list(overrides))


def settings_of(config: Any, prefix: str = "") -> list[str]:
    """The dotted names of all settings, groups of settings included."""
    names: list[str] = []
    for key in config:
        name = f"{prefix}{key}"
        names.append(name)
        part = OmegaConf.to_container(config)[key]
        if isinstance(part, dict):
            names += settings_of(OmegaConf.create(part), f"{name}.")
    return names


def changed(config: DictConfig, name: str, value: Any) -> DictConfig:
    """The config with one setting replaced."""
    copy = config.copy()
    OmegaConf.update(copy, name, value, merge=False, force_add=True)
    return copy


def check_line(line: str, name: str, value: Any, related: str = "") -> None:
    """A refusal is one line that names the setting, shows the value and says what to do."""
    assert line.startswith("error: ")
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1, line
    section, _, leaf = name.rpartition(".")
    by_relation = section in line and f"{leaf} ({value!r})" in line
    assert name in line or by_relation or (related and related in line), line
    words = ("expected", "choose", "write", "missing", "no such", "not found", "cannot find")
    assert any(word in line for word in words), line
    if isinstance(value, dict) or (isinstance(value, str) and ("$" in value or value == "???")):
        return  # what is missing or unknown in it is named instead
    parts = [value, *(value if isinstance(value, list) else [])]
    words = [repr(part) for part in parts]
    words += [part.splitlines()[0] if part.split() else part for part in map(str, parts)]
    assert any(word[:60] in line for word in words), line


def is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1.7e308  # false for nan, too


def whole(low: int, high: int = MANY) -> Allowed:
    return lambda value: type(value) is int and low <= value <= high


def size(low: int = 1) -> Allowed:
    """What takes memory: of the numbers that are tried, all above are beyond any."""
    return whole(low, 10**6)


def number(low: float = -math.inf, high: float = math.inf, above: float = -math.inf) -> Allowed:
    return lambda value: is_number(value) and low <= value <= high and value > above


def flag(value: Any) -> bool:
    return type(value) is bool


def one_of(*choices: Any) -> Allowed:
    return lambda value: isinstance(value, str) and value in choices


def null_or(allowed: Allowed) -> Allowed:
    return lambda value: value is None or allowed(value)


def a_range(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 2 or not all(map(is_number, value)):
        return False
    return value[0] <= value[1] and max(map(abs, value)) <= 1e38


def a_path(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and "\0" not in value


def nothing(value: Any) -> bool:
    """No value that is tried."""
    return False


def judged(allowed: Mapping[str, Allowed], name: str, value: Any) -> bool:
    """Whether a value is one that the setting may have."""
    interpolation = isinstance(value, str) and ("${" in value or value == "???")
    return not interpolation and allowed[name](value)
