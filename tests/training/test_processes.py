"""Several processes, on one node or two: the results of one, and one of them writes."""

import csv
import json
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
import torch

from l2o.optimizers import tensors
from l2o.training.run import TrainingRun
from l2o.training.train import train
from tests.cli.test_scripts import run, started, wait_for_rows
from tests.training.stopping import GROWING
from tests.training.test_configs import SMALL, composed, small

RANDOM = [
    *("protocol.epochs=40", "checkpoint_seconds=0", "variant.state_std=1"),
    *("variant.state_rescale=0.5", "curriculum=gradient", "curriculum.start=0.5"),
    "curriculum.growth=0.02",
]
"""Random LSTM states that matter, and a curriculum over the instances of all processes."""

DOUBLE = ["strategy.precision=64-true"]
"""So that nothing but rounding in double precision may differ."""


@pytest.mark.parametrize("size", [1, 2, 4])
def test_states_do_not_depend_on_the_number_of_processes(tmp_path: Path, size: int) -> None:
    """Together the processes' states are those that one process draws for all instances."""
    run = TrainingRun.from_config(composed(tmp_path, *RANDOM))
    whole = list(tensors(begun(run, size=1, rank=0)))
    shares = [list(tensors(begun(run, size, rank))) for rank in range(size)]
    for place, part in enumerate(whole):
        together = torch.stack([share[place] for share in shares], dim=1).flatten(0, 1)
        assert torch.equal(together, part)
    assert len(whole[0].unique(dim=0)) == run.protocol.instances, "every instance has its own"


def begun(run: TrainingRun, size: int, rank: int) -> Any:
    """The states that a process begins its first epoch with."""
    at: Any = type("At", (), {"world_size": size, "global_rank": rank, "current_epoch": 0})()
    data, module = run.data, run.module
    data.trainer = module._trainer = at
    data.setup("fit")
    return module._begun(next(iter(data.train_dataloader())), "states", 0)


def test_two_processes_are_as_one_and_go_on(tmp_path: Path) -> None:
    """strategy=ddp_cpu, also when it is stopped: each process goes on with what is its own."""
    settings = [*SMALL, *RANDOM, *DOUBLE, "strategy=ddp_cpu"]
    done = run("train", tmp_path, *settings, "hydra.run.dir=two")
    assert done.returncode == 0, done.stderr
    train(composed(tmp_path / "one", *RANDOM, *DOUBLE))
    assert_equal_runs(tmp_path / "two", tmp_path / "one")

    rows = tmp_path / "stopped" / "metrics.csv"
    with started("train", tmp_path, *settings, "hydra.run.dir=stopped") as process:
        wait_for_rows(process, rows, 5)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 143
    assert len(rows.read_text().splitlines()) < 40
    done = run("train", tmp_path, "resume=stopped")
    assert done.returncode == 0, done.stderr
    assert rows.read_text() == (tmp_path / "two" / "metrics.csv").read_text()


def test_two_nodes_are_as_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Restarts, and meta-gradients limited on their way; the second node writes nothing.

    Each node makes up a directory of its own name, as the time goes into it.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(port))
    settings = [*small(*GROWING), "strategy=cpu", "strategy.num_nodes=2", *DOUBLE]
    nodes = []
    for rank in ("0", "1"):
        monkeypatch.setenv("NODE_RANK", rank)
        nodes.append(started("train", tmp_path, *settings))
    told = [node.communicate(timeout=300) for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], told
    assert told[1] == ("", ""), "the second node has nothing to say"
    (directory,) = tmp_path.glob("outputs/*/*")

    train(composed(tmp_path / "one", *GROWING, *DOUBLE))
    assert_equal_runs(directory, tmp_path / "one")
    assert any(float(row["train/restarted"]) for row in rows_of(directory))


def assert_equal_runs(found: Path, expected: Path, rel: float = 1e-9) -> None:
    """Equal up to rounding in double precision, in all that holds results; and the same files."""
    files = [{str(p.relative_to(d)) for p in d.rglob("*")} for d in (found, expected)]
    assert files[0] == files[1]
    for row, as_one in zip(rows_of(found), rows_of(expected), strict=True):
        assert numbers(row) == pytest.approx(numbers(as_one), rel=rel)
    texts = [json.loads((d / "metrics.json").read_text()) for d in (found, expected)]
    results, single = ({k: v for k, v in t.items() if k[:5] != "time/"} for t in texts)
    assert results == pytest.approx(single, rel=1e-6, abs=1e-12)
    for name in ("best", "last"):
        weights, others = (
            weights_of(d / "checkpoints" / f"{name}.ckpt") for d in (found, expected)
        )
        for key, value in weights.items():
            assert value.dtype is torch.double
            torch.testing.assert_close(value, others[key], rtol=rel, atol=rel / 100)


def numbers(row: dict[str, str]) -> dict[str, float]:
    return {name: float(value) for name, value in row.items() if value}


def rows_of(directory: Path) -> list[dict[str, str]]:
    with (directory / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["state_dict"]
    return weights


def test_two_processes_stop_together(tmp_path: Path) -> None:
    """A quarter of the instances diverge, all of them in the second process: both end at once."""
    own = ["problem=saddle", "problem._target_=tests.training.test_faults.PartlyBroken"]
    limit = ["protocol.max_diverged=0.2", "strategy=ddp_cpu", "hydra.run.dir=run"]
    done = run("train", tmp_path, *SMALL, *own, *limit)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if "error" in line.lower()]
    words = (
        "error: training stopped after epoch 0: expected at most 0.2 of the instances to diverge"
    )
    assert line.startswith(words)
    assert "got 0.25" in line
    rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert float(rows[1].split(",")[rows[0].split(",").index("train/diverged")]) == 0.25
