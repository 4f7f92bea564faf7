"""Studies with jobs that are quick to run: their trials, their objectives and their settings."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
import yaml
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import HydraContext, RunMode
from omegaconf import OmegaConf
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, Trial

from l2o import UserError
from l2o.cli.config import CONFIGS
from l2o.cli.space import Space
from l2o.cli.study import Study, run_study

FEW = [
    *("variant.hidden_size=20", "variant.state_rescale=1", "variant.warmup_iterations=0"),
    "hydra.sweeper.n_trials=2",
]
"""A space of learning rate and window alone."""
STORAGE = "sqlite:///outputs/studies.db"
Job = Callable[[dict[str, Any]], dict[str, float] | None]


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Launcher:
    """Runs jobs that are functions of what was chosen, and notes them by number."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.jobs: dict[int, dict[str, Any]] = {}

    def launch(self, jobs: Sequence[Sequence[str]], initial_job_idx: int) -> list[SimpleNamespace]:
        """What each job returns, numbered from the first on."""
        results = []
        for number, overrides in enumerate(jobs, initial_job_idx):
            parsed = OverridesParser.create().parse_overrides(list(overrides))
            self.jobs[number] = {one.get_key_element(): one.value() for one in parsed}
            results.append(SimpleNamespace(return_value=self.job(self.jobs[number])))
        return results


def rate(chosen: dict[str, Any]) -> dict[str, float]:
    """The score is the learning rate."""
    score = float(chosen["protocol.learning_rate"])
    return {"val/score": score, "time/fit_s": 1 / score}


def study(*arguments: str, job: Job = rate) -> Launcher:
    """Runs a sweep as a script does, but for its jobs."""
    launcher = Launcher(job)
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration(
            "train", ["sweep=optuna_twin", *FEW, *arguments], run_mode=RunMode.MULTIRUN
        )
    settings: Any = OmegaConf.to_container(config.hydra.sweeper, resolve=True)
    settings = {key: value for key, value in settings.items() if not key.startswith("_")}
    context, given = HydraContext(loader, Callbacks()), list(config.hydra.overrides.task)
    run_study(settings, context, config, launcher, given)  # type: ignore[arg-type]
    return launcher


def trials(name: str = "seesaw_twin") -> list[FrozenTrial]:
    """All of a study, with the names of their states."""
    return optuna.load_study(study_name=name, storage=STORAGE).trials


def states(name: str = "seesaw_twin") -> list[str]:
    return [trial.state.name for trial in trials(name)]


def test_jobs_get_what_was_chosen_and_the_numbers_of_their_trials() -> None:
    fixed = study("hydra.sweeper.n_trials=4", "protocol.window=10", "seed=3").jobs
    goes_on = study("hydra.sweeper.n_trials=3", "protocol.window=10", "seed=3").jobs
    found = trials()
    assert {trial.number: trial.params for trial in found} == {
        number: {key: value for key, value in job.items() if key in found[0].params}
        for number, job in (fixed | goes_on).items()
    }
    assert [trial.value for trial in found] == [t.params["protocol.learning_rate"] for t in found]
    assert len({trial.value for trial in found}) == 7, "none is drawn again"
    assert all(1e-5 <= trial.value <= 1e-2 for trial in found if trial.value)
    assert {job["protocol.window"] for job in (fixed | goes_on).values()} == {10}
    assert {job["seed"] for job in (fixed | goes_on).values()} == {3}


def test_a_seed_makes_a_study_repeatable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = study("hydra.sweeper.n_trials=4").jobs
    (tmp_path / "again").mkdir()
    monkeypatch.chdir(tmp_path / "again")
    assert study("hydra.sweeper.n_trials=4").jobs == first


