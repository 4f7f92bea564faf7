"""Numerical faults: one instance's leave the others and the weights alone, and are counted."""

import copy
import csv
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from l2o import Iterate, UserError
from l2o.evaluation import measure
from l2o.evaluation.metrics import accurate, steady
from l2o.problems import Instances, Saddle
from l2o.problems.base import Theta
from l2o.training.data import Window
from l2o.training.module import MetaTraining
from l2o.training.rewards import Reward, Unrolled
from l2o.training.run import TrainingRun
from l2o.training.train import train
from tests.training.test_configs import composed

SICK = 1
"""Which of four instances is at fault."""
OTHERS = [0, 2, 3]
STRUCTURED = ["variant=structured_twin", "protocol=structured", "variant.trust=false"]
VARIANTS = {
    "twin": ["variant.warmup_iterations=0", "protocol.detach=inputs"],
    "structured_twin": STRUCTURED,
    "base step": [*STRUCTURED, "variant.memory=0", "variant.normalizer=none"],
}
"""The structured twin without the trust that would save it; its base step alone can explode."""
REWARDS = ["objective", "gradient", "nikaido_isoda", "log_gradient"]
CURRICULA = ["none", "gradient", "loss"]
FAULTS = ["nan theta", "inf theta", "nan start", "far start"]


class PartlyBroken(Saddle):
    """Every fourth instance has a NaN among its parameters, everywhere it is sampled."""

    def sample_parameters(self, count: int, generator: torch.Generator) -> Theta:
        theta = super().sample_parameters(count, generator)
        theta["a"][SICK::4] = math.nan
        return theta


class Undefined(Reward):
    """NaN for all instances in every second window."""

    calls = 0

    def __call__(self, window: Unrolled) -> Tensor:
        type(self).calls += 1
        value: Tensor = window.trajectory.x[1:].square().sum((0, 2))
        return value if type(self).calls % 2 else value * math.nan


class Without:
    """A reward that leaves one instance out."""

    def __init__(self, reward: Reward) -> None:
        self._reward = reward

    def __call__(self, window: Unrolled) -> Tensor:
        value: Tensor = self._reward(window)
        return torch.where(torch.arange(len(value)) == SICK, torch.nan, value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reward, name)


def prepared(directory: Path, variant: str, *overrides: str) -> tuple[list[Window], MetaTraining]:
    """The windows of the first epoch and the module, without a trainer."""
    size = ["problem=saddle", "protocol.horizon=16", "protocol.first_horizon=16"]
    size += ["protocol.window=8"]
    run = TrainingRun.from_config(composed(directory, *VARIANTS[variant], *size, *overrides))
    data = run.data
    data.setup("fit")
    return list(data.train_dataloader()), run.module


def at_fault(window: Window, fault: str) -> Window:
    """The window with one instance at fault."""
    kind, where = fault.split()[0], fault.split()[-1]
    value = {"nan": math.nan, "inf": math.inf, "steep": 1e8, "far": 2e4}[kind]
    if where == "start":
        x = window.start.x.clone()
        x[SICK] = value
        return window._replace(start=Iterate(x, window.start.y))
    theta = {name: part.clone() for name, part in window.instances.theta.items()}
    theta["a"][SICK] = value
    return window._replace(instances=Instances(window.instances.problem, theta, 4))


def gradients(module: MetaTraining, window: Window) -> list[Tensor]:
    module.training_step(window, 0).backward()
    return [p.grad.clone() for p in module.parameters() if p.grad is not None]


