"""Malformed settings of training, over every setting with every choice of every group.

`test_any_value_is_taken_or_refused_in_one_line` tries 13 configs × 40 values, of which more than
400 are malformed; `test_every_setting_refuses_what_it_cannot_be` one more for each of the
settings. Both count, and fail if fewer were.
"""

import contextlib
import functools
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig

from l2o.cli.config import CONFIGS, plain
from l2o.cli.script import one_line_errors
from l2o.evaluation.metrics import SCORES
from l2o.training import fit as training
from l2o.training.train import train
from tests.malformed import (
    Allowed,
    a_range,
    changed,
    check_line,
    composed,
    flag,
    garbage,
    is_number,
    judged,
    nothing,
    null_or,
    number,
    one_of,
    outcome,
    settings_of,
    size,
    stop,
    trials,
    whole,
)
from tests.training.test_configs import small

GROUPS = (
    "problem",
    "variant",
    "protocol",
    "estimator",
    "reward",
    "curriculum",
    "strategy",
    "logger",
)
NO_GPU = {"strategy": ("gpu", "ddp")}
CUSTOM = ["problem._target_=tests.helpers.Cubic", "+problem.c=[0.5,1]"]
CONFIG_COUNT, EXAMPLES = 15, 40


def text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def project(value: Any) -> bool:
    return text(value) and len(value) <= 128 and not set(value) & set("/\\#?%:")


def weights(value: Any) -> bool:
    """One for each of the two iterations of a window."""
    return isinstance(value, list) and len(value) == 2 and all(map(number(0), value))


def directions(value: Any) -> bool:
    names = ("gradient", "optimism", "momentum", "coupling")
    return isinstance(value, list) and bool(value) and all(map(one_of(*names), value))


def shapes(value: Any) -> bool:
    names = ("ring", "grid", "cloud", "spiral")
    return isinstance(value, list) and bool(value) and all(map(one_of(*names), value))


def empty(value: Any) -> bool:
    """A group whose settings all have defaults may be empty."""
    return value == {}


ALLOWED: dict[str, Allowed] = {
    "seed": whole(0),
    "mixture": lambda value: value is None or value == [],
    "resume": null_or(one_of("auto")),
    "trust_classes": flag,
    "checkpoint_seconds": number(0),
    "evaluation": empty,
    **dict.fromkeys(("evaluation.instances", "evaluation.starts"), size()),
    "evaluation.iterations": size(),
    **dict.fromkeys(("problem", "problem._target_", "variant", "variant._target_"), nothing),
    **dict.fromkeys(("reward", "reward._target_", "protocol", "protocol.validation"), nothing),
    "logger": nothing,
    **dict.fromkeys(("problem.a", "problem.b", "problem.start_x", "problem.start_y"), a_range),
    "problem.c": lambda value: a_range(value) and value[0] >= 0 and value[1] <= 1,
    "problem.spectrum": lambda value: a_range(value) and value[0] > 0,
    **dict.fromkeys(("problem.m", "problem.n", "problem.dimension"), size()),
    "problem.p": number(0, 1),
    "problem.low": number(-1e38, 1),
    "problem.high": number(-1, 1e38),
    "problem.shapes": shapes,
    **dict.fromkeys(("problem.components", "problem.width", "problem.latent"), size()),
    "problem.depth": whole(1, 100),
    "problem.batch": size(),
    "problem.samples": size(2),
    **dict.fromkeys(("problem.deviation", "problem.scale"), number(0, 1e6, above=0)),
    "problem.turned": flag,
    "problem.loss": one_of("non_saturating", "saturating", "wasserstein", "hinge"),
    "problem.activation": one_of("relu", "tanh", "silu"),
    "problem.penalty": number(0),
    "problem.initial_deviation": null_or(number(0, 1e3, above=0)),
    "variant.hidden_size": size(),
    "variant.units": size(),
    **dict.fromkeys(("variant.statistics", "variant.pull", "variant.optimism"), flag),
    "variant.relative": flag,
    "variant.seed": whole(0),
    **dict.fromkeys(("variant.share_weights", "variant.share_hidden"), flag),
    **dict.fromkeys(("variant.log_inputs", "variant.trust", "variant.recurrent"), flag),
    "variant.raw_inputs": flag,
    "variant.inputs": one_of("both", "own"),
    "variant.directions": directions,
    "variant.normalizer": one_of("decayed", "largest", "none"),
    "variant.memory": whole(0),
    **dict.fromkeys(("variant.state_rescale", "variant.state_std"), number(0, 1e38)),
    **dict.fromkeys(("variant.warmup_start", "variant.warmup_end"), number(0, 1e38)),
    "variant.warmup_iterations": size(0),
    **dict.fromkeys(("estimator", "estimator._target_"), nothing),
    "estimator.pairs": size(),
    "estimator.deviation": number(above=0),
    "estimator.shaping": one_of("ranks", "standardized"),
    "estimator.whole": flag,
    "estimator.tail": number(0, 1),
    "protocol.epochs": whole(1),
    "protocol.horizon": lambda value: whole(4)(value) and value % 2 == 0,
    "protocol.first_horizon": whole(1, 4),
    "protocol.window": whole(1, 2),
    "protocol.instances": size(),
    "protocol.learning_rate": number(above=0),
    **dict.fromkeys(("protocol.fresh_instances", "protocol.restart_diverged"), flag),
    **dict.fromkeys(("protocol.cosine", "protocol.count_last_half_step"), flag),
    "protocol.max_diverged": number(0, 1),
    "protocol.clip": null_or(number(above=0)),
    "protocol.detach": one_of("none", "inputs", "greedy"),
    "protocol.validation.every": whole(1),
    **dict.fromkeys(("protocol.validation.instances", "protocol.validation.iterations"), size()),
    "protocol.validation.score": one_of(*SCORES),
    "reward.weights": null_or(weights),
    "reward.shortest": number(above=0),
    "curriculum": empty,
    "curriculum.start": number(0, 1, above=0),
    "curriculum.growth": number(0),
    "curriculum.rank_by": one_of("gradient", "loss"),
    "strategy": nothing,
    "strategy.precision": one_of("32-true", "64-true", "bf16-mixed"),
    "strategy.compile": flag,
    "strategy.accelerator": one_of("auto", "cpu"),
    "strategy.devices": lambda value: whole(1, 2)(value) or value in ("auto", "1"),
    "strategy.num_nodes": whole(1, 2),
    "strategy.strategy": one_of("auto", "ddp"),
    "logger.csv": flag,
    "logger.wandb": lambda value: value is None,
    "logger.wandb.project": null_or(project),
    **dict.fromkeys(("logger.wandb.entity", "logger.wandb.group"), null_or(text)),
    "logger.wandb.name": null_or(text),
    "logger.wandb.offline": null_or(flag),
    "logger.wandb.wait_seconds": number(above=0),
    "pruning": lambda value: value is None,
    "chosen": nothing,
    **dict.fromkeys(("chosen.problem", "chosen.variant"), text),
}
"""What each setting may be, by itself, in the small configs below."""