@pytest.mark.parametrize(
    ("written", "allowed"),
    [
        ("choice(5,10)", CategoricalDistribution([5, 10])),
        ("2,a,true,'b c'", CategoricalDistribution([2, "a", True, "'b c'"])),
        ("choice([0,1],[0.5,2])", CategoricalDistribution(["[0,1]", "[0.5,2]"])),
        ("range(3,7)", IntDistribution(3, 7)),
        ("range(10,45,20)", IntDistribution(10, 30, step=20)),
        ("range(0.5,1.6,0.5)", FloatDistribution(0.5, 1.5, step=0.5)),
        ("int(interval(3,5))", IntDistribution(3, 5)),
        ("interval(3,5.5)", FloatDistribution(3, 5.5)),
        ("tag(log,int(interval(1,300)))", IntDistribution(1, 300, log=True)),
        ("tag(log,interval(1e-5,1))", FloatDistribution(1e-5, 1, log=True)),
    ],
)
def test_spaces_are_written_as_hydra_writes_sweeps(written: str, allowed: BaseDistribution) -> None:
    space = Space.of({"+b.c": written, "a": 1, "b.d": 2}, ["a=2"])
    assert space.distributions == {"+b.c": allowed}
    assert space.fixed == ["a=2", "b.d=2"]
    assert "b.c" in space
    assert "b.d" not in space
    assert Space.of({"a": 1}, [f"+b.c={written.replace(',', ' , ')}"]).texts == space.texts


def test_jobs_get_choices_as_they_are_written() -> None:
    drawn = ["problem.a=choice([0,1],[0.5,2])", "variant=choice(twin,twin_log_inputs)"]
    jobs = study(*drawn, "hydra.sweeper.study_name=a", "hydra.sweeper.n_trials=6").jobs
    assert {tuple(job["problem.a"]) for job in jobs.values()} == {(0, 1), (0.5, 2)}
    assert {job["variant"] for job in jobs.values()} == {"twin", "twin_log_inputs"}


def test_jobs_that_fail_are_failed_trials() -> None:
    def job(chosen: dict[str, Any]) -> dict[str, float] | None:
        return None if chosen["protocol.window"] == 3 else rate(chosen)

    done = study("protocol.window=2,3", "hydra.sweeper.n_trials=6", job=job)
    failed = ["FAIL" if j["protocol.window"] == 3 else "COMPLETE" for j in done.jobs.values()]
    assert states() == failed
    assert set(failed) == {"FAIL", "COMPLETE"}


def test_what_ends_a_sweep_leaves_no_trial_running() -> None:
    def job(chosen: dict[str, Any]) -> dict[str, float]:
        if trials()[-1].number == 4:
            raise KeyboardInterrupt
        return rate(chosen)

    with pytest.raises(KeyboardInterrupt):
        study("hydra.sweeper.n_jobs=3", "hydra.sweeper.n_trials=5", job=job)
    assert states() == ["COMPLETE"] * 3 + ["FAIL"] * 2


def test_several_objectives() -> None:
    two = ["hydra.sweeper.metrics=[val/score,time/fit_s]", "pruning=null"]
    directory = "hydra.sweep.dir=sweep"
    study(
        *two, "hydra.sweeper.direction=[minimize,minimize]", "hydra.sweeper.n_trials=5", directory
    )
    found = trials()
    assert [trial.values for trial in found] == [
        list(rate(trial.params).values()) for trial in found
    ]
    told = yaml.safe_load(Path("sweep/optimization_results.yaml").read_text())
    assert len(told["solutions"]) == 5, "a lower score costs more time"


def test_the_best_of_the_study_is_written_down() -> None:
    study("hydra.sweeper.n_trials=2", "hydra.sweep.dir=first")
    study("hydra.sweeper.n_trials=2", "hydra.sweep.dir=second")
    best = min(trials(), key=lambda trial: trial.value or 0)
    told = yaml.safe_load(Path("second/optimization_results.yaml").read_text())
    assert told == {"name": "optuna", "best_params": best.params, "best_value": best.value}


