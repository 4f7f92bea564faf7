"""Every config file composes, and trains for one step."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir

from l2o import UserError
from l2o.cli.config import CONFIGS, plain
from l2o.training.run import TrainingRun
from l2o.training.train import train

SMALL = [
    "protocol.epochs=1",
    "protocol.horizon=4",
    "protocol.window=2",
    "protocol.instances=4",
    "protocol.validation.instances=2",
    "protocol.validation.iterations=3",
    "variant.warmup_iterations=1",
    "variant.hidden_size=3",
    "evaluation.instances=2",
    "evaluation.starts=2",
    "evaluation.iterations=5",
]
"""A run of two windows, and a test of five iterations."""


def small(*overrides: str) -> list[str]:
    """Those of a small run, and others, without what its variant does not know."""
    unknown: tuple[str, ...] = ()
    if "variant=structured_twin" in overrides:
        unknown = ("variant.warmup",)
    if "variant=neural_twin" in overrides:
        unknown = ("variant.warmup", "variant.hidden_size")
    return [*(one for one in SMALL if not one.startswith(unknown or "-")), *overrides]


def composed(directory: Path, *overrides: str) -> dict[str, Any]:
    """The config of a small run, as a script hands it on."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return plain(compose("train", small(f"run_dir={directory}", *overrides)))


def _choices(group: str) -> list[str]:
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))


def test_the_groups_are_those_of_the_readme() -> None:
    groups = {path.name for path in CONFIGS.iterdir() if path.is_dir()}
    assert groups == {
        "problem",
        "variant",
        "protocol",
        "strategy",
        "logger",
        "methods",
        "experiment",
        "comparison",
        "sizes",
        "reward",
        "curriculum",
        "estimator",
        "safeguard",
        "sweep",
    }
    readme = (CONFIGS.parent / "README.md").read_text()
    for group in groups:
        row = next(line for line in readme.splitlines() if line.startswith(f"| `{group}` |"))
        for choice in _choices(group):
            assert f"`{choice}`" in row or choice.startswith("seesaw_range"), choice


def test_every_script_concludes_its_sweeps() -> None:
    scripts = [path.stem for path in (CONFIGS.parent / "scripts").glob("*.py")]
    configs = [path for path in CONFIGS.glob("*.yaml") if path.stem in scripts]
    assert len(configs) >= 8
    for path in configs:
        callbacks = yaml.safe_load(path.read_text())["hydra"]["callbacks"]
        assert callbacks == {"sweep": {"_target_": "l2o.cli.sweep.Sweep"}}, path


@pytest.mark.parametrize("problem", [name for name in _choices("problem") if name != "custom"])
def test_every_problem_trains(tmp_path: Path, problem: str) -> None:
    metrics = train(composed(tmp_path, f"problem={problem}"))
    assert 0 <= metrics["test/sr1" if "test/sr1" in metrics else "test/modes_covered"] <= 1


def test_a_custom_problem_trains(tmp_path: Path) -> None:
    """With nothing but an objective, gradient norms take the place of distances."""
    own = ["problem=custom", "problem._target_=tests.helpers.Cubic", "+problem.c=[0.5,1]"]
    metrics = train(composed(tmp_path, *own, "problem.n=2"))
    assert metrics["test/gradient_norm_median"] > 0
    assert "test/sr1" not in metrics
    assert not (tmp_path / "plots" / "success.png").exists()


@pytest.mark.parametrize("protocol", _choices("protocol"))
@pytest.mark.parametrize("variant", _choices("variant"))
def test_every_protocol_trains_every_variant(tmp_path: Path, protocol: str, variant: str) -> None:
    horizon = "protocol.first_horizon=4"
    train(composed(tmp_path, f"protocol={protocol}", f"variant={variant}", horizon))


