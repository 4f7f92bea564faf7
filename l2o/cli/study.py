"""A study: trials whose settings Optuna chooses and Hydra's launcher runs, kept in a database."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import optuna
import yaml
from filelock import FileLock
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import Trial, TrialState

from l2o.cli.space import Space
from l2o.io import checks
from l2o.io.directory import claimed, in_use
from l2o.io.errors import UserError
from l2o.io.files import replace_file
from l2o.io.settings import build, construct, flat
from l2o.training.callbacks import SCORE
from l2o.training.resume import FREE, LABELS
from l2o.training.study import database, opened

SETTINGS = "settings"
"""The attribute of a study that holds the settings its trials share, by dotted names."""
SWEEP = "sweep"
"""The attribute of a trial that holds the directory of the sweep that runs it."""


@dataclass(frozen=True)
class StudySettings:
    """The settings of `hydra.sweeper`, see `conf/sweep/optuna_twin.yaml`."""

    study_name: str
    storage: str
    sampler: dict[str, Any]
    metrics: str | list[str]
    direction: str | list[str]
    n_trials: int
    n_jobs: int
    params: dict[str, Any]

    def __post_init__(self) -> None:
        if not isinstance(self.study_name, str) or not self.study_name.strip():
            raise checks.refusal("study_name", "a name", self.study_name)
        database("storage", self.storage)
        checks.count("n_trials", self.n_trials)
        checks.count("n_jobs", self.n_jobs)
        if checks.mapping("sampler", self.sampler).get("seed") is not None:
            checks.count("sampler.seed", self.sampler["seed"], minimum=0)
        checks.mapping("params", self.params)
        metrics, directions = _list(self.metrics), _list(self.direction)
        if not metrics or not all(isinstance(name, str) for name in metrics):
            raise checks.refusal("metrics", "a metric or a list of them", self.metrics)
        for direction in directions:
            checks.choice("direction", direction, ("minimize", "maximize"))
        if len(directions) != len(metrics) or len(set(metrics)) != len(metrics):
            raise UserError(
                f"direction: expected one for each of the metrics {', '.join(metrics)}, got "
                f"{', '.join(directions)}"
            )

    @property
    def objectives(self) -> dict[str, str]:
        """The direction of each metric."""
        return dict(zip(_list(self.metrics), _list(self.direction), strict=True))


def run_study(
    settings: Mapping[str, Any],
    context: HydraContext,
    config: DictConfig,
    launcher: Launcher,
    arguments: Sequence[str],
) -> None:
    """Adds trials to a study, which begins with them if there is none of its name.

    Args:
        settings: Those of `hydra.sweeper`.
        context: What composes the configs of jobs.
        config: The config of the sweep.
        launcher: What runs the jobs.
        arguments: The overrides of the command line.

    Raises:
        UserError: If a setting is not allowed, or the study was begun with others.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    asked = construct(StudySettings, settings, "hydra.sweeper")
    space = Space.of(asked.params, arguments)
    common = context.config_loader.load_sweep_config(config, space.fixed)
    if common.get("pruning") is not None and asked.objectives != {SCORE: "minimize"}:
        ways = ", ".join(f"{way} {name}" for name, way in asked.objectives.items())
        raise UserError(
            f"pruning: expected null, as trials are pruned to minimize {SCORE} and the study is to "
            f"{ways}; add pruning=null"
        )
    directory = Path(config.hydra.sweep.dir).absolute()
    study = Study(asked, space, _decisive(common, space, asked), directory)
    try:
        study.check()
        with claimed(directory):
            for begun in range(0, asked.n_trials, asked.n_jobs):
                for trials in _in_a_row(study.ask(min(asked.n_jobs, asked.n_trials - begun))):
                    jobs = [[*space.fixed, *_assigned(trial)] for trial in trials]
                    results = launcher.launch(jobs, initial_job_idx=trials[0].number)
                    for trial, result in zip(trials, results, strict=True):
                        study.tell(trial, result.return_value)
            study.write_best()
    finally:
        study.end_abandoned()