DIFFERENCES = [
    ("problem.a=[0,5]", r"problem\.a: .* was begun with \[0\.9, 1\.0\], now it is \[0, 5\]"),
    ("protocol.validation.iterations=5", r"protocol\.validation\.iterations: .*, now it is 5;"),
    ("protocol.window=choice(5,10)", r"protocol\.window: .* 'choice\(2, 5, 10, 25\)', now it is"),
    ("protocol.window=5", r"protocol\.window: .* 'choice\(2, 5, 10, 25\)', now it is 5;"),
    ("seed=choice(0,1)", r"seed: .* was begun with 0, now it is 'choice\(0, 1\)';"),
    ("hydra.sweeper.direction=maximize pruning=null", r"objectives\.val/score: .* 'minimize', now"),
    ("hydra.sweeper.metrics=time/fit_s pruning=null", r"objectives\.time/fit_s: .* None, now"),
]


@pytest.mark.parametrize(("given", "words"), DIFFERENCES)
def test_other_settings_are_refused(given: str, words: str) -> None:
    study()
    with pytest.raises(UserError, match=words) as refusal:
        study(*given.split(" "), "hydra.sweep.dir=refused")
    assert "\n" not in str(refusal.value)
    assert "'seesaw_twin' (sqlite:///outputs/studies.db)" in str(refusal.value)
    assert states() == ["COMPLETE"] * 2
    assert not Path("refused").exists()


@pytest.mark.parametrize(
    "given",
    [
        "pruning.startup_trials=3",
        "logger=none",
        "hydra.sweeper.sampler.seed=7",
        "hydra.sweeper.sampler._target_=optuna.samplers.RandomSampler",
        "'protocol.window=choice( 2,5,10, 25)'",
    ],
)
def test_what_changes_no_result_may_differ(given: str) -> None:
    study()
    study(given.strip("'"), "hydra.sweeper.n_trials=1")
    assert states() == ["COMPLETE"] * 3


