"""Two processes are one on the joint batch; what fails in one fails in both, and nobody waits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, multiprocessing

from l2o import optim
from l2o.optim import Minimax
from tests.optim import processes
from tests.optim.games import METHODS
from tests.optim.processes import NAMES, Training, batch, train

Results = list[dict[str, Any]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("processes")
    multiprocessing.spawn(processes.work, (str(folder),), nprocs=2)
    return [torch.load(Path(folder, f"{rank}.pt"), weights_only=True) for rank in (0, 1)]


def assert_joint(results: Results, name: str, expected: Tensor) -> None:
    assert torch.equal(results[0][name], results[1][name]), "replicas differ"
    torch.testing.assert_close(results[0][name], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_are_one_on_the_joint_batch(results: Results, name: str) -> None:
    """Gradients and products, clipped as a whole, from the first process's weights."""
    training = Training(batch())
    opt = Minimax(training.groups(max_norm=0.5), METHODS[name])
    assert_joint(results, name, train(training, opt))


@pytest.mark.parametrize("name", ["micro-batches", "backward"])
def test_so_they_are_in_other_ways(results: Results, name: str) -> None:
    training = Training(batch())
    assert_joint(results, name, train(training, optim.Adam(training.groups())))


@pytest.mark.parametrize("when", [1, 3])
def test_what_fails_in_one_fails_in_both(results: Results, when: int) -> None:
    """In the first evaluation of the first step, or in the second one of the second step."""
    first, second = results
    elsewhere = "UserError: closure: failed in another process; nothing was changed"
    assert first[f"NaN {when}"] == elsewhere
    assert "expected a finite cost of the min player, got nan" in second[f"NaN {when}"]
    assert first[f"error {when}"] == "KeyError: 'no such batch'"
    assert second[f"error {when}"] == elsewhere
    assert first[f"untouched {when}"]
    assert second[f"untouched {when}"]
    assert torch.equal(first[f"goes on {when}"], second[f"goes on {when}"])


def test_both_skip_what_overflows_in_one(results: Results) -> None:
    assert all(found["skipped"] and found["scale"] == 1.0 for found in results)


def test_a_module_inside_of_ddp(results: Results) -> None:
    for found in results:
        assert "got one inside DistributedDataParallel" in found["ddp"]
        assert "use its .module" in found["ddp"]
