"""A full disk and a directory that is gone: one line, and what was saved is kept."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from l2o import UserError
from l2o.io.directory import claimed
from l2o.training import checkpoints
from l2o.training.checkpoints import Checkpoints
from l2o.training.train import train
from tests.training.stopping import RECIPE, results
from tests.training.test_configs import composed

pytestmark = pytest.mark.usefixtures("without_plots")


@pytest.fixture(autouse=True)
def _saved_in_every_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)


def _config(directory: Path, *overrides: str) -> Any:
    return composed(directory, *RECIPE, "checkpoint_seconds=0", *overrides)


@pytest.mark.parametrize("write", [4, 5, 9, 12])
def test_a_full_disk_keeps_what_was_saved(
    tmp_path: Path,
    whole: dict[str, Any],
    write: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The disk is full from one of the writes on, until the run goes on."""
    writes, real = 0, os.fsync

    def fsync(descriptor: int) -> None:
        nonlocal writes
        writes += 1
        if writes >= write:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    words = (
        r"/\w+\.\w+: No space left on device; what was saved before is kept; to go on: "
        rf"l2o-train resume={tmp_path}$"
    )
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(UserError, match=words):
            train(_config(tmp_path))
    assert not list(tmp_path.rglob("*.tmp"))
    kept = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert 0 < kept["global_step"] < 12
    train(composed(tmp_path, f"resume={tmp_path}"))
    assert results(tmp_path) == whole


TINY_DISK = """
import subprocess, sys
from pathlib import Path
from l2o import UserError
from l2o.training import checkpoints
from l2o.training.train import train
from tests.training.test_configs import composed
from tests.training.stopping import RECIPE
checkpoints.SHARE = 1e9
disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={sys.argv[2]}", "tmpfs", disk], check=True)
config = composed(disk / "run", *RECIPE, "checkpoint_seconds=0")
try:
    train(config)
except UserError as error:
    print(error, file=sys.stderr)
subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
train(composed(disk / "run", f"resume={disk / 'run'}"))
subprocess.run(["cp", "-r", disk / "run", sys.argv[3]], check=True)
"""


@pytest.mark.skipif(
    subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode != 0,
    reason="file systems cannot be mounted here",
)
def test_a_disk_that_is_really_full(tmp_path: Path, whole: dict[str, Any]) -> None:
    """A disk in memory with room for two checkpoints."""
    train(_config(tmp_path / "sized"))
    folder = tmp_path / "sized" / "checkpoints"
    size = int(2.5 * (folder / "last.ckpt").stat().st_size + (folder / "best.ckpt").stat().st_size)
    (tmp_path / "disk").mkdir()
    places = [str(tmp_path / "disk"), str(size), str(tmp_path / "run")]
    done = subprocess.run(
        ["unshare", "-rm", sys.executable, "-c", TINY_DISK, *places],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert "No space left on device; what was saved before is kept; to go on: " in line
    assert results(tmp_path / "run") == whole


def test_a_directory_that_vanishes(
    tmp_path: Path,
    whole: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def move(self: Checkpoints, *arguments: Any) -> None:
        if (tmp_path / "run" / "checkpoints" / "previous.ckpt").exists():
            (tmp_path / "run").rename(tmp_path / "moved")

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_train_batch_start", move)
        with pytest.raises(UserError, match=r"run: the run's directory is gone; if it was moved,"):
            train(_config(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
    train(composed(tmp_path, f"resume={tmp_path / 'moved'}"))
    assert results(tmp_path / "moved") == whole


def test_two_runs_never_share_a_directory(tmp_path: Path) -> None:
    with claimed(tmp_path), pytest.raises(UserError, match="another run is writing there"):
        train(_config(tmp_path, "resume=auto"))
    assert {path.name for path in tmp_path.iterdir()} == {".lock"}
