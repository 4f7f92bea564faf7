"""Paths: any name, relative to where the command is typed, and a home that cannot be written."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_scripts import ROOT, run, started, wait_for_rows
from tests.training.test_configs import SMALL

ODD = '-lr=0.1, [bold] Müller\'s "x" (2) {y}\\é%$HOME\udcff\n;'
CHANGED = "hydra.job.chdir=true"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_command_to_go_on_works_as_it_stands(
    tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    long = ["protocol.epochs=80", "protocol.validation.every=40", f"hydra.run.dir={ODD}"]
    with started("train", tmp_path, *SMALL, *long) as process:
        wait_for_rows(process, tmp_path / ODD / "metrics.csv", 3)
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=60)[1]
    assert process.returncode == 130, told
    assert len(told.splitlines()) == 1
    typed = told.partition("to go on: ")[2]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", typed], cwd=tmp_path, env=environment, capture_output=True, timeout=100
    )
    assert (done.returncode, done.stderr) == (0, b"")
    metrics = json.loads((tmp_path / ODD / "metrics.json").read_text())
    again = run("evaluate", tmp_path, f"checkpoint={ODD}/checkpoints/best.ckpt", "hydra.run.dir=e")
    assert again.returncode == 0, again.stderr
    found = json.loads((tmp_path / "e" / "metrics.json").read_text())
    assert found["test/sr1"] == metrics["test/sr1"]


def test_paths_are_relative_to_where_the_command_is_typed(tmp_path: Path) -> None:
    checkpoint = "run/checkpoints/best.ckpt"
    for script, *settings in (
        ("train", *SMALL, "hydra.run.dir=run"),
        ("train", "resume=run"),
        ("evaluate", f"checkpoint={checkpoint}", "hydra.run.dir=evaluated"),
        ("compare", f"checkpoints=[{checkpoint}]", "only=[]", "hydra.run.dir=compared"),
        ("summarize", "directories=[.]", "hydra.run.dir=all/of/them"),
    ):
        done = run(script, tmp_path, CHANGED, *settings)
        assert done.returncode == 0, (script, done.stderr)
        assert done.stderr == ""
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.json")}
    assert {f"{name}/metrics.json" for name in ("run", "evaluated", "compared")} <= found
    assert (tmp_path / "all" / "of" / "them" / "summary.csv").exists()


def test_the_home_is_where_a_path_begins_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    done = run("operations", tmp_path, "only=[]", "hydra.run.dir=~/counted")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "home" / "counted" / "metrics.json").exists()


def test_a_home_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/proc")
    done = run("train", tmp_path, *SMALL, "hydra.run.dir=run")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "run" / "plots" / "training.png").exists()


def test_a_working_directory_that_is_gone(tmp_path: Path) -> None:
    gone = f'cd "$0" && rmdir "$0" && exec "$1" {ROOT}/scripts/evaluate.py checkpoint=x'
    (tmp_path / "gone").mkdir()
    command = ["bash", "-c", gone, str(tmp_path / "gone"), sys.executable]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert done.stderr == "error: the working directory does not exist any more; cd to another\n"
