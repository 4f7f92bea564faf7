"""How the meta-loss is differentiated: through the unroll, or by evolution strategies.

Axes: K pairs of members, k meta-parameters.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from l2o.io import checks
from l2o.io.errors import UserError
from l2o.problems import Problem
from l2o.training.curriculum import Curriculum
from l2o.training.protocol import Protocol
from l2o.training.rewards import Reward


class Shared(NamedTuple):
    """What several processes share out evenly."""

    name: str
    """Of the setting."""
    number: int


SHAPINGS = ("ranks", "standardized")


class Estimator(ABC):
    """How the meta-loss is differentiated."""

    whole: bool
    """Whether there is one meta-update for a whole trajectory, not one for each window."""
    shares_instances: bool
    """Whether the processes share the training instances out; else each works on all of them."""

    @abstractmethod
    def numbers(self, protocol: Protocol, problem: Problem) -> int:
        """The least count of numbers that a meta-update on a problem holds."""

    @abstractmethod
    def shared(self, protocol: Protocol) -> Shared:
        """What several processes share out evenly."""

    @abstractmethod
    def check(self, reward: Reward, curriculum: Curriculum) -> None:
        """Raises UserError unless it works with the reward and the curriculum of a run."""


class ThroughUnroll(Estimator):
    """Backpropagation through the iterations of a window."""

    whole = False
    shares_instances = True

    def numbers(self, protocol: Protocol, problem: Problem) -> int:
        window = protocol.window * (problem.m + problem.n)
        return protocol.instances * (problem.numbers + window)

    def shared(self, protocol: Protocol) -> Shared:
        return Shared("protocol.instances", protocol.instances)

    def check(self, reward: Reward, curriculum: Curriculum) -> None:
        if not reward.differentiable:
            raise UserError(
                f"reward: expected one that can be differentiated, got {type(reward).__name__}; "
                "use estimator=es or another reward"
            )


@dataclass(frozen=True)
class EvolutionStrategies(Estimator):
    """Antithetic evolution strategies: nothing is differentiated, so any reward will do.

    With K perturbations ε of the meta-parameters θ, standard normal, and L the meta-loss,

        ĝ = 1/K Σ_k [L(θ + σε_k) − L(θ − σε_k)]/(2σ)·ε_k.

    All members of a generation see the same instances, starting points and draws. With windows,
    a trajectory goes on after a meta-update with the perturbation that it had before (ES-Single).

    Attributes:
        pairs: K.
        deviation: σ.
        shaping: What takes the place of the losses L: `ranks` among all members, from −½ to ½, or
            `standardized`, mean 0 and deviation 1.
        whole: Whether there is one meta-update for a whole trajectory, not one for each window.
        tail: The share of a whole trajectory, its last windows, that is rewarded.

    Raises:
        UserError: If a setting is not allowed.

    Source: Salimans et al. (arXiv 2017); ES-Single, Vicol et al. (ICML 2023).
    """

    pairs: int
    deviation: float
    shaping: str
    whole: bool
    tail: float
    shares_instances = False

    def __post_init__(self) -> None:
        checks.count("pairs", self.pairs)
        checks.positive("deviation", self.deviation)
        checks.choice("shaping", self.shaping, SHAPINGS)
        checks.flag("whole", self.whole)
        checks.number("tail", self.tail, minimum=0, maximum=1)

    def numbers(self, protocol: Protocol, problem: Problem) -> int:
        rows = 2 * self.pairs * protocol.instances
        return rows * (problem.numbers + problem.m + problem.n)

    def shared(self, protocol: Protocol) -> Shared:
        return Shared("estimator.pairs", self.pairs)

    def check(self, reward: Reward, curriculum: Curriculum) -> None:
        if curriculum.share(0) < 1:
            raise UserError(
                "curriculum.start: expected 1 with estimator=es, whose members are compared on all "
                f"instances, got {curriculum.start!r}; use curriculum=none"
            )

    def rewarded(self, windows: int) -> int:
        """How many windows of a trajectory, the last, are rewarded."""
        return max(1, round(self.tail * windows))

    def meta_gradient(self, losses: Tensor, perturbations: Tensor) -> Tensor:
        """ĝ, (k,), by shaped losses.

        Args:
            losses: Of the members θ + σε and θ − σε, (2, K); not finite where one failed.
            perturbations: ε, (K, k).
        """
        shape = ranks if self.shaping == "ranks" else standardized
        return antithetic(shape(losses.flatten()).view_as(losses), perturbations, self.deviation)


def antithetic(losses: Tensor, perturbations: Tensor, deviation: float) -> Tensor:
    """1/K Σ_k [L(θ + σε_k) − L(θ − σε_k)]/(2σ)·ε_k, (k,), for losses of (2, K) and ε of (K, k)."""
    slopes = (losses[0] - losses[1]) / (2 * deviation)
    return slopes @ perturbations / len(perturbations)


def ranks(losses: Tensor) -> Tensor:
    """The ranks of losses, (P,), from −½, the least, to ½; equal ones share theirs.

    What is not finite has failed, and counts as the largest.
    """
    losses = torch.where(losses.isfinite(), losses, torch.inf)
    below = (losses.unsqueeze(1) > losses).sum(1)
    equal = (losses.unsqueeze(1) == losses).sum(1)
    places = below + (equal - 1) / 2
    return places / max(1, len(losses) - 1) - 0.5


def standardized(losses: Tensor) -> Tensor:
    """Losses, (P,), less their mean and divided by their deviation; 0 where all are equal.

    What is not finite has failed, and counts as the largest that is finite.
    """
    finite = losses.isfinite()
    largest = torch.where(finite, losses, -torch.inf).max()
    losses = torch.where(finite, losses, largest if finite.any() else 0)
    centred = losses - losses.mean()
    deviation = centred.square().mean().sqrt()
    return centred / torch.where(deviation > 0, deviation, 1)
