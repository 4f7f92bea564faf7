"""A training run as its config describes it, checked before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2o import checks
from l2o.errors import UserError
from l2o.evaluation import EvaluationSettings
from l2o.optimizers import LearnedOptimizer
from l2o.problems import Problem
from l2o.seeding import generator
from l2o.settings import build
from l2o.training.curriculum import Curriculum
from l2o.training.module import MetaTraining
from l2o.training.protocol import Protocol
from l2o.training.rewards import Reward
from l2o.training.script import plain
from l2o.training.strategy import check_strategy
from l2o.training.study import Pruning
from l2o.training.wandb_recorder import check_logger


@dataclass(frozen=True)
class Job:
    """Everything a training run is made of, checked before it begins."""

    settings: dict[str, Any]
    problem: Problem
    """What it is tested on, and trained on unless there is a mixture."""
    mixture: list[Problem]
    """What it is trained on in turn."""
    optimizer: LearnedOptimizer[Any]
    protocol: Protocol
    reward: Reward
    curriculum: Curriculum
    evaluation: EvaluationSettings
    seed: int
    directory: Path
    checkpoint_seconds: float
    pruning: Pruning | None
    trusted: bool

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, trusted: bool = True) -> Job:
        """The job that a config describes.

        Args:
            config: A composed config of `conf/train.yaml`.
            trusted: Whether classes outside `l2o` may be built.

        Raises:
            UserError: If any part of it cannot work.
        """
        settings = plain(config)
        seed = checks.count("seed", settings["seed"], minimum=0)
        problem = build(settings["problem"], Problem, "problem", own_only=not trusted)
        mixture = [
            build(described, Problem, f"mixture.{place}", own_only=not trusted)
            for place, described in enumerate(_list("mixture", settings["mixture"]))
        ]
        for one in (problem, *mixture):
            one.check()
        # The tricks concern the optimizer, whose settings refer to them.
        recipe = {key: value for key, value in settings["protocol"].items() if key != "tricks"}
        try:
            protocol = Protocol.from_settings(recipe)
        except UserError as error:
            raise UserError(f"protocol.{error}") from None
        reward = build(settings["reward"], Reward, "reward", own_only=not trusted)
        reward.check(protocol.window)
        try:
            curriculum = Curriculum(**settings["curriculum"])
        except UserError as error:
            raise UserError(f"curriculum.{error}") from None
        try:
            evaluation = EvaluationSettings(**settings["evaluation"])
        except UserError as error:
            raise UserError(f"evaluation.{error}") from None
        variant = settings["variant"]
        optimizer = build(variant, LearnedOptimizer, "variant", own_only=not trusted)
        for one in (problem, *mixture):
            _check_fit(optimizer, one)
        check_strategy(settings["strategy"])
        check_logger(settings["logger"])
        every_s = checks.number("checkpoint_seconds", settings["checkpoint_seconds"], minimum=0)
        return cls(
            settings,
            problem,
            mixture or [problem],
            optimizer,
            protocol,
            reward,
            curriculum,
            evaluation,
            seed,
            directory=Path(settings["run_dir"]),
            checkpoint_seconds=every_s,
            pruning=Pruning.from_settings(settings["pruning"]),
            trusted=trusted,
        )

    @property
    def module(self) -> MetaTraining:
        """What Lightning trains."""
        return MetaTraining(
            self.optimizer, self.protocol, self.reward, self.curriculum, self.seed, self.settings
        )

    @property
    def title(self) -> str:
        """What is run, in a few words."""
        names = (type(part).__name__ for part in (self.optimizer, self.problem))
        return f"{' on '.join(names)}, seed {self.seed}"


def _list(name: str, value: Any) -> list[Any]:
    """A list of settings, null for none; raises UserError if it is neither."""
    value = [] if value is None else value
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise UserError(f"{name}: expected a list of problems' settings or null, got {value!r}")
    return value


def _check_fit(optimizer: LearnedOptimizer[Any], problem: Problem) -> None:
    """Raises UserError if the optimizer cannot be applied to the problem."""
    source = generator(0, "check")
    try:
        optimizer.init(problem.sample(1, source), problem.sample_start(1, source))
    except UserError as error:
        raise UserError(f"variant.{error}") from None
