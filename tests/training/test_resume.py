"""A run that was stopped and goes on ends as one that was never stopped, bit for bit."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from l2o import UserError
from l2o.training import checkpoints
from l2o.training import fit as training
from l2o.training.train import train
from tests.training.stopping import (
    EPOCHS,
    GROWING,
    GROWING_WINDOWS,
    PLOTS,
    RECIPE,
    WINDOWS,
    blank,
    results,
    stopped,
)
from tests.training.test_configs import composed

pytestmark = pytest.mark.usefixtures("without_plots")


@pytest.mark.parametrize("windows", range(1, EPOCHS * WINDOWS + 1))
def test_stopped_in_any_window(
    tmp_path: Path,
    whole: dict[str, Any],
    windows: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert stopped(monkeypatch, windows, composed(tmp_path, *RECIPE)) == 143
    told = capsys.readouterr().err.strip()
    assert told == f"interrupted by SIGTERM; to go on: l2o-train resume={tmp_path}"
    content = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert content["global_step"] == windows
    assert not (tmp_path / "metrics.json").exists()
    train(composed(tmp_path, f"resume={tmp_path}"))
    assert results(tmp_path) == whole


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of the run with a growing horizon that is never stopped."""
    directory = tmp_path_factory.mktemp("grown")
    train(composed(directory, *GROWING))
    found = results(directory)
    assert any(float(row["train/restarted"]) for row in found["rows"])
    return found


