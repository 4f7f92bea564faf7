"""Checks of settings: each refuses a bad value in one line that says what was expected."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeGuard

from l2o.io.errors import UserError

MOST = 10**12
"""The largest whole number that any setting may be; more is a slip of the finger."""
WIDEST = 1e38
"""The largest number that still is one in single precision, or a little less."""
LONGEST = 100
"""Letters of a value that a message shows."""
LONGEST_NAME = 255
"""Bytes in the name of a file, on every common file system."""


def refusal(name: str, expected: str, value: object) -> UserError:
    """The error that says of a setting what was expected and what arrived."""
    return UserError(f"{name}: expected {expected}, got {shown(value)}")


def shown(value: object) -> str:
    """A value as a message shows it: in one line, and cut off if it is long."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if type(value).__repr__ is object.__repr__:
        name = type(value).__name__
        return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
    try:
        text = re.sub(r"\n\s*", " ", repr(value))  # of a tensor, several lines
    except ValueError:
        return "a number of thousands of digits"  # which Python refuses to write
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _is_finite(value: object) -> TypeGuard[int | float]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Compared rather than asked for isfinite, which fails on whole numbers beyond any float.
    return is_number and abs(value) <= sys.float_info.max  # type: ignore[arg-type]


def number(
    name: str, value: object, *, minimum: float = -math.inf, maximum: float = math.inf
) -> float:
    """A finite number in [minimum, maximum].

    Args:
        name: The setting's name, for the message.
        value: What was given for it.
        minimum: The smallest value allowed.
        maximum: The largest value allowed.

    Returns:
        The value as a float.

    Raises:
        UserError: If the value is not a number, not finite or outside the bounds.
    """
    if not _is_finite(value) or not minimum <= float(value) <= maximum:
        bounds = ""
        if math.isfinite(minimum) and math.isfinite(maximum):
            bounds = f" from {minimum:g} to {maximum:g}"
        elif math.isfinite(minimum):
            bounds = f" of at least {minimum:g}"
        elif math.isfinite(maximum):
            bounds = f" of at most {maximum:g}"
        raise refusal(name, f"a finite number{bounds}", value)
    return float(value)


def positive(name: str, value: object) -> float:
    """A finite number above zero; raises UserError otherwise."""
    if number(name, value) <= 0:
        raise refusal(name, "a number above 0", value)
    return number(name, value)


def count(name: str, value: object, *, minimum: int = 1) -> int:
    """A whole number from `minimum` to `MOST`; raises UserError otherwise."""
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise refusal(name, f"a whole number of at least {minimum}", value)
    if value > MOST:
        raise refusal(name, f"a whole number of at most {MOST}", value)
    return value


def value_range(name: str, value: object) -> tuple[float, float]:
    """A range [low, high] of numbers within ±1e38, low <= high; raises UserError otherwise."""
    expected = "a range [low, high] of two numbers within ±1e38 with low <= high"
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise refusal(name, expected, value)
    low, high = value
    for end in (low, high):
        if not _is_finite(end) or abs(end) > WIDEST:
            raise refusal(name, expected, list(value))
    if low > high:
        raise UserError(f"{name}: the range [{low}, {high}] is reversed; write [{high}, {low}]")
    return float(low), float(high)


def flag(name: str, value: object) -> bool:
    """True or false; raises UserError otherwise."""
    if not isinstance(value, bool):
        raise refusal(name, "true or false", value)
    return value


def choice(name: str, value: object, choices: Iterable[str]) -> str:
    """One of the named choices; raises UserError listing them otherwise."""
    choices = list(choices)
    if value not in choices:
        raise refusal(name, "one of " + ", ".join(choices), value)
    return str(value)


def path(name: str, value: object) -> Path:
    """The path of a file or directory; raises UserError otherwise."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise refusal(name, "a path", value)
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in Path(value).parts):
        raise refusal(name, f"a path with names of at most {LONGEST_NAME} bytes", value)
    return Path(value)


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Puts a setting's name before what is wrong with the file that it names."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{name}: {error}") from None


def mapping(name: str, value: object) -> dict[str, Any]:
    """Settings by name; raises UserError otherwise."""
    if not isinstance(value, Mapping):
        raise refusal(name, "settings by name", value)
    return {str(key): part for key, part in value.items()}


def names(name: str, value: object) -> list[str]:
    """A list of names or paths; raises UserError otherwise."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        example = value if isinstance(value, str) and value.isprintable() else "first,second"
        raise refusal(name, f"a list, as in '{name}=[{example}]'", value)
    return list(value)
