"""A training run as its config describes it: checked once, at the door, and typed from then on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2o.evaluation import EvaluationSettings
from l2o.io import checks, memory
from l2o.io.errors import UserError
from l2o.io.memory import build_module
from l2o.io.seeds import generator
from l2o.io.settings import build, construct
from l2o.optimizers import LearnedOptimizer
from l2o.problems import Problem
from l2o.training.curriculum import Curriculum
from l2o.training.estimators import Estimator, EvolutionStrategies
from l2o.training.loggers import LoggerSettings
from l2o.training.protocol import Protocol
from l2o.training.resume import command, newest_checkpoint, origin
from l2o.training.rewards import Reward
from l2o.training.strategy import StrategySettings
from l2o.training.study import Pruning

if TYPE_CHECKING:
    from l2o.training.data import InstanceData
    from l2o.training.module import MetaTraining


@dataclass(frozen=True)
class Names:
    """What was chosen by name, for those who look at many runs."""

    problem: str
    variant: str

    def __post_init__(self) -> None:
        for name in ("problem", "variant"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                raise checks.refusal(name, "a name", value)


@dataclass(frozen=True)
class TrainingRun:
    """Everything a training run is made of."""

    config: dict[str, Any]
    """As plain data, for `config.yaml` and checkpoints; whatever trains reads what is below."""
    names: Names
    problem: Problem
    """What it is tested on, and trained on unless there is a mixture."""
    mixture: list[Problem]
    """What it is trained on in turn."""
    optimizer: LearnedOptimizer[Any]
    protocol: Protocol
    estimator: Estimator
    reward: Reward
    curriculum: Curriculum
    evaluation: EvaluationSettings
    strategy: StrategySettings
    logger: LoggerSettings
    pruning: Pruning | None
    seed: int
    directory: Path
    checkpoint_seconds: float
    trusted: bool
    """Whether classes outside `l2o` may be built from files."""
    continued: bool
    """Whether it began before, in its directory."""
    checkpoint: Path | None
    """Where it goes on from, if anything was saved before."""

    @classmethod
    def from_config(cls, given: dict[str, Any]) -> TrainingRun:
        """The run that a config describes, or that it goes on with.

        Args:
            given: A composed config of `conf/train.yaml`, as plain data.

        Raises:
            UserError: If any part of it cannot work.
        """
        config, directory, trusted, continued = origin(given)
        own_only = not trusted
        # First, as others refer to it: what is wrong with it is told by the name that was given.
        seed = checks.count("seed", config["seed"], minimum=0)
        protocol = Protocol.from_settings(config["protocol"])
        strategy = construct(StrategySettings, config["strategy"], "strategy")
        estimator = build(config["estimator"], Estimator, "estimator", own_only=own_only)
        strategy.check(estimator.shared(protocol))
        reward = build(config["reward"], Reward, "reward", own_only=own_only)
        reward.check(protocol.window)
        curriculum = construct(Curriculum, config["curriculum"], "curriculum")
        estimator.check(reward, curriculum)
        optimizer = build_module(config["variant"], LearnedOptimizer, "variant", own_only=own_only)
        optimizer.to(strategy.dtype)
        evaluation = construct(EvaluationSettings, config["evaluation"], "evaluation")
        problem, *mixture = _problems(config, protocol, estimator, evaluation, own_only)
        for one in (problem, *mixture):
            _check_fit(optimizer, one)
        seconds = checks.number("checkpoint_seconds", config["checkpoint_seconds"], minimum=0)
        return cls(
            config=config,
            names=construct(Names, config["chosen"], "chosen"),
            problem=problem,
            mixture=mixture or [problem],
            optimizer=optimizer,
            protocol=protocol,
            estimator=estimator,
            reward=reward,
            curriculum=curriculum,
            evaluation=evaluation,
            strategy=strategy,
            logger=LoggerSettings.from_settings(config["logger"]),
            pruning=Pruning.from_settings(config["pruning"]),
            seed=seed,
            directory=directory,
            checkpoint_seconds=seconds,
            trusted=trusted,
            continued=continued,
            checkpoint=newest_checkpoint(directory, config, optimizer) if continued else None,
        )

    @property
    def module(self) -> MetaTraining:
        """What Lightning trains."""
        # Imported here: Lightning takes longer than to check all settings.
        from l2o.training.evolution import EvolutionTraining
        from l2o.training.module import MetaTraining

        parts = (self.optimizer, self.protocol, self.reward, self.curriculum, self.seed)
        if isinstance(self.estimator, EvolutionStrategies):
            return EvolutionTraining(self.estimator, *parts, self.config)
        return MetaTraining(*parts, self.config)

    @property
    def data(self) -> InstanceData:
        """What it trains on."""
        from l2o.training.data import InstanceData

        how = self.estimator.whole, self.estimator.shares_instances
        return InstanceData(self.mixture, self.protocol, self.seed, *how)

    @property
    def title(self) -> str:
        """A description of the run in a few words."""
        names = (type(part).__name__ for part in (self.optimizer, self.problem))
        return f"{' on '.join(names)}, seed {self.seed}"

    @property
    def command(self) -> str:
        """The command that resumes it."""
        return command(self.directory, self.config)


def _problems(
    config: Mapping[str, Any],
    protocol: Protocol,
    estimator: Estimator,
    evaluation: EvaluationSettings,
    own_only: bool,
) -> list[Problem]:
    """The problem and those of a mixture, each tried once the memory is known to be enough."""
    described = {"problem": config["problem"]}
    for place, one in enumerate(_list("mixture", config["mixture"])):
        described[f"mixture.{place}"] = one
    problems = {
        name: build(one, Problem, name, own_only=own_only) for name, one in described.items()
    }
    tested = {"problem": config["problem"], "evaluation": config["evaluation"]}
    memory.check(evaluation.numbers(problems["problem"]), **tested)
    for name, problem in problems.items():
        trained = {key: config[key] for key in ("protocol", "estimator")}
        numbers = estimator.numbers(protocol, problem) + protocol.validation.numbers(problem)
        memory.check(numbers, **trained, **{name: described[name]})
        problem.check()
    return list(problems.values())


def _list(name: str, value: Any) -> list[Any]:
    """A list of settings, null for none; raises UserError if it is neither."""
    value = [] if value is None else value
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise checks.refusal(name, "a list of problems' settings or null", value)
    return value


def _check_fit(optimizer: LearnedOptimizer[Any], problem: Problem) -> None:
    """Raises UserError if the optimizer cannot be applied to the problem."""
    source = generator(0, "check")
    try:
        instances = problem.sample(1, source, dtype=optimizer.dtype)
        optimizer.init(instances, problem.sample_start(1, source, dtype=optimizer.dtype))
    except UserError as error:
        raise UserError(f"variant.{error}") from None
