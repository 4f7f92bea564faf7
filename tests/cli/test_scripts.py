"""The scripts as a user runs them: one line for every mistake, and results for the rest."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.optimizers.learned.test_released import released_file
from tests.training.test_configs import SMALL

ROOT = Path(__file__).resolve().parents[2]


def run(script: str, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a script in a directory of its own."""
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *arguments]
    return subprocess.run(
        command,
        cwd=directory,
        env=_environment(directory),
        capture_output=True,
        text=True,
        timeout=300,
    )


def started(script: str, directory: Path, *arguments: str) -> subprocess.Popen[str]:
    """Starts a script in a directory of its own."""
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *arguments]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=directory, env=_environment(directory), **pipes)


def wait_for_rows(process: subprocess.Popen[str], path: Path, count: int) -> None:
    """Waits until a run has written so many rows of its history."""
    while not path.exists() or len(path.read_text().splitlines()) <= count:
        assert process.poll() is None
        time.sleep(0.01)


def _environment(directory: Path) -> dict[str, str]:
    """Where a script finds modules of the user's, and this copy of the project."""
    return {**os.environ, "PYTHONPATH": f"{directory}{os.pathsep}{ROOT}"}


@pytest.mark.parametrize(
    ("script", "argument", "words"),
    [
        ("train", "problem=sesaw", "problem: expected one of custom, eight_gaussians, gan_mixture"),
        ("train", "strategy=tpu", "strategy: expected one of auto, cpu, ddp, ddp_cpu, gpu"),
        ("train", "sed=1", "sed: no such setting 'sed'; the config has checkpoint_seconds, chosen"),
        ("train", "problem.c=1", "problem.c: no such setting 'c'; problem has _target_, a, b"),
        ("train", "problem.a=[1,0]", "problem.a: the range [1, 0] is reversed; write [0, 1]"),
        ("train", "problem.a=[1", "problem.a=[1: expected KEY=VALUE"),
        ("train", "problem", "problem: expected KEY=VALUE"),
        (
            "train",
            "protocol.window=7",
            "protocol.window: expected a divisor of horizon (50)",
        ),
        ("train", "problem=custom", "_target_: a value is missing; add problem._target_=VALUE"),
        ("train", "hydra.run.dir=file/below", "file/below"),
        ("train", "resume=nowhere", "resume: expected the directory of a run, got nowhere"),
        ("train", "checkpoint_seconds=-1", "checkpoint_seconds: expected a finite number"),
        ("train", "variant.hidden_size=1000000000", "not enough memory; choose smaller sizes"),
        ("train", "variant.hidden_size=10000000", "not enough memory; choose smaller sizes"),
        ("evaluate", "checkpoint=none.ckpt", "none.ckpt: no such file"),
        ("evaluate", "checkpoint=file", "file: "),
        ("evaluate", "checkpoint=", "either checkpoint=PATH or both released_min"),
        ("evaluate", "problem.a=[0,1]", "either checkpoint=PATH or both released_min"),
        ("compare", "only=[ogda,led]", "only: no method 'led'; choose from gda"),
        ("compare", "comparison=figure9", "comparison: expected one of figure2_matrix_game, f"),
        ("compare", "safeguard=halper", "safeguard: expected one of halpern, none, got 'halper'"),
        ("evaluate", "safeguard.slack=1", "safeguard.slack: no such setting 'slack'"),
        ("compare", "methods.ogd=1", "methods.ogd: no such setting 'ogd'; methods has acgd"),
        ("operations", "only=[led]", "only: no method 'led'; choose from gda"),
        ("rates", "problem=saddle", "problem: expected one of quadratic_game, got 'saddle'"),
        ("compare", "experiment=table1", "experiment: no such group of compare; it has comparis"),
        ("train", "experiment=figure2_seesaw", "experiment: expected one of a6, figure1, figur"),
        ("evaluate", "released_min=file", "released_max: expected the path of the other weight"),
    ],
)
def test_a_mistake_gets_one_line(tmp_path: Path, script: str, argument: str, words: str) -> None:
    (tmp_path / "file").write_text("nothing but text")
    done = run(script, tmp_path, argument)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr
    assert done.stdout == ""
    assert set(tmp_path.rglob("*")) <= {tmp_path / "file", tmp_path / "outputs"}, "leaves nothing"


