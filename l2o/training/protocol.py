"""A protocol: everything about meta-training that is neither the problem nor the optimizer."""

from __future__ import annotations

from dataclasses import dataclass

from l2o.evaluation.metrics import SCORES
from l2o.io import checks
from l2o.io.errors import UserError
from l2o.io.settings import construct
from l2o.problems import Problem
from l2o.unroll import Detach

LONGEST_OFFERED = 1000
"""The longest window that a message suggests."""


@dataclass(frozen=True)
class Validation:
    """How the best epoch is picked.

    Attributes:
        every: Epochs between two validations.
        instances: Validation instances, one starting point each.
        iterations: Length of a validation trajectory.
        score: Which score, see `l2o.evaluation.metrics.SCORES`; the lowest wins.
    """

    every: int
    instances: int
    iterations: int
    score: str

    def __post_init__(self) -> None:
        for name in ("every", "instances", "iterations"):
            checks.count(name, getattr(self, name))
        checks.choice("score", self.score, SCORES)

    def numbers(self, problem: Problem) -> int:
        """The least count of numbers that it holds on a problem: θ and distances."""
        return self.instances * (problem.numbers + 2 * self.iterations)


@dataclass(frozen=True)
class Protocol:
    """A recipe for meta-training.

    Attributes:
        epochs: Each unrolls the training instances once, from fresh starting points.
        horizon: Iterations (min + max pairs) of a training trajectory.
        window: Iterations between two meta-updates; must divide the horizon.
        instances: Training instances, sampled once.
        learning_rate: Of Adam.
        detach: Where meta-gradients stop, see `l2o.unroll.Detach`.
        count_last_half_step: Whether the last max half-step of a window is rewarded in it.
        validation: How the best epoch is picked.
        first_horizon: Iterations of a trajectory in the first epoch; they grow linearly to
            `horizon` in the last, in whole windows.
        fresh_instances: Whether every epoch draws instances of its own.
        restart_diverged: Whether an instance that diverged starts anew in the next window.
        max_diverged: The largest share of instances that may have diverged at the end of an
            epoch, in any of its windows; beyond it training stops.
        cosine: Whether the learning rate falls to zero along a cosine.
        clip: The largest norm of a meta-gradient; null sets no limit.
    """

    epochs: int
    horizon: int
    window: int
    instances: int
    learning_rate: float
    detach: Detach
    count_last_half_step: bool
    validation: Validation
    first_horizon: int
    fresh_instances: bool
    restart_diverged: bool
    max_diverged: float
    cosine: bool
    clip: float | None

    def __post_init__(self) -> None:
        for name in ("epochs", "horizon", "window", "instances", "first_horizon"):
            checks.count(name, getattr(self, name))
        for name in ("fresh_instances", "restart_diverged", "cosine"):
            checks.flag(name, getattr(self, name))
        checks.number("max_diverged", self.max_diverged, minimum=0, maximum=1)
        if self.clip is not None:
            checks.positive("clip", self.clip)
        if self.first_horizon > self.horizon:
            raise UserError(
                f"first_horizon: expected at most horizon ({self.horizon}), got "
                f"{self.first_horizon}"
            )
        checks.positive("learning_rate", self.learning_rate)
        checks.flag("count_last_half_step", self.count_last_half_step)
        if self.horizon % self.window:
            most = min(self.horizon, LONGEST_OFFERED)
            divisors = [w for w in range(1, most + 1) if self.horizon % w == 0]
            raise UserError(
                f"window: expected a divisor of horizon ({self.horizon}), got {self.window}; "
                f"choose one of {', '.join(map(str, divisors))}"
            )
        if not self.count_last_half_step and self.window == 1:
            raise UserError(
                "window: expected at least 2 with count_last_half_step=false, got 1; "
                "the max player would never be rewarded"
            )

    @classmethod
    def from_settings(cls, settings: object) -> Protocol:
        """The protocol that a config describes.

        Raises:
            UserError: If a value is not allowed.
        """
        given = checks.mapping("protocol", settings)
        policies = [policy.value for policy in Detach]
        given["detach"] = Detach(checks.choice("protocol.detach", given.get("detach"), policies))
        validation = construct(Validation, given.get("validation"), "protocol.validation")
        return construct(cls, {**given, "validation": validation}, "protocol")

    def windows(self, epoch: int) -> int:
        """Windows, and so meta-updates, in an epoch."""
        share = epoch / max(1, self.epochs - 1)
        horizon = self.first_horizon + share * (self.horizon - self.first_horizon)
        return max(1, round(horizon / self.window))