class Study:
    """A study in a database, that other processes may add trials to at the same time.

    Args:
        asked: Its settings.
        space: What its trials are chosen from.
        decisive: What all its trials have in common, by dotted names.
        directory: Of this process's sweep.

    Raises:
        UserError: If the database cannot be used.
    """

    def __init__(
        self, asked: StudySettings, space: Space, decisive: dict[str, Any], directory: Path
    ) -> None:
        self._asked, self._space = asked, space
        self._decisive, self._directory = decisive, directory
        path = database("hydra.sweeper.storage", asked.storage)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Held while trials are begun: the database itself would let two processes begin a study
        # with different settings, or its tables at the same time.
        self._lock = FileLock(f"{path}.lock")
        with self._lock:
            self._study = optuna.create_study(
                storage=opened("hydra.sweeper.storage", asked.storage),
                study_name=asked.study_name,
                directions=[StudyDirection[way.upper()] for way in asked.objectives.values()],
                load_if_exists=True,
            )

    def check(self) -> None:
        """Raises UserError naming a setting that differs from the study's trials."""
        if not self._study.get_trials(deepcopy=False):
            return
        where = f"the study {self._asked.study_name!r} ({self._asked.storage})"
        remedy = "choose another hydra.sweeper.study_name for another study"
        stored = self._study.user_attrs.get(SETTINGS)
        if stored is None:
            raise UserError(f"{where} has trials, but does not say of which settings; {remedy}")
        for key in sorted({*stored, *self._decisive}):
            before, now = stored.get(key), self._decisive.get(key)
            if before != now:
                raise UserError(
                    f"{key}: {where} was begun with {checks.shown(before)}, now it is "
                    f"{checks.shown(now)}; {remedy}"
                )

    def ask(self, count: int) -> list[Trial]:
        """Begins trials.

        Raises:
            UserError: If another process has begun the study with other settings, or the sampler
                cannot be used.
        """
        with self._lock:
            self.check()
            self.end_abandoned()
            number = len(self._study.get_trials(deepcopy=False))
            if number == 0:
                self._study.set_user_attr(SETTINGS, self._decisive)
            try:
                self._study.sampler = self._sampler(number)
                trials = [self._study.ask(self._space.distributions) for _ in range(count)]
            except (ImportError, TypeError, ValueError) as error:
                line = str(error).strip().split("\n")[0]
                raise UserError(f"hydra.sweeper.sampler: cannot be used ({line})") from None
            for trial in trials:
                trial.set_user_attr(SWEEP, str(self._directory))
        return trials

    def tell(self, trial: Trial, metrics: Mapping[str, float] | None) -> None:
        """Ends a trial, unless it was pruned.

        Args:
            trial: Which.
            metrics: Of its job; None if that has failed.

        Raises:
            UserError: If an objective is not among the metrics.
        """
        if metrics is None:
            self._study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
            return
        for name in self._asked.objectives:
            if name not in metrics:
                raise checks.refusal("hydra.sweeper.metrics", f"some of {', '.join(metrics)}", name)
        values = [metrics[name] for name in self._asked.objectives]
        self._study.tell(trial, values, skip_if_finished=True)

    def end_abandoned(self) -> None:
        """Marks running trials as failed if their sweep has ended for any reason."""
        if SETTINGS not in self._study.user_attrs:
            return  # the trials of another program
        with self._lock:
            for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                sweep = trial.user_attrs.get(SWEEP)
                if sweep is None or not in_use(Path(sweep)):
                    self._study.tell(trial.number, state=TrialState.FAIL)

    def write_best(self) -> None:
        """Writes the best trial of the study, or the Pareto front of several objectives."""
        best = [{"params": one.params, "values": one.values} for one in self._study.best_trials]
        content: dict[str, Any] = {"name": "optuna", "solutions": best}
        if len(self._asked.objectives) == 1:
            if not best:
                return
            (value,) = best[0]["values"]
            content = {"name": "optuna", "best_params": best[0]["params"], "best_value": value}
        text = yaml.safe_dump(content, sort_keys=False)
        replace_file(self._directory / "optimization_results.yaml", text.encode())

    def _sampler(self, number: int) -> BaseSampler:
        """The sampler, whose seed depends on the number of trials: none is drawn again."""
        settings = dict(self._asked.sampler)
        if settings.get("seed") is not None:
            settings["seed"] += number
        return build(settings, BaseSampler, "hydra.sweeper.sampler")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _decisive(common: DictConfig, space: Space, asked: StudySettings) -> dict[str, Any]:
    """What trials must have in common to be compared, by dotted names.

    Settings that refer to others are taken as they are written: so the one that differs is named.
    """
    settings = flat({"hydra.sweeper": {"objectives": asked.objectives}} | space.texts)
    for key, value in flat(OmegaConf.to_container(common, resolve=False)).items():
        if key.split(".")[0] not in (*FREE, *LABELS, "hydra") and key not in space:
            settings[key] = value
    return dict(json.loads(json.dumps(settings)))


def _in_a_row(trials: Sequence[Trial]) -> Iterator[list[Trial]]:
    """Trials in groups with consecutive numbers, which Hydra's launchers number jobs by."""
    places = enumerate(sorted(trials, key=lambda trial: trial.number))
    for _, group in groupby(places, lambda place: place[1].number - place[0]):
        yield [trial for _, trial in group]


def _assigned(trial: Trial) -> Iterator[str]:
    """The overrides that give a job what was chosen."""
    return (f"{name}={value}" for name, value in trial.params.items())