@pytest.mark.parametrize("reward", [name for name in _choices("reward") if name != "quality"])
@pytest.mark.parametrize("curriculum", _choices("curriculum"))
def test_every_reward_trains_with_every_curriculum(
    tmp_path: Path, reward: str, curriculum: str
) -> None:
    """All but `quality`, which has no gradient and trains by evolution strategies alone."""
    metrics = train(composed(tmp_path, f"reward={reward}", f"curriculum={curriculum}"))
    assert metrics["val/score"] >= 0


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (
            "protocol.window=3",
            r"protocol\.window: expected a divisor of horizon \(4\), got 3; .*1, 2, 4",
        ),
        ("protocol.epochs=0", r"protocol\.epochs: expected a whole number of at least 1, got 0"),
        ("protocol.horizon=-5", r"protocol\.horizon: expected a whole number"),
        ("protocol.learning_rate=0", r"protocol\.learning_rate: expected a number above 0"),
        ("protocol.learning_rate=nan", r"protocol\.learning_rate: expected a finite number"),
        ("protocol.detach=all", r"protocol\.detach: expected one of none, inputs, greedy"),
        ("protocol.validation.score=sr1", r"protocol\.validation\.score: expected one of"),
        ("protocol.validation.every=0", r"protocol\.validation\.every: expected a whole"),
        ("protocol.count_last_half_step=maybe", r"count_last_half_step: expected true or false"),
        ("variant.state_std=-1", r"variant\.state_std: expected a finite number"),
        ("reward.weights=[1,2,3]", r"reward\.weights: expected 2 numbers, .* got 3"),
        ("reward.weights=[1,-1]", r"reward\.weights: expected a finite number of at least 0"),
        ("reward._target_=l2o.problems.Saddle", r"reward\._target_: expected a Reward"),
        ("curriculum.start=2", r"curriculum\.start: expected a finite number"),
        ("curriculum.rank_by=x", r"curriculum\.rank_by: expected one of gradient, loss"),
        ("variant.inputs=none", r"variant\.inputs: expected one of both, own"),
        ("variant.share_weights=1", r"variant\.share_weights: expected true or false"),
        ("variant.hidden_size=0", r"variant\.hidden_size: expected a whole number"),
        ("problem.a=[1,0]", r"problem\.a: the range \[1, 0\] is reversed"),
        ("problem.a=[0,inf]", r"problem\.a: expected a range"),
        ("problem._target_=nowhere.Class", r"problem\._target_: cannot find nowhere\.Class"),
        ("evaluation.starts=0", r"evaluation\.starts: expected a whole number"),
        ("seed=-1", r"seed: expected a whole number of at least 0"),
    ],
)
def test_bad_settings_are_refused_by_name(tmp_path: Path, override: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as refusal:
        TrainingRun.from_config(composed(tmp_path, override))
    assert "\n" not in str(refusal.value)


def test_what_cannot_be_applied_to_the_problem_is_refused(tmp_path: Path) -> None:
    overrides = ["variant=twin_shared_hidden", "problem=matrix_game", "problem.m=3"]
    with pytest.raises(UserError, match=r"variant\.share_hidden: expected as many coordinates"):
        TrainingRun.from_config(composed(tmp_path, *overrides))


def test_release_and_paper_are_what_they_are_said_to_be(tmp_path: Path) -> None:
    (release, twin), (paper, plain_twin) = (_recipe(f"protocol={p}") for p in ("release", "paper"))
    assert (release["horizon"], release["window"], release["epochs"]) == (50, 5, 200)
    assert (paper["horizon"], paper["window"], paper["epochs"]) == (1000, 10, 200)
    assert twin["state_rescale"] == 1e-4
    # 20 % of a trajectory of 50 iterations
    assert twin["warmup_iterations"] == 10
    assert plain_twin["state_rescale"] == 1
    assert plain_twin["warmup_iterations"] == plain_twin["state_std"] == 0


@pytest.mark.parametrize("protocol", _choices("protocol"))
@pytest.mark.parametrize("variant", _choices("variant"))
def test_the_release_s_tricks_are_those_of_a_twin_under_its_protocol(
    protocol: str, variant: str
) -> None:
    """Whichever of the two is named first; what is named by itself comes last."""
    expected = {"state_rescale": 1e-4, "state_std": 0.01, "warmup_iterations": 10}
    if protocol != "release":
        expected = {"state_rescale": 1.0, "state_std": 0.0, "warmup_iterations": 0}
    if variant in ("structured_twin", "neural_twin"):
        expected = {}
    choices = [f"protocol={protocol}", f"variant={variant}"]
    for order in (choices, choices[::-1]):
        _, found = _recipe(*order)
        assert {name: found[name] for name in found if name in TRICKS} == expected
    if expected:
        assert _recipe(*choices, "variant.state_std=0.5")[1]["state_std"] == 0.5


TRICKS = ("state_rescale", "state_std", "warmup_iterations")


def _recipe(*overrides: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The protocol and the variant that are composed."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train", ["run_dir=run", *overrides])
    return dict(config.protocol), dict(config.variant)