@pytest.mark.parametrize("windows", range(1, GROWING_WINDOWS + 1))
def test_a_growing_horizon_stopped_in_any_window(
    tmp_path: Path, grown: dict[str, Any], windows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stopped(monkeypatch, windows, composed(tmp_path, *GROWING)) == 143
    train(composed(tmp_path, f"resume={tmp_path}"))
    assert results(tmp_path) == grown


def test_stopped_in_every_window_in_turn(
    tmp_path: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(EPOCHS * WINDOWS):
        stopped(monkeypatch, 1, composed(tmp_path, *RECIPE, "resume=auto"))
    train(composed(tmp_path, *RECIPE, "resume=auto"))
    assert results(tmp_path) == whole


@pytest.mark.parametrize(("number", "status"), [("SIGINT", 130), ("SIGUSR1", 138)])
def test_every_signal_has_its_status(
    tmp_path: Path, number: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGINT)
    config = composed(tmp_path, *RECIPE)
    assert stopped(monkeypatch, 2, config, getattr(signal, number)) == status
    assert (tmp_path / "checkpoints" / "last.ckpt").exists()
    assert signal.getsignal(signal.SIGINT) is before


def test_interrupted_while_testing(
    tmp_path: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is saved by then: the run ends at once, and goes on with the test."""
    with monkeypatch.context() as patch:
        patch.setattr(training, "run_test", lambda *_: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(SystemExit):
            train(composed(tmp_path, *RECIPE))
    table = (tmp_path / "metrics.csv").read_text()
    train(composed(tmp_path, f"resume={tmp_path}"))
    assert (tmp_path / "metrics.csv").read_text() == table
    assert results(tmp_path) == whole


KILLS = 8
LONGER = ["protocol.epochs=25", *RECIPE[1:]]


def test_killed_at_random_moments(tmp_path: Path) -> None:
    """Real processes, real SIGKILLs; they share their imports, which take most of a start."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["l2o.training.fit", "tests.training.test_resume"])

    def start(name: str) -> Any:
        process = context.Process(target=train_saving_often, args=(tmp_path / name,))
        process.start()
        return process

    start("warm up").join()
    began = time.monotonic()
    start("whole").join()
    length, expected = time.monotonic() - began, results(tmp_path / "whole")

    random_time, kills, runs, saved = random.Random(0), 0, 0, set()
    killed_now = False
    while kills < KILLS or killed_now:
        process = start(f"run{runs}")
        process.join(random_time.uniform(0, length) if kills < KILLS else None)
        killed_now = process.exitcode is None
        if killed_now:
            process.kill()
            process.join()
            kills += 1
            saved.add(_steps(tmp_path / f"run{runs}"))
        else:
            assert process.exitcode == 0
            assert results(tmp_path / f"run{runs}") == expected
            runs += 1
    assert len(saved) >= KILLS / 3, "kills came before anything was saved: they show nothing"


def train_saving_often(directory: Path) -> None:
    """What a child process runs: training with nearly half the time in savings, and no plots."""
    checkpoints.SHARE = 1
    for module, name in PLOTS:
        setattr(module, name, blank)
    torch.set_num_threads(1)
    train(composed(directory, *LONGER, "resume=auto", "checkpoint_seconds=0"))


def _steps(directory: Path) -> int:
    path = directory / "checkpoints" / "last.ckpt"
    return torch.load(path, weights_only=True)["global_step"] if path.exists() else 0


def test_a_damaged_checkpoint_is_passed_over(
    tmp_path: Path,
    whole: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = composed(tmp_path, *RECIPE, "checkpoint_seconds=0")
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)
    assert stopped(monkeypatch, 5, config) == 143
    last = tmp_path / "checkpoints" / "last.ckpt"
    content = last.read_bytes()
    last.write_bytes(content[: len(content) // 2])
    last.with_suffix(".ckpt.tmp").write_bytes(content)
    train(composed(tmp_path, f"resume={tmp_path}"))
    told = capsys.readouterr().out
    assert "last.ckpt: damaged, truncated or not a checkpoint; going on from previous.ckpt" in told
    assert results(tmp_path) == whole


def test_without_a_valid_checkpoint_nothing_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(monkeypatch, 5, composed(tmp_path, *RECIPE))
    (tmp_path / "checkpoints" / "last.ckpt").write_text("nothing")
    with pytest.raises(UserError, match=r"last\.ckpt: (damaged|holds more)"):
        train(composed(tmp_path, f"resume={tmp_path}"))


def test_a_finished_run_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = train(composed(tmp_path))
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.ckpt")}
    capsys.readouterr()
    for resume in (str(tmp_path), "auto"):
        assert train(composed(tmp_path, f"resume={resume}")) == pytest.approx(metrics)
        assert "this run is finished; its results are in metrics.json" in capsys.readouterr().out
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.ckpt")}


def test_a_run_that_was_killed_while_it_drew_draws_again(tmp_path: Path) -> None:
    """Its metrics were there already, and stay; times aside."""
    metrics = train(composed(tmp_path))
    plots = list((tmp_path / "plots").iterdir())
    for path in plots:
        path.unlink()
    again = train(composed(tmp_path, f"resume={tmp_path}"))
    assert all(path.exists() for path in plots)
    assert {k: v for k, v in again.items() if k != "time/test_s"} == pytest.approx(
        {k: v for k, v in metrics.items() if k != "time/test_s"}
    )


def test_a_moved_run_goes_on(
    tmp_path: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(monkeypatch, 8, composed(tmp_path / "here", *RECIPE))
    (tmp_path / "here").rename(tmp_path / "there")
    train(composed(tmp_path / "unused", f"resume={tmp_path / 'there'}"))
    assert results(tmp_path / "there") == whole
    assert not (tmp_path / "here").exists()
    assert not (tmp_path / "unused").exists()


def test_another_run_is_not_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(monkeypatch, 2, composed(tmp_path, *RECIPE))
    words = r"protocol\.epochs: the run was begun with 4 \(.*config\.yaml\), now it is 5; choose"
    with pytest.raises(UserError, match=words):
        train(composed(tmp_path, *RECIPE, "protocol.epochs=5", "resume=auto"))
    with pytest.raises(UserError, match=r"holds a run already; choose another.*resume=auto"):
        train(composed(tmp_path, *RECIPE))
    with pytest.raises(UserError, match=r"resume: expected the directory of a run, got .*nowhere"):
        train(composed(tmp_path / "a", f"resume={tmp_path}/nowhere"))
    assert {path.name for path in tmp_path.parent.iterdir()} == {tmp_path.name} or not (
        tmp_path / "a"
    ).exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"versions": {"torch": "1.0"}}, r"expected l2o 0\.\S+, got None; a run goes on only with"),
        ({"format": 2}, r"expected a checkpoint of format 1, got 2; use the version of l2o"),
        ({"config": {"variant": {}, "seed": 7}}, r"the run was begun with .*last\.ckpt"),
    ],
)
def test_a_checkpoint_of_another_kind_is_refused(
    tmp_path: Path, change: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(monkeypatch, 2, composed(tmp_path, *RECIPE))
    last = tmp_path / "checkpoints" / "last.ckpt"
    content = torch.load(last, weights_only=True)
    content["l2o"] |= change
    torch.save(content, last)
    with pytest.raises(UserError, match=words) as refusal:
        train(composed(tmp_path, f"resume={tmp_path}"))
    assert "\n" not in str(refusal.value)


def test_classes_of_a_runs_files_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(monkeypatch, 2, composed(tmp_path, *RECIPE))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'trace')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "config.yaml"
    settings = yaml.safe_load(path.read_text())
    for part in ("problem", "variant", "reward"):
        changed = {**settings, part: {**settings[part], "_target_": "evil.Class"}}
        path.write_text(yaml.safe_dump(changed))
        (tmp_path / "checkpoints" / "last.ckpt").unlink(missing_ok=True)
        with pytest.raises(UserError, match=r"evil\.Class is not part of l2o.*trust_classes=true"):
            train(composed(tmp_path, f"resume={tmp_path}"))
    assert not (tmp_path / "trace").exists()
    path.write_text("a: [1")
    with pytest.raises(UserError, match=r"config\.yaml: damaged, or not the settings of a run"):
        train(composed(tmp_path, f"resume={tmp_path}"))
    path.write_text("a: 1")
    with pytest.raises(UserError, match=r"config\.yaml: not the settings of a training run"):
        train(composed(tmp_path, f"resume={tmp_path}"))