def test_training_and_evaluation_from_the_command_line(tmp_path: Path) -> None:
    done = run("train", tmp_path, *SMALL)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (results,) = tmp_path.glob("outputs/seesaw_twin_seed0/*/metrics.json")
    assert f"results in {results.parent}" in done.stdout
    checkpoint = results.parent / "checkpoints" / "best.ckpt"
    again = run("evaluate", tmp_path, f"checkpoint={checkpoint}", "hydra.run.dir=again")
    assert again.returncode == 0, again.stderr
    found = json.loads((tmp_path / "again" / "metrics.json").read_text())
    metrics = json.loads(results.read_text())
    assert all(metrics[key] == found[key] for key in found if key.startswith("test/"))


def test_ctrl_c_and_going_on(tmp_path: Path) -> None:
    """Ctrl-C while training, the command that is printed, and what it may be combined with."""
    long = ["protocol.epochs=80", "protocol.validation.every=40", "hydra.run.dir=run"]
    rows = tmp_path / "run" / "metrics.csv"
    with started("train", tmp_path, *SMALL, *long) as process:
        wait_for_rows(process, rows, 3)
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    typed = f"{sys.executable} {ROOT / 'scripts' / 'train.py'} resume={tmp_path / 'run'}"
    assert told == f"interrupted by SIGINT; to go on: {typed}\n"

    done = run("train", tmp_path, f"resume={tmp_path / 'run'}", "seed=3")
    assert done.returncode == 2
    assert done.stderr.startswith("error: seed=3: cannot be given together with resume=PATH")
    assert len(done.stderr.splitlines()) == 1
    done = run("train", tmp_path, f"resume={tmp_path / 'run'}", "checkpoint_seconds=1")
    assert done.returncode == 0, done.stderr
    epochs = [row.split(",")[0] for row in rows.read_text().splitlines()[1:]]
    assert epochs == [str(epoch) for epoch in range(80)]
    assert not list(tmp_path.glob("outputs/*/*")), "no directory but the run's own"
    again = run("train", tmp_path, "resume=run")
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[0].endswith("its results are in metrics.json")


def test_a_sweep_gives_each_job_a_directory(tmp_path: Path) -> None:
    done = run("train", tmp_path, "--multirun", "seed=0,1", "problem=saddle,seesaw", *SMALL)
    assert done.returncode == 0, done.stderr
    results = sorted(tmp_path.glob("outputs/multirun/*/*/metrics.json"))
    assert [path.parent.name for path in results] == ["0", "1", "2", "3"]
    scores = {json.loads(path.read_text())["val/score"] for path in results}
    assert len(scores) == 4


def test_a_sweep_of_comparisons_in_parallel(tmp_path: Path) -> None:
    size = ["validation.instances=2", "evaluation.instances=2", "evaluation.iterations=20"]
    sweep = ["--multirun", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "seed=0,1"]
    done = run("compare", tmp_path, *sweep, *size, "problem=saddle", "only=[ogda,gmres]")
    assert done.returncode == 0, done.stderr
    tables = sorted(tmp_path.glob("outputs/multirun/*/*/table.csv"))
    assert [path.parent.name for path in tables] == ["0", "1"]
    assert len({path.read_text() for path in tables}) == 2


def test_rates_from_the_command_line(tmp_path: Path) -> None:
    size = ["mixtures=2", "games=1", "problem.dimension=1", "only=[gda,ogda]"]
    done = run("rates", tmp_path, *size)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("outputs/rates_seed0/*/plots/rates.png"))) == 1


def test_released_weights_from_the_command_line(tmp_path: Path) -> None:
    released_file(tmp_path / "min.pth", seed=1)
    released_file(tmp_path / "max.pth", seed=2)
    files = ["released_min=min.pth", "released_max=max.pth", "released_state_std=0"]
    size = ["evaluation.instances=3", "evaluation.starts=2", "evaluation.iterations=20"]
    done = run("evaluate", tmp_path, *files, *size, "problem.a=[0,5]", "hydra.run.dir=out")
    assert done.returncode == 0, done.stderr
    assert "test/sr1" in json.loads((tmp_path / "out" / "metrics.json").read_text())
