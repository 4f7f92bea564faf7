"""The released code's weight files."""

from pathlib import Path

import pytest
import torch
from torch import nn

import l2o
from l2o import UserError
from l2o.io.seeds import generator
from l2o.problems import Seesaw
from tests.helpers import gradients


def released_file(path: Path, hidden: int = 5, seed: int = 0) -> tuple[Path, nn.ModuleDict]:
    """A file as the released code writes it, and the modules that it came from."""
    torch.manual_seed(seed)
    modules = nn.ModuleDict(
        {
            "recurs": nn.LSTMCell(2, hidden),
            "recurs2": nn.LSTMCell(hidden, hidden),
            "output": nn.Linear(hidden, 1),
        }
    )
    torch.save(modules.state_dict(), path)
    return path, modules


def test_loads_and_computes_what_the_released_modules_compute(tmp_path: Path) -> None:
    """Two iterations of the released code, written out with PyTorch's own modules."""
    min_path, min_net = released_file(tmp_path / "min.pth", seed=1)
    max_path, max_net = released_file(tmp_path / "max.pth", seed=2)
    twin = l2o.load_released(min_path, max_path, state_std=0.0)
    instances = Seesaw().sample(4, generator(0))
    start = Seesaw().sample_start(4, generator(1))
    # Past the warm-up, so that the outputs themselves are compared.
    state = twin.init(instances, start)._replace(iteration=torch.full((4, 1), 10))
    trajectory = l2o.unroll(twin, instances, start, 2, state=state)

    x, y = start
    memory = {net: [torch.zeros(4, 5)] * 4 for net in (min_net, max_net)}

    def call(net: nn.ModuleDict, own: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        h1, c1, h2, c2 = (1e-4 * part for part in memory[net])
        h1, c1 = net["recurs"](torch.cat((own, other), 1), (h1, c1))
        h2, c2 = net["recurs2"](h1, (h2, c2))
        memory[net] = [h1, c1, h2, c2]
        return net["output"](h2)

    for _ in range(2):
        grad_x, grad_y = gradients(instances, x, y)
        x = x + call(min_net, grad_x, grad_y)
        grad_x, grad_y = gradients(instances, x, y)
        y = y + call(max_net, grad_y, grad_x)
    torch.testing.assert_close(trajectory.last.x, x)
    torch.testing.assert_close(trajectory.last.y, y)


def test_comes_with_the_settings_of_the_release(tmp_path: Path) -> None:
    twin = l2o.load_released(
        released_file(tmp_path / "a", hidden=7)[0], released_file(tmp_path / "b", hidden=7)[0]
    )
    assert (twin.hidden_size, twin.state_rescale, twin.state_std) == (7, 1e-4, 0.01)
    assert twin.warmup_iterations == 10
    steps = twin._sizes
    assert steps[0, 0].item() == pytest.approx(1e-4)
    assert steps[-1, -1].item() == pytest.approx(1e-1)


def test_other_files_are_refused(tmp_path: Path) -> None:
    good, _ = released_file(tmp_path / "good", hidden=5)
    other, _ = released_file(tmp_path / "other", hidden=6)
    foreign = tmp_path / "foreign"
    torch.save({"weight": torch.zeros(2)}, foreign)
    with pytest.raises(UserError, match=r"5 hidden units.*6: expected two files of one training"):
        l2o.load_released(good, other)
    with pytest.raises(UserError, match=r"foreign: expected a state dictionary with the keys"):
        l2o.load_released(good, foreign)
    with pytest.raises(UserError, match="no such file"):
        l2o.load_released(tmp_path / "missing", good)
