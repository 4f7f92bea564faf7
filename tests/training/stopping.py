"""Runs that are stopped, and what they must leave all the same."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure

from l2o.reporting import test as tested
from l2o.training import fit as training
from l2o.training.checkpoints import Checkpoints
from l2o.training.train import train

EPOCHS, WINDOWS = 4, 3
RECIPE = [
    *(f"protocol.epochs={EPOCHS}", f"protocol.horizon={2 * WINDOWS}", "protocol.window=2"),
    *("protocol.validation.every=2", "protocol.instances=32", "problem.b=[0,3]"),
    *("curriculum=loss", "curriculum.start=0.5"),
]
"""Twelve windows, of which the curriculum counts the best half by the epoch's sums."""

GROWING_WINDOWS = 1 + 2 + 2 + 3
GROWING = [
    *("protocol=structured", f"protocol.epochs={EPOCHS}", "protocol.horizon=6"),
    *("protocol.first_horizon=2", "protocol.window=2", "protocol.validation.every=2"),
    *("variant=structured_twin", "variant.hidden_size=3", "reward=log_gradient"),
    "mixture=[{_target_: l2o.problems.Seesaw, start_x: [9990, 10010]}, "
    "{_target_: l2o.problems.MatrixGame, m: 3, n: 2}]",
]
"""A horizon that grows, a mixture of problems, fresh instances, a learning rate that falls, and
instances that diverge and start anew."""


PLOTS = (
    (tested, "plot_convergence"),
    (tested, "plot_plane"),
    (training, "plot_training"),
)
"""What a run draws, and where its names are looked up."""


def blank(path: Path, *_: Any) -> None:
    """Takes the place of a plot: an empty picture."""
    path.parent.mkdir(exist_ok=True)
    Figure((0.1, 0.1)).savefig(path)


def results(directory: Path) -> dict[str, Any]:
    """What must not depend on whether the run was stopped."""
    metrics = json.loads((directory / "metrics.json").read_text())
    found: dict[str, Any] = {k: v for k, v in metrics.items() if not k.startswith("time/")}
    with (directory / "metrics.csv").open() as file:
        found["rows"] = list(csv.DictReader(file))
    for name in ("best", "last"):
        content = torch.load(directory / "checkpoints" / f"{name}.ckpt", weights_only=True)
        for key, value in content["state_dict"].items():
            found[f"{name}/{key}"] = value.numpy().tobytes()
        for parameter, moments in enumerate(_moments(content)):
            found[f"{name}/moments {parameter}"] = moments
    return found


def _moments(content: dict[str, Any]) -> list[bytes]:
    states = (state["state"].values() for state in content.get("optimizer_states", []))
    return [t.numpy().tobytes() for state in states for p in state for t in p.values()]


def stopped(monkeypatch: pytest.MonkeyPatch, windows: int, config: Any, number: int = 15) -> int:
    """Trains until a signal comes in one of the windows, the first being 1; returns the status."""
    begun = 0

    def begin(self: Checkpoints, *arguments: Any) -> None:
        nonlocal begun
        begun += 1
        if begun == windows:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_train_batch_start", begin)
        with pytest.raises(SystemExit) as ended:
            train(config)
    assert isinstance(ended.value.code, int)
    return ended.value.code
