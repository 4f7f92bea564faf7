"""Output: whatever becomes of it, the script goes on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_scripts import ROOT, run

WORDS = "median · θ │ π"
SAY = f"from l2o.cli.streams import make_tolerant; make_tolerant(); print({WORDS!r})"
BOTH = f"{SAY}; import sys; print({WORDS!r}, file=sys.stderr)"
MUCH = f"{SAY}\nfor _ in range(10000): print({WORDS!r}, flush=True)\nopen('end', 'w').close()"
COMPARE = ["only=[ogda]", "validation.instances=2", "evaluation.iterations=20"]
COMPARE += ["evaluation.instances=2", "hydra.run.dir=[bold]θ"]


def python(code: str, directory: Path, output: str, encoding: str = "utf-8") -> str:
    """What comes of a program whose output goes where a shell's words say."""
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)}
    command = ["bash", "-c", f'"$0" -c "$1" {output}', sys.executable, code]
    done = subprocess.run(command, capture_output=True, cwd=directory, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    assert b"Error" not in done.stderr
    return done.stdout.decode(encoding)


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("ascii", "median ? ? ? ?"),
        ("latin-1", "median · ? ? ?"),
        ("utf-8", WORDS),
        ("ascii:strict", "median ? ? ? ?"),
    ],
)
def test_letters_that_cannot_be_written_are_replaced(
    tmp_path: Path, encoding: str, words: str
) -> None:
    assert python(BOTH, tmp_path, "", encoding.partition(":")[0]) == f"{words}\n"


@pytest.mark.parametrize("output", ["| head -1", "| true", ">&-", "> /dev/full", "2>&- >&-"])
def test_a_script_outlives_its_output(tmp_path: Path, output: str) -> None:
    python(MUCH, tmp_path, output)
    assert (tmp_path / "end").exists()


def test_a_comparison_in_ascii_into_a_pipe_that_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its directory's name is neither markup nor letters that can be shown."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = run("compare", tmp_path, *COMPARE)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.isascii()
    assert f"results in {tmp_path}/[bold]?\n" in done.stdout
    assert "ogda/sr1" in json.loads((tmp_path / "[bold]θ" / "metrics.json").read_text())
