"""The search space of a study, written as Hydra writes sweeps."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Transformer
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from l2o.io.errors import UserError


@dataclass(frozen=True)
class Space:
    """What the jobs of a study have in common, and what is chosen for each.

    Attributes:
        fixed: Overrides of every job.
        texts: How the choice of each setting was written, in one form.
        distributions: What Optuna chooses each from.
    """

    fixed: list[str]
    texts: dict[str, str]
    distributions: dict[str, BaseDistribution]

    @classmethod
    def of(cls, params: Mapping[str, Any], arguments: Sequence[str]) -> Space:
        """The space of `hydra.sweeper.params` and of the command line, which comes last.

        Raises:
            UserError: If one cannot be chosen from.
        """
        lines = [*(f"{name}={value}" for name, value in params.items()), *arguments]
        parsed = OverridesParser.create().parse_overrides(lines)
        overrides = {override.get_key_element().lstrip("+"): override for override in parsed}
        swept = {key: one for key, one in overrides.items() if one.is_sweep_override()}
        return cls(
            [str(one.input_line) for key, one in overrides.items() if key not in swept],
            {one.get_key_element(): _text(one) for one in swept.values()},
            {one.get_key_element(): _distribution(one) for one in swept.values()},
        )

    def __contains__(self, setting: str) -> bool:
        """Whether the study chooses a setting, by its dotted name, or a group that holds it."""
        for key in self.texts:
            group, _, package = key.lstrip("+").partition("@")
            name = package or group.replace("/", ".")
            if f"{setting}.".startswith(f"{name}."):
                return True
        return False


def _distribution(override: Override) -> BaseDistribution:
    """The distribution that Optuna samples from; a range includes its end."""
    sweep = override.value()
    if not isinstance(sweep, RangeSweep | IntervalSweep):
        return CategoricalDistribution(_choices(override))
    log = "log" in sweep.tags
    low: Any = sweep.start
    high: Any = sweep.stop if isinstance(sweep, RangeSweep) else sweep.end
    step: Any = sweep.step if isinstance(sweep, RangeSweep) else None
    try:
        with warnings.catch_warnings(action="ignore"):  # of a step that does not divide the range
            if all(isinstance(number, int | None) for number in (low, high, step)):
                return IntDistribution(low, high, log, 1 if step is None else step)
            return FloatDistribution(low, high, log, step)
    except ValueError as error:
        raise UserError(f"{override.input_line}: cannot be chosen from ({error})") from None


def _choices(override: Override) -> list[Any]:
    """The choices: numbers and words as values, anything else as it is written."""
    sweep: Any = override.value()
    if not hasattr(sweep, "list"):
        raise UserError(f"{override.input_line}: expected choice(A, B), all choices by name")
    return [Transformer.encode(choice) for choice in sweep.list]


def _text(override: Override) -> str:
    sweep: Any = override.value()
    if isinstance(sweep, RangeSweep):
        text = f"range({sweep.start}, {sweep.stop}, {sweep.step})"
    elif isinstance(sweep, IntervalSweep):
        text = f"interval({sweep.start}, {sweep.end})"
    else:
        text = f"choice({', '.join(map(str, _choices(override)))})"
    return f"tag(log, {text})" if "log" in sweep.tags else text
