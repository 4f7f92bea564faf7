"""The command that is printed is one that can be typed."""

import sys
from pathlib import Path

import pytest

from l2o.io.program import program

PYTHON = ["../environment/bin/python", "-u"]


def _typed(monkeypatch: pytest.MonkeyPatch, interpreter: list[str], *words: str) -> str:
    monkeypatch.setattr(sys, "orig_argv", [*interpreter, *words])
    monkeypatch.setattr(sys, "argv", list(words))
    return program("train")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("scripts/train.py", "../environment/bin/python -u scripts/train.py"),
        ("my l2o/scripts/train.py", "../environment/bin/python -u 'my l2o/scripts/train.py'"),
    ],
)
def test_a_script(monkeypatch: pytest.MonkeyPatch, path: str, words: str) -> None:
    assert _typed(monkeypatch, PYTHON, path, "seed=1", path) == words


def test_an_installed_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its name alone if the shell finds the same one, else its path."""
    for name in ("my bin", "other"):
        path = tmp_path / name / "l2o-train"
        path.parent.mkdir()
        path.touch(mode=0o755)
    path = tmp_path / "my bin" / "l2o-train"
    monkeypatch.setenv("PATH", str(path.parent))
    assert _typed(monkeypatch, PYTHON, str(path), "seed=1") == "l2o-train"
    for found in (tmp_path, tmp_path / "other"):
        monkeypatch.setenv("PATH", str(found))
        assert _typed(monkeypatch, PYTHON, str(path), "seed=1") == f"'{path}'"


@pytest.mark.parametrize("given", ["-c", "/lib/popen_loky_posix.py", "scripts/evaluate.py", ""])
def test_started_otherwise(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """In the worker of a sweep, by another command or by hand."""
    assert _typed(monkeypatch, PYTHON, given, "seed=1") == "l2o-train"
