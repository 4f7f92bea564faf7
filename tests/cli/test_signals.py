"""Ctrl-C and SIGTERM: every script answers in one line, and leaves nothing in the way."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.test_scripts import run, started

LONG = "evaluation.iterations=1000000"
TWIN = "checkpoint=structured_twin/untrained"
JOB = "{script: operations, sweep: {evaluation.iterations: [1000000000], seed: [0]}}"
SCRIPTS = {
    "evaluate": [TWIN, "problem=seesaw", LONG, "hydra.run.dir=run"],
    "compare": ["only=[ogda]", LONG, "hydra.run.dir=run"],
    "rates": ["mixtures=1000", "hydra.run.dir=run"],
    "operations": [LONG, "hydra.run.dir=run"],
    "export": ["name=never/written", LONG, "hydra.run.dir=run"],
    "reproduce": ["target=a5", f"targets.a5=[{JOB}]", "directory=run", "report=run/report"],
}
BUSY = {script: Path("run/config.yaml") for script in ("evaluate", "compare", "rates")}
BUSY["reproduce"] = Path("run/a5/0_operations/only/log.txt")
"""What is there once the work has begun, where anything is."""


def listens(process: subprocess.Popen[str]) -> bool:
    """Whether a process answers SIGUSR1, as a script does from its beginning on."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (signal.SIGUSR1 - 1) & 1)


@pytest.mark.parametrize(
    ("script", "sent"),
    [
        *((script, signal.SIGINT) for script in SCRIPTS),
        ("compare", signal.SIGTERM),
        ("reproduce", signal.SIGTERM),
    ],
)
def test_a_signal_is_answered_in_one_line(
    tmp_path: Path, script: str, sent: signal.Signals
) -> None:
    with started(script, tmp_path, *SCRIPTS[script]) as process:
        while not listens(process) or not (tmp_path / BUSY.get(script, ".")).exists():
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.05)
        process.send_signal(sent)
        told = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + sent
    assert told == f"interrupted by {sent.name}\n"
    if script == "reproduce":
        log = (tmp_path / BUSY[script]).read_text()
        assert not log or "interrupted by SIGTERM" in log, "its jobs end with it"
    else:
        assert not list(tmp_path.iterdir()), "the same command can be given again"


def test_a_sweep_that_is_interrupted_tells_what_became_of_its_jobs(tmp_path: Path) -> None:
    small = ["only=[ogda]", "validation.instances=2", "evaluation.instances=2", "noise=0,0.1"]
    several = ["--multirun", "evaluation.iterations=20,1000000", *small, "hydra.sweep.dir=all"]
    with started("compare", tmp_path, *several) as process:
        while not (tmp_path / "all" / "2" / "config.yaml").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=60)[1]
    assert (process.returncode, told) == (130, "interrupted by SIGINT\n")
    assert {path.name for path in (tmp_path / "all").iterdir() if path.is_dir()} == {"0", "1"}
    done = run("compare", tmp_path, "hydra.run.dir=all/2", *small[:3], "evaluation.iterations=20")
    assert done.returncode == 0, done.stderr
