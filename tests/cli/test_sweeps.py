"""Sweeps as a user runs them: jobs that fail, launchers, signals, and the summary at the end."""

import csv
import importlib.util
import json
import signal
from pathlib import Path

import pytest

from tests.cli.test_scripts import run, started, wait_for_rows
from tests.training.test_configs import SMALL

FRAGILE = """
from l2o.problems import Saddle

class Fragile(Saddle):
    def check(self):
        if self.m > 1:
            raise ZeroDivisionError("nobody foresaw it")
"""
JOBS = [
    *("problem=saddle", "problem._target_=fragile.Fragile", "problem.n=1", "problem.m=1,2"),
    "protocol.window=2,3",
]
"""Four jobs: one is good, two are refused, one breaks."""
LAUNCHERS = {
    "basic": [],
    "joblib": ["hydra.launcher.n_jobs=2"],
    "submitit_local": ["hydra.launcher.timeout_min=5"],
    "ray": ["+hydra.launcher.ray.init.num_cpus=2"],
}


def table(directory: Path) -> list[dict[str, str]]:
    """The rows of the only summary below a directory."""
    (path,) = directory.rglob("summary.csv")
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_jobs_that_fail_do_not_end_a_sweep(tmp_path: Path, launcher: str) -> None:
    if launcher == "ray" and importlib.util.find_spec("ray") is None:
        pytest.skip('ray is not installed: pip install -e ".[ray]"')
    (tmp_path / "fragile.py").write_text(FRAGILE)
    sweep = ["--multirun", f"hydra/launcher={launcher}", *LAUNCHERS[launcher]]
    small = [setting for setting in SMALL if not setting.startswith("protocol.window")]
    done = run("train", tmp_path, *sweep, *small, *JOBS)
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1] == "3 of 4 jobs failed"
    rows = table(tmp_path)
    assert [row["state"] for row in rows] == ["finished", "failed", "failed", "failed"]
    good, *bad = sorted(rows, key=lambda row: row["directory"])
    assert (good["protocol.window"], good["problem.m"]) == ("2", "1")
    assert float(good["val/score"]) >= 0
    window = "protocol.window: expected a divisor of horizon (4), got 3; choose one of 1, 2, 4"
    broken = "ZeroDivisionError: nobody foresaw it"
    assert [row["note"] for row in bad] == [window, broken, window]
    record = json.loads((Path(bad[1]["directory"]) / "failure.json").read_text())
    assert "in check" in record["traceback"]
    assert {"problem.m=2", "protocol.window=2"} <= set(record["overrides"])
    refused = json.loads((Path(bad[0]["directory"]) / "failure.json").read_text())
    assert refused["traceback"] is None
    assert "1 finished" in done.stdout
    assert window in done.stdout
    if launcher in ("basic", "joblib"):
        told = [line for line in done.stderr.splitlines() if line.startswith("job ")]
        assert sorted(line.split()[1] for line in told) == ["1", "2", "3"]


def test_a_sweep_without_failures_ends_well(tmp_path: Path) -> None:
    done = run("train", tmp_path, "--multirun", *SMALL, "problem=saddle,seesaw", "logger=none")
    assert (done.returncode, done.stderr) == (0, "")
    assert {row["problem._target_"] for row in table(tmp_path)} == {"Saddle", "Seesaw"}
    (picture,) = tmp_path.rglob("summary.png")
    assert (picture.parent / "summary.md").read_text().count("finished") == 2


def test_a_sweep_of_another_script_with_a_failure(tmp_path: Path) -> None:
    size = ["validation.instances=2", "evaluation.instances=2", "evaluation.iterations=20"]
    only = ["problem=saddle", "only=[ogda],[led]"]
    done = run("compare", tmp_path, "--multirun", *only, *size)
    assert done.returncode == 1
    assert len(list(tmp_path.rglob("table.csv"))) == 1
    told, count = done.stderr.splitlines()
    assert "only: no method 'led'" in told
    assert count == "1 of 2 jobs failed"


def test_what_no_job_can_have_ends_a_sweep_at_once(tmp_path: Path) -> None:
    done = run("train", tmp_path, "--multirun", "seed=0,1", "problem=sesaw")
    assert done.returncode == 2
    assert done.stderr.startswith("error: problem: expected one of custom")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("launcher", "number", "status"),
    [("basic", signal.SIGINT, 130), ("joblib", signal.SIGTERM, 143)],
)
def test_a_signal_ends_a_sweep_with_its_summary(
    tmp_path: Path, launcher: str, number: int, status: int
) -> None:
    long = ["protocol.epochs=100000", "protocol.validation.every=100000", "seed=0,1,2"]
    sweep = [f"hydra/launcher={launcher}", *LAUNCHERS[launcher], "hydra.sweep.dir=sweep"]
    with started("train", tmp_path, "--multirun", *SMALL, *long, *sweep) as process:
        wait_for_rows(process, tmp_path / "sweep" / "0" / "metrics.csv", 3)
        process.send_signal(number)
        told = process.communicate(timeout=60)[1]
    assert process.returncode == status
    assert f"interrupted by {signal.Signals(number).name}" in told
    assert not (tmp_path / "sweep" / "2").exists(), "no other job has begun"
    states = {row["state"] for row in table(tmp_path)}
    assert states <= {"stopped", "running"}
    assert states


def test_summarize_takes_what_it_finds(tmp_path: Path) -> None:
    """Whole and damaged runs, runs of other scripts and files of other kinds."""
    made = run("train", tmp_path, "--multirun", *SMALL, "seed=0,1,2")
    assert made.returncode == 0, made.stderr
    first, second, third = sorted(tmp_path.glob("outputs/multirun/*/[012]"))
    (second / "metrics.json").write_text('{"val/score": ')
    (third / "metrics.json").write_text('{"val/score": "low", "test/sr1": null}')
    for name, content in (("config.yaml", "a: [1"), ("metrics.json", "[]"), ("failure.json", "0")):
        (tmp_path / "outputs" / name).mkdir()
        (tmp_path / "outputs" / name / name).write_text(content)
    done = run("summarize", tmp_path, "hydra.run.dir=out")
    assert (done.returncode, done.stderr) == (0, "")
    rows = table(tmp_path / "out")
    assert {Path(row["directory"]).name: row["state"] for row in rows} == {
        first.name: "finished",
        second.name: "stopped",
        third.name: "finished",
    }
    assert rows[0]["seed"] == "0"
    assert rows[0]["test/sr1"]
    assert not rows[1]["val/score"]


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("directories=[nowhere]", "directories: nowhere: no such directory"),
        ("directories=outputs", "directories: expected a list of directories, got 'outputs'"),
        ("directories=[.]", "directories: expected training runs below ., found none"),
    ],
)
def test_nothing_to_summarize_gets_one_line(tmp_path: Path, argument: str, words: str) -> None:
    done = run("summarize", tmp_path, argument)
    assert done.returncode == 2
    assert done.stderr == f"error: {words}\n"
