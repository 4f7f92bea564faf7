"""The README's own text, run."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from tests.cli.test_scripts import ROOT, run
from tests.training.test_configs import SMALL

README = (ROOT / "README.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_two_commands_are_there_and_what_ci_runs() -> None:
    train, test = _blocks("bash")[0].splitlines()
    install = "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e"
    assert train == f'{install} ".[train]" && .venv/bin/l2o-train problem=seesaw'
    assert test == f'{install} ".[test]" && .venv/bin/pytest'
    assert "README.md" in (ROOT / ".ci" / "run").read_text()


def test_its_commands_can_be_pasted_into_any_shell() -> None:
    """zsh reads an unquoted bracket as a pattern, and a comment as arguments."""
    lines = [line for block in _blocks("bash") for line in block.splitlines()]
    lines += [span for span in re.findall(r"`([^`\n]+)`", README) if re.match(r"\S*l2o-\w", span)]
    assert len(lines) > 20
    for line in lines:
        bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", line)
        assert not set("[]()*?#") & set(bare), line


def test_its_commands_are_installed() -> None:
    installed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(re.findall(r"l2o-\w+", README)) == set(installed)


def test_the_problem_of_ones_own(tmp_path: Path) -> None:
    """The class in the README, under the README's command."""
    (source,) = (block for block in _blocks("python") if "class Quartic" in block)
    assert len(source.strip().splitlines()) <= 11
    (tmp_path / "my_problem.py").write_text(source)
    (command,) = (block for block in _blocks("bash") if "Quartic" in block)
    arguments = shlex.split(command.split("l2o-train")[1])
    done = run("train", tmp_path, *arguments, *SMALL, "hydra.run.dir=out")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "plots" / "convergence.png").exists()


def test_a_problem_in_a_config_file_of_ones_own(tmp_path: Path) -> None:
    (source,) = (block for block in _blocks("python") if "class Quartic" in block)
    (tmp_path / "my_problem.py").write_text(source)
    (tmp_path / "my_conf" / "problem").mkdir(parents=True)
    (tmp_path / "my_conf" / "problem" / "quartic.yaml").write_text(
        "_target_: my_problem.Quartic\nm: 2\nn: 2\nc: [0.5, 1]\n"
    )
    arguments = ["--config-dir", "my_conf", "problem=quartic", "hydra.run.dir=out", *SMALL]
    done = run("train", tmp_path, *arguments)
    assert done.returncode == 0, done.stderr


def test_the_python_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run("train", tmp_path, *SMALL, "hydra.run.dir=out")
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(tmp_path)
    sources = [block for block in _blocks("python") if "l2o.load" in block]
    assert len(sources) == 2
    for source in sources:
        exec(source.replace("outputs/…/best.ckpt", "out/checkpoints/best.ckpt"), {})


def test_its_pictures_and_folders_exist() -> None:
    for path in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / path).is_file(), path
    for path in ("l2o/problems", "l2o/optimizers", "l2o/unroll.py", "l2o/training", "conf"):
        assert f"`{path}`" in README
        assert (ROOT / path).exists()
