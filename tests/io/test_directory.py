"""A directory belongs to one run at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from l2o import UserError
from l2o.io.directory import begun, claimed, in_use, refuse_used

HOLD = """
import sys, time
from pathlib import Path
from l2o.io.directory import claimed
with claimed(Path(sys.argv[1])):
    print("claimed", flush=True)
    time.sleep(60)
"""


def test_only_one_process_at_a_time_and_no_stale_locks(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    command = [sys.executable, "-c", HOLD, str(directory)]
    assert not in_use(directory)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "claimed\n"
        assert in_use(directory)
        words = rf"run: another run is writing there \(process {other.pid} on \S+\); wait for it"
        with pytest.raises(UserError, match=words), claimed(directory):
            pass
        other.kill()
    assert not in_use(directory)
    with claimed(directory):
        pass


def test_asking_neither_creates_nor_writes(tmp_path: Path) -> None:
    assert not in_use(tmp_path)
    assert not list(tmp_path.iterdir())
    with claimed(tmp_path):
        holder = (tmp_path / ".lock").read_text()
        (tmp_path / ".lock").chmod(0o444)
        assert in_use(tmp_path)
        assert (tmp_path / ".lock").read_text() == holder
    assert not in_use(tmp_path)


def test_what_cannot_be_claimed_gets_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    words = r"file/run: cannot be written \(Not a directory\)"
    with pytest.raises(UserError, match=words), claimed(tmp_path / "file" / "run"):
        pass


def test_no_run_is_written_over(tmp_path: Path) -> None:
    refuse_used(tmp_path)
    (tmp_path / "config.yaml").touch()
    with pytest.raises(UserError, match="holds a run already; choose another directory"):
        refuse_used(tmp_path)


def _write(directory: Path, *names: str) -> None:
    """Writes files, and is interrupted then."""
    for name in names:
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).touch()
    raise KeyboardInterrupt


def test_what_was_begun_in_vain_leaves_no_trace(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes").touch()
    for directory in (mine, tmp_path / "new"):
        with pytest.raises(KeyboardInterrupt), begun(directory):
            _write(directory, "config.yaml", "plots/one.png")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == [
        "mine",
        "mine/notes",
    ]


def test_results_stay_whatever_comes_after_them(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), begun(tmp_path / "run"):
        _write(tmp_path / "run", "config.yaml", "metrics.json")
    assert (tmp_path / "run" / "metrics.json").exists()
    with pytest.raises(UserError, match="holds a run already"), begun(tmp_path / "run"):
        pass
    assert (tmp_path / "run" / "metrics.json").exists()
