"""Malformed arguments as a user types them: one line for each, and nothing left behind.

More than 60, each through Hydra itself.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from l2o.cli.script import script
from l2o.training import fit as training
from l2o.training.train import train
from tests.malformed import stop

BROKEN = ["problem=[1", "=3", "+", "~", "a.b.c=", "problem.a=[0,", "problem.a={", "seed=1=2)", "'"]
BROKEN += ["problem@=x", "seed=(1", "seed='1", "++", "~~seed", "problem.a=[1,2]]", "seed", "a b=1"]
UNKNOWN = ["sed=1", "problem.c=1", "+seed=1", "~nothing", "~problem.q", "hydra.rum.dir=a"]
UNKNOWN += ["variant.x=1", "evaluation.extra=1", "hydra/launcher=nope", "+a/b=c"]
GROUPS = [f"{group}={name}" for group in ("problem", "strategy", "protocol") for name in ("3", "x")]
GROUPS += ["variant=", "reward=nope", "curriculum=[a]", "logger={a:1}", "experiment=figure9"]
GONE = [f"~{name}" for name in ("problem", "variant", "protocol", "reward", "curriculum", "seed")]
GONE += [f"~{name}" for name in ("strategy", "logger", "evaluation", "run_dir", "resume")]
GONE += ["~protocol.epochs", "~protocol.window", "~protocol.validation", "~logger.csv"]
GONE += ["~protocol.validation.score", "~protocol.validation.every", "~trust_classes"]
GONE += [f"{name}=null" for name in ("problem", "variant", "strategy", "protocol", "logger")]
REMEDIES = {
    "seed=0,1": "--multirun; one list is written 'seed=[0,1]'; one text is written 'seed=\"0,1\"'",
    "problem=saddle,seesaw": "to try each of several values, add --multirun",
    "problem.a=range(1,3)": "to try each of several values, add --multirun",
    "--protocol.epochs=1": "settings have no dashes; write protocol.epochs=1",
    "-seed=1": "settings have no dashes; write seed=1",
    "--seed": "no such flag; settings are KEY=VALUE without dashes, flags are --help, --multirun",
    "--cfg": "argument --cfg/-c: expected one argument; the flags are --help, --multirun",
    "--cfg=x": "invalid choice: 'x' (choose from 'job', 'hydra', 'all'); the flags are --help",
    "--resolve": "--resolve: expected --cfg=job beside it",
    "reward.weights=a=b": "a text goes in quotes: 'reward.weights=\"a=b\"'",
    "reward.weights=[ü]": "a text goes in quotes: 'reward.weights=[\"ü\"]'",
    "safeguard=halpern": "safeguard: no such group of train; it has curriculum, estimator",
    "problem=[saddle,seesaw]": "problem: expected one of custom, eight_gaussians, gan_mixture",
    "+seed=1": "An item is already at 'seed'. Either remove + prefix: 'seed=1'",
    "hydra.launcher.n_jobs=2": "hydra.launcher.n_jobs: no such setting 'n_jobs'; hydra.laun",
    "resume=a=b, c [d]/Müller": "resume: expected the directory of a run, got a=b, c [d]/Müller",
    "hydra.run.dir=": "hydra.run.dir=: expected a folder, got nothing; hydra.run.dir=. is this one",
    "seed=x": "error: seed: expected a whole number of at least 0, got 'x'",
    "resume=1e3": "resume: expected the directory of a run, got 1e3",
}
VALUES = ["evaluation=3", "evaluation=null", "protocol.validation=3", "seed=${nothing}", "seed=???"]
VALUES += ["problem.a=${problem.a}", "seed=${oc.env:L2O_NONE}", "seed=${nothing:1}", "seed=a,b"]
VALUES += ["logger.csv=maybe", "trust_classes=maybe", "resume=3", "run_dir=null", "seed=1e400"]
VALUES += ["+evaluation.extra=1", "+strategy.max_epochs=1", "strategy.devices=x", "seed=1.5"]
VALUES += [f"seed={'9' * 400}", f"seed={'9' * 5000}", "mixture=[3]", "mixture={a:1}", "seed=-1"]
VALUES += ["problem=custom", "reward.weights=x", "checkpoint_seconds=nan", "hydra.run.dir=file/b"]


@pytest.fixture
def typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., str]]:
    """What `scripts/train.py` prints for an argument, in a directory of its own."""
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "_run", stop)

    @script("train")
    def main(config: dict[str, Any]) -> float:
        return train(config)["val/score"]

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        return printed.err

    yield run
    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None


def names_it(argument: str, line: str) -> bool:
    """Whether a line has the setting's name, its group's, or else the value as it was typed."""
    name, _, value = argument.lstrip("+~").partition("=")
    group = re.split("[.@/]", name)[0].strip("'")
    return group in line if group != "hydra" else name in line or value in line


@pytest.mark.parametrize("arguments", [BROKEN, UNKNOWN, GROUPS, GONE, VALUES])
def test_each_gets_one_line(
    arguments: list[str], typed: Callable[..., str], tmp_path: Path
) -> None:
    for argument in arguments:
        line = typed(argument)
        assert line.startswith("error: "), (argument, line)
        assert line.endswith("\n")
        assert len(line.splitlines()) == 1, (argument, line)
        assert names_it(argument, line), (argument, line)
        assert set(tmp_path.rglob("*")) <= {tmp_path / "file", tmp_path / "outputs"}, argument


@pytest.mark.parametrize(("argument", "words"), REMEDIES.items())
def test_the_line_holds_the_whole_remedy(
    typed: Callable[..., str], argument: str, words: str
) -> None:
    line = typed(argument)
    assert words in line
    assert len(line.splitlines()) == 1


def test_a_file_of_the_users_that_is_no_yaml(typed: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "own" / "problem" / "broken.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("a: [1\n")
    words = f"error: {path}: cannot be read as YAML, line 2: expected ',' or ']'"
    assert typed("--config-dir=own", "problem=broken").startswith(words)


def test_they_are_many() -> None:
    assert len({*BROKEN, *UNKNOWN, *GROUPS, *GONE, *VALUES}) >= 80
