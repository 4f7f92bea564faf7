"""Objects from settings: a `_target_` names a class, the rest are its arguments."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from l2o.io import checks
from l2o.io.errors import UserError

T = TypeVar("T")

TARGET = "_target_"


def build(settings: Mapping[str, Any], kind: type[T], name: str, *, own_only: bool = False) -> T:
    """The object that settings describe.

    Args:
        settings: `_target_`, the dotted path of a class, and the arguments of its constructor,
            which may be described likewise.
        kind: What the class must be a subclass of.
        name: The setting's name, for messages.
        own_only: Refuse every class that is not defined inside `l2o`, before importing it.
            Meant for settings that come from a file.

    Returns:
        The object.

    Raises:
        UserError: If there is no such class, it is of another kind, or an argument is unknown
            or not allowed.
    """
    arguments = checks.mapping(name, settings)
    cls = _class(arguments.pop(TARGET, None), kind, name, own_only)
    for key, value in arguments.items():
        if isinstance(value, Mapping) and TARGET in value:
            part: type[Any] = object
            arguments[key] = build(value, part, f"{name}.{key}", own_only=own_only)
    return construct(cls, arguments, name)


def construct(cls: Callable[..., T], settings: object, name: str) -> T:
    """What a class, or a function, makes of settings that are its arguments.

    Args:
        cls: The class.
        settings: Its arguments by name.
        name: The setting's name, which messages begin with.

    Raises:
        UserError: If these are no settings by name, or one is unknown, missing or not allowed.
    """
    arguments = checks.mapping(name, settings)
    parameters = inspect.signature(cls).parameters.values()
    known = [
        one.name for one in parameters if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
    ]
    # Of a file, the name begins with its path.
    listed = f"{name.rpartition(' ')[2]} has {', '.join(known) or 'no settings'}"
    for key, value in arguments.items():
        if key not in known and not any(one.kind is one.VAR_KEYWORD for one in parameters):
            raise UserError(f"{name}.{key}: no such setting, got {checks.shown(value)}; {listed}")
    for one in parameters:
        if one.name in known and one.default is one.empty and one.name not in arguments:
            raise UserError(f"{name}.{one.name}: a value is missing; {listed}")
    try:
        return cls(**arguments)
    except UserError as error:
        raise UserError(f"{name}.{error}") from None


def flat(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings with dotted names."""
    if not isinstance(settings, Mapping):
        return {prefix.rstrip("."): settings}
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= flat(value, f"{prefix}{key}.")
    return found


def _class(path: object, kind: type[T], name: str, own_only: bool) -> type[T]:
    where = f"{name}.{TARGET}"
    if not isinstance(path, str) or "." not in path:
        raise checks.refusal(where, "the dotted path of a class", path)
    module, _, attribute = path.rpartition(".")
    if own_only and module.split(".")[0] != "l2o":
        raise UserError(
            f"{where}: {path} is not part of l2o, and classes named in a file are not run "
            "unless you opt in (trust_classes=true)"
        )
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UserError(
            f"{where}: cannot find {path} ({error}); is its folder on PYTHONPATH?"
        ) from None
    if not (inspect.isclass(found) and issubclass(found, kind)) or inspect.isabstract(found):
        raise UserError(f"{where}: expected a {kind.__name__}, but {path} is none")
    if own_only and found.__module__.split(".")[0] != "l2o":
        raise UserError(f"{where}: {path} is not defined in l2o")
    return found
