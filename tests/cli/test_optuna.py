"""A study: trials that fail, trials that are pruned, and going on with it."""

import json
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial

from l2o import UserError
from l2o.training.train import train
from tests.cli.test_scripts import run
from tests.cli.test_sweeps import table
from tests.training.test_configs import SMALL, composed

STORAGE = "sqlite:///outputs/studies.db"
WITHOUT_WINDOW = [setting for setting in SMALL if not setting.startswith("protocol.window")]
STUDY = [
    *("--multirun", "sweep=optuna_twin", *WITHOUT_WINDOW, "protocol.epochs=4"),
    *("protocol.validation.every=1", "variant.state_rescale=1", "protocol.window=2,3"),
    *("protocol.learning_rate=tag(log,interval(1e-5,1e-1))", "pruning.startup_trials=1"),
    "pruning.warmup_epochs=1",
]
"""A space in which every other trial is refused: a window of 3 does not divide the horizon."""


def trials(study: str = "seesaw_twin") -> list[FrozenTrial]:
    return optuna.load_study(study, STORAGE).trials


def test_a_study_prunes_survives_failures_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("train", tmp_path, *STUDY, "hydra.sweeper.n_trials=6", "hydra.sweep.dir=first")
    assert done.returncode == 1, done.stderr
    first, rows = trials(), table(tmp_path / "first")
    failed = [trial for trial in first if trial.state.name == "FAIL"]
    assert {trial.params["protocol.window"] for trial in failed} == {3}
    assert done.stderr.splitlines()[-1] == f"{len(failed)} of 6 jobs failed"
    pruned = [trial for trial in first if "pruned_at_epoch" in trial.user_attrs]
    assert pruned
    best = optuna.load_study("seesaw_twin", STORAGE).best_trial
    assert best.number not in {trial.number for trial in pruned}
    states = [row["state"] for row in rows]
    assert states.count("failed") == len(failed)
    assert states.count("pruned") == len(pruned)
    assert states.count("finished") == 6 - len(failed) - len(pruned) > 0
    scores = {Path(row["directory"]).name: row["val/score"] for row in rows if row["val/score"]}
    assert {str(t.number): t.value for t in first if t.value} == pytest.approx(
        {name: float(score) for name, score in scores.items()}
    )

    zombie = optuna.load_study("seesaw_twin", STORAGE).ask(first[0].distributions)
    done = run("train", tmp_path, *STUDY, "hydra.sweeper.n_trials=3", "hydra.sweep.dir=second")
    again = trials()
    assert [trial.number for trial in again] == list(range(10)), done.stderr
    assert again[zombie.number].state.name == "RUNNING"
    assert not again[zombie.number].intermediate_values
    drawn = [trial.params["protocol.learning_rate"] for trial in again]
    assert len(set(drawn)) == len(drawn), "none is drawn again"

    directory = tmp_path / "first" / str(pruned[0].number)
    told = json.loads((directory / "pruned.json").read_text())
    assert told == {"epoch": pruned[0].user_attrs["pruned_at_epoch"], "val/score": pruned[0].value}
    assert not (directory / "metrics.json").exists()
    train(composed(tmp_path, f"resume={directory}"))
    assert not (directory / "pruned.json").exists()
    assert len((directory / "metrics.csv").read_text().splitlines()) == 1 + 4
    assert (directory / "metrics.json").exists()


def test_a_study_in_which_all_fail_ends_with_one_line(tmp_path: Path) -> None:
    none = [setting for setting in STUDY if not setting.startswith("protocol.window")]
    done = run("train", tmp_path, *none, "protocol.window=3", "hydra.sweeper.n_trials=1")
    assert done.returncode == 1
    told, count = done.stderr.splitlines()
    assert "protocol.window: expected a divisor of horizon" in told
    assert count == "1 of 1 jobs failed"


@pytest.mark.parametrize(
    ("pruning", "words"),
    [
        ("3", r"pruning: expected settings by name or null, got 3"),
        (
            "{study: a}",
            r"pruning\.storage: a value is missing; pruning has study, storage, startup",
        ),
        (
            "{study: a, storage: 'sqlite://', startup_trials: -1, warmup_epochs: 0}",
            r"pruning\.startup_trials: expected a whole number of at least 0, got -1",
        ),
        (
            "{study: 1, storage: 'sqlite://', startup_trials: 0, warmup_epochs: 0}",
            r"pruning\.study: expected a name, got 1",
        ),
        (
            "{study: a, storage: 'sqlite://', startup_trials: 0, warmup_epochs: 0}",
            r"pruning: expected a study 'a' in sqlite://, found none \(KeyError\); begin it",
        ),
        (
            "{study: a, storage: nothing, startup_trials: 0, warmup_epochs: 0}",
            r"pruning: expected a study 'a' in nothing, found none \(",
        ),
    ],
)
def test_pruning_without_a_study_is_refused(tmp_path: Path, pruning: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as refusal:
        train(composed(tmp_path, f"pruning={pruning}"))
    assert "\n" not in str(refusal.value)
