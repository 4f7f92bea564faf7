"""Meta-training by evolution strategies, end to end."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.utils import parameters_to_vector

from l2o import Iterate, unroll
from l2o.training.run import TrainingRun
from l2o.training.train import train
from tests.cli.test_scripts import run
from tests.training.stopping import results, stopped
from tests.training.test_configs import composed, small
from tests.training.test_processes import assert_equal_runs

RECIPE = [
    *("estimator=es", "estimator.pairs=4", "reward=quality", "variant=neural_twin"),
    *("protocol.epochs=3", "protocol.horizon=6", "protocol.window=2", "protocol.instances=3"),
    "protocol.validation.every=2",
]
WINDOWS = ["estimator.whole=false"]


def module(path: Path, *overrides: str) -> Any:
    """What trains, in its first epoch, and its first window."""
    run = TrainingRun.from_config(composed(path, *RECIPE, *overrides))
    at: Any = type("At", (), {"world_size": 1, "global_rank": 0, "current_epoch": 0})()
    data, training = run.data, run.module
    data.trainer = training._trainer = at
    data.setup("fit")
    return training, next(iter(data.train_dataloader()))


@pytest.mark.parametrize("variant", ["neural_twin", "twin"])
def test_each_member_is_judged_by_its_own_trajectory(tmp_path: Path, variant: str) -> None:
    """The losses of a population are those of its members, one by one; rewarded at the end."""
    own = [f"variant={variant}", "strategy.precision=64-true"]
    training, window = module(tmp_path, *own)
    optimizer, noise = training.optimizer, training._perturbations(0)
    weights = parameters_to_vector(optimizer.parameters()).detach()
    weights = torch.cat((weights + 0.1 * noise, weights - 0.1 * noise))
    game = window.instances.to(torch.double)
    window = window._replace(instances=game, start=Iterate(*(p.double() for p in window.start)))
    with torch.no_grad():
        population = optimizer.members(weights)
        found = training._values(population, game.repeat(len(weights)), window)
        for place in (0, 3, 7):
            member = optimizer._with(weights[place])
            source = torch.Generator().manual_seed(0)
            last = unroll(member, game, window.start, 6, generator=source).last
            expected = game.distance(*last).joint.log().mean()
            torch.testing.assert_close(found[place], expected)


def test_a_generation_moves_against_the_estimate(tmp_path: Path) -> None:
    training, window = module(tmp_path)
    loss = training.training_step(window, 0)
    loss.backward()
    found = torch.cat([p.grad.flatten() for p in training.optimizer.parameters()])
    noise = training._perturbations(0)
    assert loss.item() == training._epoch.losses[-1].item()
    # The gradient lies in the span of the perturbations.
    weights = torch.linalg.lstsq(noise.t(), found.unsqueeze(1)).solution
    torch.testing.assert_close(noise.t() @ weights, found.unsqueeze(1), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("windows", [[], WINDOWS], ids=["whole", "windows"])
@pytest.mark.parametrize("variant", ["neural_twin", "twin"])
def test_stopped_and_gone_on_with_is_never_stopped(
    tmp_path: Path, windows: list[str], variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = [*RECIPE, *windows, f"variant={variant}"]
    train(composed(tmp_path / "whole", *settings))
    again = tmp_path / "again"
    assert stopped(monkeypatch, 2, composed(again, *settings)) == 143
    train(composed(again, f"resume={again}"))
    assert results(again) == results(tmp_path / "whole")


def test_two_processes_are_as_one(tmp_path: Path) -> None:
    settings = [*RECIPE, "strategy.precision=64-true"]
    done = run("train", tmp_path, *small(*settings, "strategy=ddp_cpu", "hydra.run.dir=two"))
    assert done.returncode == 0, done.stderr
    train(composed(tmp_path / "one", *settings))
    assert_equal_runs(tmp_path / "two", tmp_path / "one")
