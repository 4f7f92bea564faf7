"""Calls of a problem's methods whose failures name them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from l2o.io import checks
from l2o.io.errors import UserError
from l2o.problems.instances import Instances

CONSTANTS = (
    "constants must have x's float type and device: write constant.to(x), of a module "
    "module.to(x), or make them parameters (sample_parameters), which are cast"
)
MIXED = (("float", "double"), ("float32", "float64"), ("mixed dtype",))
"""Words of what PyTorch says where single and double precision meet."""


def named(game: Instances, method: str) -> str:
    """A method of the problem as messages name it."""
    return f"{type(game.problem).__name__}.{method}"


def costs_of(game: Instances) -> str:
    """The method that states the costs, `objective` or `costs`, as messages name it."""
    return named(game, game.problem.stated_by)


@contextmanager
def trying(where: str, what: str) -> Iterator[None]:
    """Turns whatever a problem's code raises into one line.

    Args:
        where: What is called.
        what: On what.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        mixed = any(all(word in reason.lower() for word in words) for words in MIXED)
        remedy = f"; {CONSTANTS}" if mixed else ""
        raise UserError(
            f"{where} failed on {what}: {type(error).__name__}: {reason}{remedy}"
        ) from error


@contextmanager
def calling(game: Instances, method: str, **points: Tensor) -> Iterator[None]:
    """A call that must neither fail nor change what it is given.

    Args:
        game: Whose problem is called, with its θ.
        method: Of the problem.
        points: What it is given besides, by name.
    """
    where, x = named(game, method), points["x"]
    theta = {f"theta[{name!r}]": value for name, value in game.theta.items()}
    before = {name: value.clone() for name, value in (points | theta).items()}
    with trying(where, f"x of shape {tuple(x.shape)} in {shown(x)}"):
        yield
    after = points | {f"theta[{name!r}]": value for name, value in game.theta.items()}
    for name in before.keys() | after.keys():
        if name not in before or name not in after or not same(before[name], after[name]):
            raise UserError(
                f"{where}: expected to leave what it is given as it is, got another {name} "
                "afterwards; compute new tensors instead of changing these in place "
                "(x = x + 1, not x += 1)"
            )


def expect(
    where: str, what: str, value: object, like: Tensor, shape: tuple[int, ...] | None = None
) -> None:
    """Refuses what is not a tensor of the float type and device of another.

    Args:
        where: What returned it.
        what: What it is to be, for the message.
        value: What was returned.
        like: x or y.
        shape: What its shape is to be, by default that of the other.
    """
    shape = tuple(like.shape) if shape is None else shape
    asked = f"{where}: expected {what}, shape {shape}, for points of shape {tuple(like.shape)}"
    if not isinstance(value, Tensor):
        raise UserError(f"{asked}; got {checks.shown(value)}")
    if value.shape != shape:
        raise UserError(f"{asked}; got shape {tuple(value.shape)}")
    if value.is_complex():
        raise UserError(f"{where}: expected real values, got {shown(value)}; return their .real")
    if value.dtype != like.dtype:
        raise UserError(
            f"{where}: expected values of x's float type {shown(like)}, got {shown(value)}; "
            f"{CONSTANTS}"
        )
    if value.device != like.device:
        raise UserError(
            f"{where}: expected values on the device of x, {like.device}, got {value.device}; "
            f"{CONSTANTS}"
        )


def expect_pair(where: str, value: object, like: tuple[Tensor, Tensor]) -> None:
    """The same for a pair, one part for each player."""
    if not isinstance(value, tuple) or len(value) != 2:
        raise UserError(f"{where}: expected a pair, one part for each player; {told(value)}")
    for name, part, point in zip("xy", value, like, strict=True):
        expect(where, f"a part for {name} like {name} itself", part, point)


def told(value: object) -> str:
    """What arrived, in a few words."""
    if isinstance(value, Tensor):
        return f"got one tensor of shape {tuple(value.shape)}"
    return f"got {checks.shown(value)}"


def shown(tensor: Tensor) -> str:
    """A tensor's type."""
    return str(tensor.dtype).removeprefix("torch.")


def same(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors are equal, NaN included."""
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    return bool(((first == second) | ((first != first) & (second != second))).all())
