"""Checks of settings, and that importing l2o stays light."""

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2o import UserError
from l2o.io import checks
from l2o.io.settings import build
from l2o.problems import Problem

anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.floats())
)


@given(anything)
def test_a_count_is_a_whole_number_from_its_minimum_on(value: Any) -> None:
    good = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10**12
    _accepts(checks.count, value, good)


@given(st.one_of(anything, st.tuples(st.floats(), st.floats())))
def test_a_range_is_two_finite_numbers_in_order(value: Any) -> None:
    good = isinstance(value, list | tuple) and len(value) == 2
    good = good and all(abs(end) <= 1e38 for end in value) and value[0] <= value[1]
    _accepts(checks.value_range, value, good)


@given(anything)
def test_a_number_is_finite(value: Any) -> None:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    _accepts(checks.number, value, good and abs(value) < float("inf"))


def test_a_whole_number_beyond_any_float_is_no_finite_number() -> None:
    _accepts(checks.number, 10**400, False)


def _accepts(check: Any, value: Any, good: bool) -> None:
    if good:
        check("name", value)
        return
    with pytest.raises(UserError) as refusal:
        check("name", value)
    message = str(refusal.value)
    assert message.startswith("name: ")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"_target_": "l2o.problems.Seesaw", "c": 1},
            r"problem\.c: no such setting, got 1; problem has a, b",
        ),
        ({"_target_": "l2o.problems.Seesaw", "a": [2, 1]}, r"problem\.a: the range \[2, 1\] is"),
        ({"_target_": "l2o.problems.Problem"}, r"expected a method objective\(self, x, y, theta\)"),
        ({"_target_": "nowhere.Seesaw"}, "cannot find nowhere.Seesaw.*PYTHONPATH"),
        ({"_target_": "seesaw"}, "expected the dotted path of a class, got 'seesaw'"),
        (3, "problem: expected settings by name, got 3"),
    ],
)
def test_build_names_what_is_wrong(settings: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        build(settings, Problem, "problem")


def test_import_leaves_the_frameworks_of_training_alone() -> None:
    code = (
        "import sys, l2o; heavy = {'pytorch_lightning', 'wandb', 'hydra', 'omegaconf'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
