"""A study: trials that fail, trials that are pruned, and going on with it."""

import json
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial

from l2o import UserError
from l2o.training.train import train
from tests.cli.test_scripts import run, started, wait_for_rows
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

TRIAL = "{{study: a, storage: 'sqlite:///a.db', trial: 0, startup_trials: 0, warmup_epochs: 0, {}}}"


def trials(study: str = "seesaw_twin") -> list[FrozenTrial]:
    return optuna.load_study(study_name=study, storage=STORAGE).trials


def test_a_study_prunes_survives_failures_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("train", tmp_path, *STUDY, "hydra.sweeper.n_trials=6", "hydra.sweep.dir=first")
    assert done.returncode == 1, done.stderr
    first, rows = trials(), table(tmp_path / "first")
    found = {state: [t for t in first if t.state.name == state] for state in ("FAIL", "PRUNED")}
    failed, pruned = found.values()
    assert {trial.params["protocol.window"] for trial in failed} == {3}
    assert done.stderr.splitlines()[-1] == f"{len(failed)} of 6 jobs failed"
    assert pruned
    states = [row["state"] for row in rows]
    assert states.count("failed") == len(failed)
    assert states.count("pruned") == len(pruned)
    assert states.count("finished") == 6 - len(failed) - len(pruned) > 0
    scores = {Path(row["directory"]).name: row["val/score"] for row in rows if row["val/score"]}
    assert {str(t.number): t.value for t in first if t not in failed} == pytest.approx(
        {name: float(score) for name, score in scores.items()}
    )

    study = optuna.load_study(study_name="seesaw_twin", storage=STORAGE)
    abandoned = study.ask(first[0].distributions)
    done = run("train", tmp_path, *STUDY, "hydra.sweeper.n_trials=3", "hydra.sweep.dir=second")
    again = trials()
    assert [trial.number for trial in again] == list(range(10)), done.stderr
    assert again[abandoned.number].state.name == "FAIL"
    assert {path.name for path in tmp_path.glob("second/[0-9]")} == {"7", "8", "9"}
    drawn = [trial.params["protocol.learning_rate"] for trial in again]
    assert len(set(drawn)) == len(drawn), "none is drawn again"

    done = run("train", tmp_path, *STUDY, "problem.a=[0,5]", "hydra.sweep.dir=third")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: problem.a: the study 'seesaw_twin' (sqlite:///outputs/")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "third").exists()
    assert [trial.state for trial in trials()] == [trial.state for trial in again]

    directory = tmp_path / "first" / str(pruned[0].number)
    told = json.loads((directory / "pruned.json").read_text())
    assert told == {"epoch": pruned[0].last_step, "val/score": pruned[0].value}
    assert not (directory / "metrics.json").exists()
    train(composed(tmp_path, f"resume={directory}"))
    assert not (directory / "pruned.json").exists()
    assert len((directory / "metrics.csv").read_text().splitlines()) == 1 + 4
    assert (directory / "metrics.json").exists()
    assert trials()[pruned[0].number].state.name == "PRUNED"


def test_a_killed_study_goes_on_with_two_jobs_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    same = [*STUDY, "protocol.window=2", "protocol.epochs=20", "hydra.sweep.dir=sweep"]
    same.append("protocol.validation.every=10")
    with started("train", tmp_path, *same) as process:
        wait_for_rows(process, tmp_path / "sweep" / "0" / "metrics.csv", 1)
        process.kill()
    assert [trial.state.name for trial in trials()] == ["RUNNING"]
    two = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweeper.n_jobs=2"]
    done = run("train", tmp_path, *same, *two, "hydra.job.chdir=true", "hydra.sweeper.n_trials=2")
    assert done.returncode == 0, done.stderr
    failed, *others = trials()
    assert failed.state.name == "FAIL"
    assert len(others) == 2
    assert {trial.state.name for trial in others} <= {"COMPLETE", "PRUNED"}
    assert all(trial.intermediate_values for trial in others), "both have reported their scores"


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
        ("{study: a}", r"pruning\.storage: a value is missing; pruning has study, storage, trial"),
        (TRIAL.format("trial: -1"), r"pruning\.trial: expected a whole number of at least 0, got"),
        (TRIAL.format("trial: null"), r"pruning\.trial: only a study has trials; add --multirun"),
        (TRIAL.format("study: 1"), r"pruning\.study: expected a name, got 1"),
        (TRIAL.format("storage: a.db"), r"pruning\.storage: expected sqlite:///PATH, got 'a\.db'"),
        (
            TRIAL.format("storage: 'sqlite:///b.db'"),
            r"trial 0 of a study 'a' in sqlite:///b\.db, f",
        ),
        (TRIAL.format("study: b"), r"pruning: expected trial 0 of a study 'b' in .* found none; b"),
        (TRIAL.format("trial: 1"), r"pruning: expected trial 1 of a study 'a' in .* found none; b"),
    ],
)
def test_pruning_without_a_study_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pruning: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    optuna.create_study(study_name="a", storage="sqlite:///a.db").ask()
    with pytest.raises(UserError, match=words) as refusal:
        train(composed(tmp_path / "run", f"pruning={pruning}"))
    assert "\n" not in str(refusal.value)
    assert {path.name for path in tmp_path.iterdir()} == {"a.db"}
