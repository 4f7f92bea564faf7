"""Checks of settings: each refuses a bad value in one line that says what was expected."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from typing import TypeGuard

from l2o.errors import UserError


def _refuse(name: str, expected: str, value: object) -> UserError:
    return UserError(f"{name}: expected {expected}, got {value!r}")


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
        raise _refuse(name, f"a finite number{bounds}", value)
    return float(value)


def positive(name: str, value: object) -> float:
    """A finite number above zero; raises UserError otherwise."""
    if number(name, value) <= 0:
        raise _refuse(name, "a number above 0", value)
    return number(name, value)


def count(name: str, value: object, *, minimum: int = 1) -> int:
    """A whole number of at least `minimum`; raises UserError otherwise."""
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise _refuse(name, f"a whole number of at least {minimum}", value)
    return value


def value_range(name: str, value: object) -> tuple[float, float]:
    """A range [low, high] of finite numbers, low <= high; raises UserError otherwise."""
    expected = "a range [low, high] of two finite numbers with low <= high"
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise _refuse(name, expected, value)
    low, high = value
    for end in (low, high):
        if not _is_finite(end):
            raise _refuse(name, expected, list(value))
    if low > high:
        raise UserError(f"{name}: the range [{low}, {high}] is reversed; write [{high}, {low}]")
    return float(low), float(high)


def flag(name: str, value: object) -> bool:
    """True or false; raises UserError otherwise."""
    if not isinstance(value, bool):
        raise _refuse(name, "true or false", value)
    return value


def choice(name: str, value: object, choices: Iterable[str]) -> str:
    """One of the named choices; raises UserError listing them otherwise."""
    choices = list(choices)
    if value not in choices:
        raise _refuse(name, "one of " + ", ".join(choices), value)
    return str(value)
