"""Malformed settings of `scripts/reproduce.py`."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2o.reproduction import reproduce
from tests.malformed import (
    Allowed,
    changed,
    check_line,
    composed,
    garbage,
    judged,
    nothing,
    null_or,
    one_of,
    outcome,
    stop,
    trials,
    whole,
)

ALLOWED: dict[str, Allowed] = {
    "target": one_of("a5", "all"),
    "workers": null_or(whole(1)),
    "targets": nothing,  # without a5
    "targets.a5": lambda value: value == [],
    "targets.figure1": lambda value: value == [],
}


def test_any_value_is_taken_or_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("run_all", "write_report"):
        monkeypatch.setattr(reproduce, name, stop)
    count, base = 0, composed("reproduce", "target=a5", "directory=d", "report=r")
    base.targets = {name: base.targets[name] for name in ("a5", "figure1")}  # the rest takes time

    @settings(trials, max_examples=60)
    @given(st.sampled_from(sorted(ALLOWED)), garbage)
    def tried(name: str, value: Any) -> None:
        nonlocal count
        line = outcome("reproduce", reproduce.reproduce, changed(base, name, value))
        assert (line is None) == judged(ALLOWED, name, value), (name, value, line)
        if line is not None:
            check_line(line, name, value, related="target: expected one of all, got 'a5'")
            count += 1

    tried()
    assert count >= 40


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        (3, "targets.a5.0: expected settings by name, got 3"),
        ({"script": "rm"}, "targets.a5.0.script: expected one of train, compare, .*, got 'rm'"),
        ({"script": "train"}, "targets.a5.0.sweep: expected settings by name, got None"),
        (
            {"script": "train", "sweep": {"seed": 3}},
            "targets.a5.0.sweep.seed: expected a list of values, got 3",
        ),
    ],
)
def test_a_sweep_names_what_is_wrong_in_it(sweep: Any, words: str) -> None:
    base = composed("reproduce", "target=a5")
    line = outcome("reproduce", reproduce.reproduce, changed(base, "targets.a5", [sweep]))
    assert line is not None
    first, _, last = words.partition(", .*")
    assert first in line
    assert last in line