@pytest.mark.parametrize("curriculum", CURRICULA)
@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_an_instance_at_fault_is_as_if_it_did_not_count(
    tmp_path: Path, variant: str, reward: str, curriculum: str
) -> None:
    """The meta-gradient is, to the bit, that of the healthy batch that leaves it out."""
    parts = [f"reward={reward}", f"curriculum={curriculum}"]
    parts += ["curriculum.start=0.5"] if curriculum != "none" else []
    (first, _), fresh = prepared(tmp_path, variant, *parts)
    healthy = copy.deepcopy(fresh)
    healthy.reward = Without(healthy.reward)
    expected = gradients(healthy, first)
    assert any(gradient.abs().max() > 0 for gradient in expected)
    for fault in ["steep"] if variant == "base step" else FAULTS:
        module = copy.deepcopy(fresh)
        found = gradients(module, at_fault(first, fault))
        assert module._unroll.diverged.tolist() == [place == SICK for place in range(4)], fault
        assert len(found) == len(expected)
        assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True)), fault
        iterate, reference = module._unroll.iterate, healthy._unroll.iterate
        for player, sound in zip(iterate, reference, strict=True):
            assert torch.equal(player[OTHERS], sound[OTHERS]), fault


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_instance_that_came_back_has_diverged_all_the_same(tmp_path: Path, variant: str) -> None:
    """As one does that is restarted: the epoch counts it."""
    (first, second), module = prepared(tmp_path, variant)
    module.training_step(at_fault(first, "far start"), 0)
    fresh = module.optimizer.init(first.instances, first.start)
    module._unroll = module._unroll._replace(iterate=first.start, memory=fresh)
    module.training_step(second, 1)
    assert module._unroll.diverged.tolist() == [False, True, False, False]
    module.training_step(first, 0)
    assert not module._unroll.diverged.any(), "an epoch begins anew"


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_with_broken_instances_ends_well(tmp_path: Path, variant: str) -> None:
    own = ["problem._target_=tests.training.test_faults.PartlyBroken"]
    sizes = ["protocol.first_horizon=4", "protocol.epochs=2", "protocol.validation.instances=4"]
    size = [*sizes, "evaluation.instances=4"]
    parts = [*VARIANTS[variant], *size, "problem=saddle", *own]
    metrics = train(composed(tmp_path, *parts))
    assert metrics["test/diverged"] == 0.25
    rows = history(tmp_path)
    assert [float(row["train/diverged"]) for row in rows] == [0.25, 0.25]
    assert [float(row["train/counted"]) for row in rows] == [0.75, 0.75]
    assert [float(row["train/skipped"]) for row in rows] == [0, 0]
    assert all(math.isfinite(float(row["train/meta_loss"])) for row in rows)
    weights = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert all(weight.isfinite().all() for weight in weights.values())


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("fault", ["nan theta", "inf theta", "nan start", "far start"])
def test_in_validation_and_test_an_instance_fails_alone(
    tmp_path: Path, variant: str, fault: str
) -> None:
    (window, _), module = prepared(tmp_path, variant)
    sick = at_fault(window, fault)
    healthy = measure(module.optimizer, window.instances, window.start, 30)
    found = measure(module.optimizer, sick.instances, sick.start, 30)
    assert found.diverged.tolist() == [place == SICK for place in range(4)]
    assert not accurate(found)[SICK]
    assert not steady(found)[SICK]
    assert found.joint[-1, SICK].isinf()
    assert torch.equal(found.joint[:, OTHERS], healthy.joint[:, OTHERS])


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_meta_loss_of_nan_changes_nothing(tmp_path: Path, variant: str) -> None:
    """Neither a weight nor what Adam remembers, although it has momentum by then."""
    own = "reward._target_=tests.training.test_faults.Undefined"
    Undefined.calls = 0
    windows, module = prepared(tmp_path, variant, own, "protocol.cosine=false")
    adam, before = module.configure_optimizers(), snapshot(module, None)
    changed = []
    for place, window in enumerate(windows):
        adam.zero_grad()
        module.training_step(window, place).backward()
        module.on_before_optimizer_step(adam)
        adam.step()
        after = snapshot(module, adam)
        changed.append(len(before) != len(after) or not all(map(torch.equal, before, after)))
        before = after
    assert changed == [True, False]
    assert (module._epoch.skipped, module._epoch.restarted) == (1, 0)
    assert module._epoch.losses.isnan().tolist() == [False, True]


def snapshot(module: MetaTraining, adam: Any) -> list[Tensor]:
    """Every weight, and every number in Adam's state."""
    parts = [p.detach().clone() for p in module.parameters()]
    for state in adam.state.values() if adam else ():
        parts += [torch.as_tensor(value).clone() for value in state.values()]
    return parts


def test_updates_skipped_for_nan_are_logged(tmp_path: Path) -> None:
    Undefined.calls = 0
    own = "reward._target_=tests.training.test_faults.Undefined"
    train(composed(tmp_path, own, "protocol.epochs=2", "protocol.max_diverged=1"))
    rows = history(tmp_path)
    assert [float(row["train/skipped"]) for row in rows] == [1, 1]
    assert [float(row["train/diverged"]) for row in rows] == [1, 1]
    assert all(math.isfinite(float(row["train/meta_loss"])) for row in rows), "the other window's"


def test_training_stops_when_too_many_diverge(tmp_path: Path) -> None:
    """In epoch 1 alone all begin beyond the limit; the best checkpoint of epoch 0 stays."""
    epochs = ["protocol.epochs=3", "protocol.validation.every=1", "checkpoint_seconds=0"]
    far = "{_target_: l2o.problems.Saddle, start_x: [2e4, 3e4]}"
    turns = f"mixture=[{{_target_: l2o.problems.Saddle}},{far}]"
    best = tmp_path / "checkpoints" / "best.ckpt"
    words = (
        r"training stopped after epoch 1: expected at most 0\.9 of the instances to diverge "
        rf"\(protocol\.max_diverged\), got 1; try .*; the best checkpoint so far is {best}$"
    )
    with pytest.raises(UserError, match=words) as refusal:
        train(composed(tmp_path, *epochs, turns.replace(" ", "")))
    assert "\n" not in str(refusal.value)
    assert best.exists()
    assert (tmp_path / "checkpoints" / "last.ckpt").exists()
    assert [row["epoch"] for row in history(tmp_path)] == ["0", "1"]
    assert not (tmp_path / "metrics.json").exists()


def test_the_limit_itself_is_allowed(tmp_path: Path) -> None:
    own = ["problem=saddle", "problem._target_=tests.training.test_faults.PartlyBroken"]
    train(composed(tmp_path / "at", *own, "protocol.max_diverged=0.25"))
    with pytest.raises(UserError, match=r"got 0\.25; .*max_diverged$"):
        train(composed(tmp_path / "below", *own, "protocol.max_diverged=0.24"))


def history(directory: Path) -> list[dict[str, str]]:
    with (directory / "metrics.csv").open() as file:
        return list(csv.DictReader(file))
