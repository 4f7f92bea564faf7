"""A training run as its config describes it, checked before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2o.evaluation import EvaluationSettings
from l2o.io import checks, memory
from l2o.io.errors import UserError
from l2o.io.memory import build_module
from l2o.io.seeds import generator
from l2o.io.settings import build, construct
from l2o.optimizers import LearnedOptimizer
from l2o.problems import Problem
from l2o.training.curriculum import Curriculum
from l2o.training.module import MetaTraining
from l2o.training.protocol import Protocol
from l2o.training.rewards import Reward
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
            config: A composed config of `conf/train.yaml`, as plain data.
            trusted: Whether classes outside `l2o` may be built.

        Raises:
            UserError: If any part of it cannot work.
        """
        settings = dict(config)
        checks.flag("trust_classes", settings["trust_classes"])
        own_only = not trusted
        seed = checks.count("seed", settings["seed"], minimum=0)
        protocol = Protocol.from_settings(settings["protocol"])
        described = {
            "problem": settings["problem"],
            **{f"mixture.{n}": one for n, one in enumerate(_list("mixture", settings["mixture"]))},
        }
        problems = {
            name: build(one, Problem, name, own_only=own_only) for name, one in described.items()
        }
        problem, *mixture = problems.values()
        evaluation = construct(EvaluationSettings, settings["evaluation"], "evaluation")
        reward = build(settings["reward"], Reward, "reward", own_only=own_only)
        reward.check(protocol.window)
        curriculum = construct(Curriculum, settings["curriculum"], "curriculum")
        optimizer = build_module(
            settings["variant"], LearnedOptimizer, "variant", own_only=own_only
        )
        tested = {"problem": settings["problem"], "evaluation": settings["evaluation"]}
        memory.check(evaluation.numbers(problem), **tested)
        for name, one in problems.items():
            trained = {name: described[name], "protocol": settings["protocol"]}
            memory.check(protocol.numbers(one), **trained)
            one.check()
            _check_fit(optimizer, one)
        check_strategy(settings["strategy"], protocol.instances)
        check_logger(settings["logger"])
        construct(_check_chosen, settings["chosen"], "chosen")
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
            directory=checks.path("run_dir", settings["run_dir"]),
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


def _check_chosen(problem: object, variant: object) -> None:
    for name, value in {"problem": problem, "variant": variant}.items():
        if not isinstance(value, str) or not value.strip():
            raise checks.refusal(name, "a name", value)


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
        optimizer.init(problem.sample(1, source), problem.sample_start(1, source))
    except UserError as error:
        raise UserError(f"variant.{error}") from None