def test_a_study_of_unknown_settings_is_refused() -> None:
    Path("outputs").mkdir()
    optuna.create_study(study_name="seesaw_twin", storage=STORAGE).ask()
    with pytest.raises(UserError, match="has trials, but does not say of which settings; choose"):
        study()
    assert states() == ["RUNNING"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("hydra.sweeper.n_trials=0", r"hydra\.sweeper\.n_trials: expected a whole number of at"),
        ("hydra.sweeper.n_jobs=a", r"hydra\.sweeper\.n_jobs: expected a whole number"),
        ("hydra.sweeper.study_name=null", r"hydra\.sweeper\.study_name: expected a name, got None"),
        ("hydra.sweeper.storage=a.db", r"hydra\.sweeper\.storage: expected sqlite:///PATH, got"),
        ("hydra.sweeper.storage=sqlite:///.", r"hydra\.sweeper\.storage: sqlite:///\. cannot be"),
        ("hydra.sweeper.direction=down", r"hydra\.sweeper\.direction: expected one of minimize, m"),
        ("hydra.sweeper.metrics=[a,b]", r"hydra\.sweeper\.direction: expected one for each of the"),
        ("hydra.sweeper.metrics=test/sr1", r"pruning: expected null, as trials are pruned to min"),
        ("hydra.sweeper.sampler.seed=-1", r"hydra\.sweeper\.sampler\.seed: expected a whole"),
        ("+hydra.sweeper.sampler.sed=1", r"hydra\.sweeper\.sampler\.sed: no such setting, got 1"),
        ("hydra.sweeper.sampler._target_=a.B", r"hydra\.sweeper\.sampler\._target_: cannot find"),
        ("protocol.window=interval(3,2)", r"protocol\.window=interval\(3,2\): cannot be chosen"),
        ("protocol.learning_rate=tag(log,interval(0,1))", r"cannot be chosen from"),
        ("problem=glob(*)", r"problem=glob\(\*\): expected choice\(A, B\), all choices by name"),
    ],
)
def test_settings_that_cannot_work_are_refused(given: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as refusal:
        study(given, "hydra.sweep.dir=refused")
    assert "\n" not in str(refusal.value)


def test_an_objective_that_is_no_metric_ends_the_sweep_after_its_first_job() -> None:
    with pytest.raises(UserError, match="expected some of val/score, time/fit_s, got 'test/sr9'"):
        study("hydra.sweeper.metrics=test/sr9", "pruning=null")
    assert states() == ["FAIL"]


def _together(*calls: tuple[str, ...]) -> list[int | None]:
    """Runs sweeps at the same time, each in a process of its own; returns their exit codes."""
    context = multiprocessing.get_context("fork")
    together = context.Barrier(len(calls))
    processes = [context.Process(target=_one_of_many, args=(together, *call)) for call in calls]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    return [process.exitcode for process in processes]


def _one_of_many(together: Any, *arguments: str) -> None:
    """A sweep that waits for the others before its first trial."""
    ask, waited = Study.ask, []

    def wait_and_ask(self: Study, count: int) -> list[Trial]:
        if not waited:
            waited.append(together.wait(60))
        return ask(self, count)

    Study.ask = wait_and_ask  # type: ignore[method-assign]
    try:
        study(*arguments)
    except UserError:
        os._exit(2)
    os._exit(0)


def test_four_workers_lose_and_double_no_trial() -> None:
    calls = [(f"hydra.sweep.dir=worker{n}", "hydra.sweeper.n_trials=4") for n in range(4)]
    assert _together(*calls) == [0] * 4
    found = trials()
    assert [trial.number for trial in found] == list(range(16))
    assert states() == ["COMPLETE"] * 16
    assert len({trial.value for trial in found}) == 16
    owners = [Path(trial.user_attrs["sweep"]).name for trial in found]
    assert {owner: owners.count(owner) for owner in owners} == {f"worker{n}": 4 for n in range(4)}


def test_of_two_that_begin_one_study_otherwise_one_is_refused() -> None:
    calls = [(f"seed={n}", f"hydra.sweep.dir={n}", "hydra.sweeper.n_trials=2") for n in range(2)]
    assert sorted(_together(*calls), key=str) == [0, 2]
    assert states() == ["COMPLETE"] * 2


def test_trials_of_a_killed_sweep_are_failed_by_the_next() -> None:
    def job(chosen: dict[str, Any]) -> dict[str, float]:
        if trials()[-1].number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return rate(chosen)

    same = ("hydra.sweep.dir=same", "hydra.sweeper.n_trials=4")
    killed = multiprocessing.get_context("fork").Process(
        target=study, args=same, kwargs={"job": job}
    )
    killed.start()
    killed.join(60)
    assert killed.exitcode == -signal.SIGKILL
    assert states() == ["COMPLETE", "COMPLETE", "RUNNING"]
    assert list(study(*same).jobs) == [3, 4, 5, 6]
    assert states() == ["COMPLETE", "COMPLETE", "FAIL"] + ["COMPLETE"] * 4


def test_trials_that_another_sweep_runs_go_on() -> None:
    def job(chosen: dict[str, Any]) -> dict[str, float]:
        inner = multiprocessing.get_context("fork").Process(
            target=study, args=("hydra.sweep.dir=inner", "hydra.sweeper.n_trials=1")
        )
        inner.start()
        inner.join(60)
        assert states() == ["RUNNING", "COMPLETE"]
        return rate(chosen)

    study("hydra.sweep.dir=outer", "hydra.sweeper.n_trials=1", job=job)
    assert states() == ["COMPLETE", "COMPLETE"]


def test_the_database_is_found_whatever_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "50% {a}?b#c = [ü]"
    odd.mkdir()
    monkeypatch.chdir(odd)
    study("hydra.sweeper.n_trials=1")
    assert states() == ["COMPLETE"]
    assert [path.name for path in tmp_path.iterdir()] == [odd.name]