def in_context(config: Mapping[str, Any], name: str, value: Any) -> bool:
    """Whether a value that a setting may have goes with the other settings."""
    new = plain(changed(config, name, value))
    if name == "protocol.window" and value == 1:
        return bool(config["protocol"]["count_last_half_step"])
    if name == "protocol.count_last_half_step":
        return True
    if name.startswith("strategy") and value != {}:
        of = new["strategy"]
        devices = 1 if of["devices"] in ("auto", "1") else of["devices"]
        return 4 % (devices * of["num_nodes"]) == 0
    strategies = "pairs" in config["estimator"]
    if name == ("estimator.pairs" if strategies else "protocol.instances"):
        return value % (2 if config["strategy"]["devices"] == 2 else 1) == 0
    if name == "curriculum.start" and strategies:
        return value == 1
    if new["variant"].get("share_hidden") and name in ("problem.m", "problem.n", SHARED):
        return new["problem"].get("m", 1) == new["problem"].get("n", 1)
    return True


SHARED = "variant.share_hidden"


@functools.cache
def config(place: int) -> DictConfig:
    """One of the configs in which every choice of every group is found."""
    chosen: list[str] = []
    for group in GROUPS:
        found = sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))
        choices = [name for name in found if name not in NO_GPU.get(group, ())]
        name = choices[place % len(choices)]
        if group == "curriculum" and "estimator=es" in chosen:
            name = "none"
        if name == "quality":
            chosen = [*(one for one in chosen if not one.startswith("estimator")), "estimator=es"]
        chosen += ["estimator.pairs=4"] if name == "es" else []
        chosen += [f"{group}={name}", *(CUSTOM if name == "custom" else [])]
        chosen += ["logger.wandb.group=g"] if name == "wandb" else []
    return composed("train", *small(*chosen), "protocol.first_horizon=4", "run_dir=run")


@contextlib.contextmanager
def without_work() -> Iterator[None]:
    """Training ends where it would begin, its directory prepared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_run", stop)
        yield


def refused(config: DictConfig, name: str, value: Any) -> bool:
    """Tries a value; whether it was refused, as it must be exactly if it is not allowed."""
    custom = config["problem"]["_target_"] == "tests.helpers.Cubic"
    allowed = {**ALLOWED, "problem.c": a_range} if custom else ALLOWED
    line = outcome("train", train, changed(config, name, value))
    good = judged(allowed, name, value) and in_context(config, name, value)
    assert (line is None) == good, (name, value, line)
    if line is not None:
        check_line(line, name, value, related=SHARED)
    return line is not None


@pytest.mark.parametrize("place", range(CONFIG_COUNT))
def test_any_value_is_taken_or_refused_in_one_line(place: int) -> None:
    count, names = 0, sorted(set(settings_of(config(place))) - {"run_dir"})

    @settings(trials, max_examples=EXAMPLES)
    @given(st.sampled_from(names), garbage)
    def tried(name: str, value: Any) -> None:
        nonlocal count
        count += refused(config(place), name, value)

    with without_work():
        tried()
    assert count >= 400 / CONFIG_COUNT


def test_every_setting_refuses_what_it_cannot_be() -> None:
    """One value that no setting may have, for each that any choice of a group brings along."""
    tried: set[str] = set()
    with without_work():
        for place in range(CONFIG_COUNT):
            for name in set(settings_of(config(place))) - {"run_dir"} - tried:
                assert refused(config(place), name, {"a": ["x", -1]}), name
                tried.add(name)
    assert tried == set(ALLOWED)
    assert len(tried) > 80


@pytest.mark.parametrize(
    "value", [None, 3, True, "", " ", "\0", ["a"], {}, "x" * 300, "file/below"]
)
def test_a_directory_that_cannot_be(value: Any) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("file").touch()
        with pytest.raises(SystemExit) as ended, one_line_errors():
            train(plain(changed(config(0), "run_dir", value)))
        assert ended.value.code == 2
        assert [path.name for path in Path().iterdir()] == ["file"]


def test_numbers_of_processes_that_do_not_share_out() -> None:
    with without_work():
        assert refused(config(0), "strategy.num_nodes", 3)


def test_the_configs_hold_every_choice() -> None:
    assert is_number(1)
    for group in GROUPS:
        count = len(list((CONFIGS / group).glob("*.yaml"))) - len(NO_GPU.get(group, ()))
        assert count <= CONFIG_COUNT
