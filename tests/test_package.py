"""The wheel, installed beside nothing but what it says it needs, far from the checkout."""

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from l2o.cli import commands
from tests.training.test_configs import SMALL

ROOT = Path(__file__).parents[1]
USE = """
import sys, torch, l2o
from l2o.problems import MatrixGame
problem, generator = MatrixGame(m=2, n=3), torch.Generator().manual_seed(0)
instances, start = problem.sample(4, generator), problem.sample_start(4, generator)
optimizer = l2o.load("structured_twin/universal")
trajectory = l2o.unroll(optimizer, instances, start, iterations=30)
assert (instances.distance(*trajectory.last).joint < 1e-2).all()
print(l2o.__file__, *sys.modules)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    _pip("wheel", "--no-deps", "--no-build-isolation", f"--wheel-dir={directory}", str(ROOT))
    (path,) = directory.glob("*.whl")
    return path


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _environment(directory: Path, wheel: Path, extra: str) -> Path:
    """A fresh environment with the wheel and what it requires, taken from the one of the tests.

    Returns:
        The folder of its programs.
    """
    venv.create(directory)
    folders = {"base": str(directory), "platbase": str(directory)}
    site, programs = (Path(sysconfig.get_path(n, vars=folders)) for n in ("purelib", "scripts"))
    python = str(programs / "python")
    _pip("--python", python, "install", "--no-deps", "--no-index", str(wheel))
    (own,) = Distribution.discover(name="l2o", path=[str(site)])
    for package in _needed(own, {extra}, {}):
        # Of what it has installed, programs excepted, the folders and files at the top.
        for top in {file.parts[0] for file in package.files or []} - {".."}:
            if not (site / top).exists():
                (site / top).symlink_to(str(package.locate_file(top)))
    return programs


def _needed(
    package: Distribution, extras: set[str], found: dict[str, Distribution]
) -> Iterable[Distribution]:
    """What a distribution requires, and what that requires."""
    for one in map(Requirement, package.requires or []):
        wanted = one.marker is None or any(one.marker.evaluate({"extra": e}) for e in {"", *extras})
        if wanted and one.name not in {"l2o", *found}:
            found[one.name] = distribution(one.name)
            _needed(found[one.name], one.extras, found)
    return found.values()


def _run(directory: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(command, cwd=directory, env=own, capture_output=True, text=True)


def test_pytorch_and_safetensors_are_all_it_takes_to_use_it(tmp_path: Path, wheel: Path) -> None:
    programs = _environment(tmp_path / "environment", wheel, "")
    done = _run(tmp_path, programs / "python", "-W", "ignore", "-c", USE)
    assert done.returncode == 0, done.stderr
    file, *modules = done.stdout.split()
    assert Path(file).is_relative_to(tmp_path)
    assert not {"pytorch_lightning", "hydra", "wandb", "matplotlib", "rich", "yaml"} & set(modules)

    done = _run(tmp_path, programs / "l2o-train")
    assert done.returncode == 2
    assert done.stderr.startswith("error: hydra, ")
    assert done.stderr.endswith("pip install 'l2o[train]'\n")
    assert len(done.stderr.splitlines()) == 1


def test_it_trains_far_from_the_checkout(tmp_path: Path, wheel: Path) -> None:
    programs = _environment(tmp_path / "environment", wheel, "train")
    (away := tmp_path / "far away").mkdir()
    done = _run(away, programs / "l2o-train", *SMALL, "protocol.epochs=2", "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    done = _run(away, programs / "l2o-evaluate", "checkpoint=run/checkpoints/best.ckpt")
    assert done.returncode == 0, done.stderr
    trained = json.loads((away / "run" / "metrics.json").read_text())
    (path,) = away.glob("outputs/evaluate/*/metrics.json")
    tested = json.loads(path.read_text())
    assert all(trained[key] == tested[key] for key in tested if key.startswith("test/"))
    assert {path.name for path in away.iterdir()} == {"run", "outputs"}

    done = _run(away, programs / "l2o-train", "--multirun", "hydra/launcher=joblib", "seed=0,1")
    assert done.returncode == 2
    assert done.stderr == (
        "error: hydra/launcher: expected one of basic, got 'joblib'; pip install 'l2o[sweep]' or "
        "'l2o[ray]' adds others\n"
    )


def test_every_script_is_a_command() -> None:
    names = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    commands_only = names - {"benchmark", "kill_test"}
    assert declared == {f"l2o-{name}": f"l2o.cli.commands:{name}" for name in commands_only}
    assert all(callable(getattr(commands, name)) for name in commands_only)
