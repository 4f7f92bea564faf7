"""Malformed settings of the scripts that evaluate: refused in one line, nothing written.

More than 200 malformed values are tried over the five scripts; each test counts its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig

from l2o.cli import compare, export, operations, rates
from l2o.cli import evaluate as run
from tests.malformed import (
    Allowed,
    a_range,
    changed,
    check_line,
    composed,
    flag,
    garbage,
    judged,
    nothing,
    null_or,
    number,
    outcome,
    settings_of,
    size,
    stop,
    trials,
    whole,
)
from tests.training.test_malformed import ALLOWED

EXAMPLES = 60
FUNCTIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "compare": compare.compare,
    "evaluate": run.evaluate,
    "export": export.export,
    "operations": operations.operations,
    "rates": rates.rates,
}
WORK = [(compare, "_result"), (run, "run_test"), (export, "figures"), (rates, "rate_curve")]
WORK += [(operations, "count_operations")]
"""What takes long, and what begins where all settings have been looked at."""
SMALL = {
    "compare": ["only=[ogda,agraal,anderson,kbeam_2]", "checkpoints=[structured_twin/universal]"],
    "evaluate": ["checkpoint=structured_twin/universal"],
    "export": ["name=mine"],
    "operations": ["only=[ogda]"],
    "rates": ["only=[ogda]", "mixtures=2"],
}
SIZES = ["evaluation.instances=2", "evaluation.starts=2", "evaluation.iterations=5"]
METHODS = ["methods", *(f"methods.{name}" for name in ("ogda", "agraal", "anderson", "kbeam_2"))]


def no(value: Any) -> bool:
    """Nothing but null."""
    return value is None


def begins(*prefixes: str) -> dict[str, Allowed]:
    return {name: allowed for name, allowed in ALLOWED.items() if name.startswith(prefixes)}


READ = begins("problem", "seed", "evaluation", "trust_classes")
OWN: dict[str, dict[str, Allowed]] = {
    "compare": {
        **READ,
        "noise": number(0),
        "only": lambda value: value is None or value == [],
        "checkpoints": lambda value: value == [],
        "evaluation": nothing,  # tuning needs its iterations
        "validation": lambda value: value == {},
        **dict.fromkeys(("validation.instances", "validation.starts"), size()),
        **dict.fromkeys((*METHODS, *(f"{name}._target_" for name in METHODS)), nothing),
        "methods.agraal.phi": lambda value: number(above=1)(value) and value <= (1 + 5**0.5) / 2,
        "methods.anderson.memory": whole(1),
        "methods.kbeam_2.beams": size(),
        "safeguard": lambda value: value is None or value == {},
        "safeguard._target_": no,
    },
    "evaluate": {
        **dict.fromkeys(begins("problem."), no),
        **{f"problem.{name}": null_or(a_range) for name in ("a", "b", "start_x", "start_y")},
        "problem": lambda value: value == {},
        "checkpoint": nothing,
        **dict.fromkeys(("released_min", "released_max"), lambda value: value in (None, "")),
        "seed": null_or(whole(0)),
        "evaluation": lambda value: value == {},
        **{name: null_or(allowed) for name, allowed in begins("evaluation.").items()},
        "trust_classes": flag,
        "safeguard": lambda value: value is None or value == {},
        "safeguard._target_": no,
    },
    "export": {
        **begins("variant", "seed", "evaluation"),
        "checkpoint": no,
        "problems": nothing,
        **{f"problems.matrix_game.{n.partition('.')[2]}": a for n, a in begins("problem.").items()},
        "problems.saddle": nothing,
    },
    "operations": {
        **READ,
        **begins("variant"),
        "methods": nothing,
        "only": lambda value: value == [],
    },
    "rates": {
        **READ,
        "mixtures": whole(2, 10**6),
        "games": size(),
        "methods": nothing,
        "only": nothing,
    },
}
"""What each setting that a script reads may be, by itself."""


@contextlib.contextmanager
def without_work() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module, name in WORK:
            patch.setattr(module, name, stop)
        yield


def config(script: str) -> DictConfig:
    sizes = SIZES if script != "rates" else []
    sizes = sizes[1:] if script == "operations" else sizes
    sizes = sizes + ([] if script == "export" else ["run_dir=run"])
    return composed(script, *SMALL[script], *sizes)


def tried_settings(script: str) -> list[str]:
    """The settings that a value can be judged for by itself."""
    return sorted(name for name in settings_of(config(script)) if name in OWN[script])


@pytest.mark.parametrize("script", FUNCTIONS)
def test_any_value_is_taken_or_refused_in_one_line(script: str) -> None:
    count, base, known = 0, config(script), OWN[script]

    @settings(trials, max_examples=EXAMPLES)
    @given(st.sampled_from(tried_settings(script)), garbage)
    def tried(name: str, value: Any) -> None:
        nonlocal count
        line = outcome(script, FUNCTIONS[script], changed(base, name, value))
        assert (line is None) == judged(known, name, value), (name, value, line)
        if line is not None:
            check_line(line, name, value, related="only: no method")
            count += 1

    with without_work():
        tried()
    assert count >= 40
