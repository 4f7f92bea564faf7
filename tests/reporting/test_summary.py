"""Which settings set runs apart, and what their directories tell."""

import json
from pathlib import Path
from typing import Any

import yaml

from l2o.io.directory import claimed
from l2o.reporting.runs import RunSummary, collect, differing
from l2o.reporting.summary import write_summary

SETTINGS: dict[str, Any] = {
    "problem": {"_target_": "l2o.problems.Seesaw", "a": [0.9, 1.0]},
    "variant": {"_target_": "l2o.optimizers.TwinL2O", "seed": 0, "hidden_size": 5},
    "protocol": {"learning_rate": 1e-3},
    "reward": {},
    "seed": 0,
    "run_dir": "somewhere",
}


def summary(**changes: Any) -> RunSummary:
    settings = {"problem._target_": "l2o.problems.Seesaw", "seed": 0, **changes}
    return RunSummary(Path("run"), settings, "finished", {})


def test_only_what_sets_runs_apart_is_told() -> None:
    runs = [summary(**{"seed": s, "variant.seed": s, "run_dir": s, "steps": 5}) for s in (0, 1)]
    assert differing(runs) == {"seed": ["0", "1"]}


def test_what_a_class_alone_decides_is_not_told() -> None:
    """Seesaw has no `theta` here; of matrix games there are two sizes."""
    game = {"problem._target_": "l2o.problems.MatrixGame", "problem.theta": 3}
    runs = [
        summary(**{"problem.m": 1}),
        summary(**{"problem.m": 4, **game}),
        summary(**{"problem.m": 5, **game}),
    ]
    assert differing(runs) == {
        "problem._target_": ["Seesaw", "MatrixGame", "MatrixGame"],
        "problem.m": ["1", "4", "5"],
    }


def test_every_state_of_a_run(tmp_path: Path) -> None:
    files: dict[str, dict[str, Any]] = {
        "finished": {"metrics.json": {"val/score": 0.5, "test/sr1": 1.0}},
        "pruned": {"pruned.json": {"epoch": 3, "val/score": 2.0}},
        "failed": {"failure.json": {"error": "it broke", "settings": SETTINGS}},
        "stopped": {},
        "running": {},
    }
    for state, contents in files.items():
        directory = tmp_path / state
        directory.mkdir()
        if state != "failed":
            (directory / "config.yaml").write_text(yaml.safe_dump(SETTINGS))
        for name, content in contents.items():
            (directory / name).write_text(json.dumps(content))
    with claimed(tmp_path / "running"):
        runs = collect([tmp_path, tmp_path / "finished"])
        states = {run.directory.name: run.state for run in runs}
    assert states == {state: state for state in files}
    assert [run.directory.name for run in runs][:2] == ["finished", "pruned"]
    assert {run.note for run in runs} == {"", "it broke"}
    (tmp_path / "out").mkdir()
    write_summary(runs, tmp_path / "out")
    assert (tmp_path / "out" / "summary.png").stat().st_size > 0
    assert "failed: it broke" in (tmp_path / "out" / "summary.md").read_text()
