"""The protocol of the structured twin: horizon, instances, restarts, and updates left out."""

from __future__ import annotations

import csv
import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from l2o import Iterate, UserError
from l2o.optimizers import tensors
from l2o.training.data import InstanceData
from l2o.training.module import MetaTraining
from l2o.training.protocol import Protocol
from l2o.training.rewards import Reward, Unrolled
from l2o.training.run import TrainingRun
from l2o.training.train import train
from tests.training.test_configs import composed

STRUCTURED = ["variant=structured_twin", "protocol=structured", "protocol.first_horizon=4"]


class Broken(Reward):
    """Sound values, whose meta-gradient is NaN in every second window."""

    calls = 0

    def __call__(self, window: Unrolled) -> Tensor:
        type(self).calls += 1
        value: Tensor = window.trajectory.x[1:].sum((0, 2))
        if type(self).calls % 2:
            return value
        return value + (value - value.detach()).abs().sqrt()


def protocol(**changes: Any) -> Protocol:
    run = TrainingRun.from_config(composed(Path("out"), *STRUCTURED))
    return dataclasses.replace(run.protocol, **changes)


def rows(directory: Path) -> list[dict[str, str]]:
    with (directory / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def parts(tmp_path: Path, *overrides: str) -> tuple[InstanceData, MetaTraining]:
    """The data and the module of a run that no trainer is needed for."""
    run = TrainingRun.from_config(composed(tmp_path, *STRUCTURED, *overrides))
    data = run.data
    data.setup("fit")
    module = run.module
    return data, module


def test_the_horizon_grows_linearly_by_hand() -> None:
    """From 20 to 100 over five epochs in windows of 20: 20, 40, 60, 80, 100."""
    growing = protocol(epochs=5, horizon=100, first_horizon=20, window=20)
    assert [growing.windows(epoch) for epoch in range(5)] == [1, 2, 3, 4, 5]
    constant = protocol(epochs=5, horizon=100, first_horizon=100, window=20)
    assert [constant.windows(epoch) for epoch in range(5)] == [5] * 5
    assert protocol(epochs=1, horizon=100, first_horizon=3, window=20).windows(0) == 1


@given(st.integers(1, 50), st.integers(1, 10), st.integers(1, 10), st.data())
def test_windows_grow_from_the_first_horizon_to_the_last(
    epochs: int, window: int, count: int, data: st.DataObject
) -> None:
    first = data.draw(st.integers(1, count * window))
    grown = protocol(epochs=epochs, horizon=count * window, first_horizon=first, window=window)
    windows = [grown.windows(epoch) for epoch in range(epochs)]
    assert windows == sorted(windows)
    assert windows[0] == max(1, round(first / window))
    assert windows[-1] == count or epochs == 1
    assert all(1 <= number <= count for number in windows)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"first_horizon": 5}, r"first_horizon: expected at most horizon \(4\), got 5"),
        ({"first_horizon": 0}, "first_horizon: expected a whole number of at least 1, got 0"),
        ({"clip": 0.0}, "clip: expected a number above 0, got 0"),
        ({"fresh_instances": 1}, "fresh_instances: expected true or false"),
        ({"restart_diverged": None}, "restart_diverged: expected true or false"),
        ({"cosine": "yes"}, "cosine: expected true or false"),
        ({"max_diverged": 1.1}, "max_diverged: expected a finite number from 0 to 1, got 1.1"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        protocol(**changes)


def test_an_epoch_has_the_windows_of_its_horizon(tmp_path: Path) -> None:
    """2, 4 and 6 iterations in windows of 2 make 1 + 2 + 3 meta-updates."""
    horizon = ["protocol.horizon=6", "protocol.first_horizon=2", "protocol.epochs=3"]
    train(composed(tmp_path, *STRUCTURED, *horizon))
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 6
    assert [row["epoch"] for row in rows(tmp_path)] == ["0", "1", "2"]


class At:
    """What the data asks a trainer for."""

    world_size, global_rank = 1, 0

    def __init__(self, epoch: int) -> None:
        self.current_epoch = epoch


def theta(data: InstanceData, epoch: int) -> Tensor:
    data.trainer = At(epoch)  # type: ignore[assignment]
    (found,) = {window.instances for window in data.train_dataloader()}
    return found.theta["a"]


def test_fresh_instances_are_a_function_of_seed_and_epoch(tmp_path: Path) -> None:
    """One batch for all windows of an epoch, whatever was asked for before."""
    data, again = (parts(tmp_path)[0] for _ in range(2))
    drawn = [theta(data, epoch) for epoch in range(3)]
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert not torch.isin(drawn[one], drawn[other]).any()
    assert torch.equal(theta(again, 2), drawn[2])
    assert not torch.isin(theta(parts(tmp_path, "seed=1")[0], 2), drawn[2]).any()
    fixed = parts(tmp_path, "protocol.fresh_instances=false")[0]
    assert torch.equal(theta(fixed, 0), theta(fixed, 1))


def continued(tmp_path: Path, poison: float | None, *overrides: str) -> tuple[Any, MetaTraining]:
    """Where the third window begins, if instance 1 was broken before the second.

    Without trust, which would take it back to the iterate before.
    """
    size = ["protocol.horizon=6", "protocol.first_horizon=6", "variant.trust=false"]
    data, module = parts(tmp_path, *size, *overrides)
    first, second, _ = data.train_dataloader()
    module.training_step(first, 0)
    if poison is not None:
        x, y = module._unroll.iterate
        x = x.clone()
        x[1] = poison
        module._unroll = module._unroll._replace(iterate=Iterate(x, y))
    module.training_step(second, 1).backward()
    return first, module


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_a_diverged_instance_starts_anew_and_leaves_the_others(
    tmp_path: Path, poison: float
) -> None:
    first, module = continued(tmp_path, poison)
    _, healthy = continued(tmp_path, None)
    assert [int(one._epoch.restarted) for one in (module, healthy)] == [1, 0]
    others = [0, 2, 3]
    for found, untouched in zip(tensors(module._unroll), tensors(healthy._unroll), strict=True):
        assert torch.equal(found[others], untouched[others])
    fresh = first.start, module.optimizer.init(first.instances, first.start)
    for found, begun in zip(tensors(module._unroll[:2]), tensors(fresh), strict=True):
        assert torch.equal(found[1], begun[1])
        assert not found.requires_grad
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


def test_without_restarts_a_diverged_instance_stays_lost(tmp_path: Path) -> None:
    _, module = continued(tmp_path, math.nan, "protocol.restart_diverged=false")
    assert module._unroll.iterate.x[1].isnan().all()
    assert (module._epoch.restarted, module._epoch.skipped) == (0, 0)


def test_restarts_are_counted(tmp_path: Path) -> None:
    """Four instances that begin beyond the limit, twice in each epoch."""
    far = ["problem=saddle", "problem.start_x=[2e4,3e4]", "protocol.epochs=2"]
    train(composed(tmp_path, *STRUCTURED, *far, "protocol.max_diverged=1"))
    assert [float(row["train/restarted"]) for row in rows(tmp_path)] == [8, 8]
    assert [float(row["train/diverged"]) for row in rows(tmp_path)] == [1, 1]


def test_an_update_that_is_not_finite_is_skipped_and_counted(tmp_path: Path) -> None:
    """In the epoch that it belongs to, of which every second window is broken."""
    Broken.calls = 0
    own = ["reward._target_=tests.training.test_protocol.Broken", "protocol.detach=inputs"]
    epochs = ["protocol.epochs=3", "protocol.horizon=4", "protocol.window=2"]
    train(composed(tmp_path, *own, *epochs))
    assert [float(row["train/skipped"]) for row in rows(tmp_path)] == [1, 1, 1]


def test_a_skipped_update_changes_no_bit(tmp_path: Path) -> None:
    own = ["reward._target_=tests.training.test_protocol.Broken", "protocol.detach=inputs"]
    run = TrainingRun.from_config(composed(tmp_path, *own, "variant.warmup_iterations=0"))
    data = run.data
    data.setup("fit")
    module = run.module
    adam = module.configure_optimizers()
    Broken.calls = 0
    changed = []
    for window in data.train_dataloader():
        before = map_weights(module)
        adam.zero_grad()
        module.training_step(window, 0).backward()
        module.on_before_optimizer_step(adam)
        adam.step()
        changed.append(
            any(not torch.equal(*p) for p in zip(before, map_weights(module), strict=True))
        )
    assert changed == [True, False], "the second, although Adam has momentum"
    assert (module._epoch.skipped, module._epoch.restarted) == (1, 0)


def map_weights(module: MetaTraining) -> list[Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def test_meta_gradients_are_clipped(tmp_path: Path) -> None:
    """A norm of 1e-12 is far below Adam's ε of 1e-8: its steps are below lr·1e-4 then."""
    steps = {}
    for clip in ("null", "1e-12"):
        config = composed(
            tmp_path / clip, *STRUCTURED, f"protocol.clip={clip}", "protocol.window=4"
        )
        before = dict(TrainingRun.from_config(config).optimizer.named_parameters())
        train(config)
        path = tmp_path / clip / "checkpoints" / "last.ckpt"
        after = torch.load(path, weights_only=True)["state_dict"]
        moved = [(after[f"optimizer.{name}"] - p).abs().max().item() for name, p in before.items()]
        steps[clip] = max(moved)
    assert steps["null"] > 1e-3
    assert steps["1e-12"] < 3e-3 * 1.1e-4


def test_the_learning_rate_falls_along_a_cosine(tmp_path: Path) -> None:
    """lr·(1 + cos(πe/E))/2 in epoch e of E."""
    _, module = parts(tmp_path, "protocol.epochs=4", "protocol.learning_rate=0.2")
    (adam,), (schedule,) = module.configure_optimizers()
    rates = []
    for _ in range(4):
        rates.append(adam.param_groups[0]["lr"])
        adam.step()
        schedule.step()
    assert rates == pytest.approx([0.1 * (1 + math.cos(math.pi * e / 4)) for e in range(4)])
    _, constant = parts(tmp_path, "protocol.cosine=false")
    assert isinstance(constant.configure_optimizers(), torch.optim.Adam)


def test_lightning_lowers_it_every_epoch(tmp_path: Path) -> None:
    """After the last epoch nothing is left of it."""
    for cosine in ("true", "false"):
        path = tmp_path / cosine
        train(composed(path, *STRUCTURED, "protocol.epochs=3", f"protocol.cosine={cosine}"))
        last = torch.load(path / "checkpoints" / "last.ckpt", weights_only=True)
        (group,) = last["optimizer_states"][0]["param_groups"]
        assert group["lr"] == pytest.approx(0 if cosine == "true" else 3e-3, abs=1e-12)
