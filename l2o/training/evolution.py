"""Meta-training by evolution strategies: a population of optimizers side by side.

Axes: B instances, K pairs of members, P members of this process, k meta-parameters.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from l2o.io.seeds import generator
from l2o.optimizers import Optimizer
from l2o.problems import Instances, Iterate
from l2o.training.data import Window
from l2o.training.estimators import EvolutionStrategies
from l2o.training.module import MetaTraining
from l2o.training.rewards import Unrolled
from l2o.training.state import UnrollState
from l2o.unroll import Detach, unroll


class EvolutionTraining(MetaTraining):
    """Trains a learned optimizer by evolution strategies; see `EvolutionStrategies`.

    The members are rows of one batch: copy p of the instances is member p's. Each process
    evaluates its share of the pairs and draws all perturbations itself, so that the losses are all
    that they have to tell each other to find the same meta-gradient. Lightning's strategies average
    these equal meta-gradients, k numbers, all the same.

    Args:
        estimator: The settings of the strategy.
        settings: As of `MetaTraining`.
    """

    def __init__(self, estimator: EvolutionStrategies, *settings: Any) -> None:
        super().__init__(*settings)
        self.estimator = estimator

    @torch.no_grad()
    def training_step(self, batch: Window, batch_idx: int) -> Tensor:
        """A value that has the meta-gradient as its gradient, and the mean loss as its value."""
        perturbations = self._perturbations(batch.epoch)
        weights = parameters_to_vector(self.optimizer.parameters())
        own = self.estimator.deviation * perturbations[self.global_rank :: self._processes]
        population = self.optimizer.members(torch.cat((weights + own, weights - own)))
        game = batch.instances.repeat(2 * len(own))
        values = self._values(population, game, batch)
        # (2, K): the k-th of process r is pair r + k·processes.
        each = self._gathered(values.view(2, -1)).permute(1, 2, 0).flatten(1)
        sound = each.isfinite()
        self._epoch = self._epoch.with_window(each[sound].mean(), sound.float().mean())
        with torch.enable_grad():
            along = self.estimator.meta_gradient(each, perturbations)
            linear = parameters_to_vector(self.optimizer.parameters()) @ along
            return linear - linear.detach() + self._epoch.losses[-1]

    def _perturbations(self, epoch: int) -> Tensor:
        """ε of all pairs, (K, k), the same throughout an epoch."""
        size = sum(parameter.numel() for parameter in self.optimizer.parameters())
        drawn = torch.randn(
            self.estimator.pairs,
            size,
            generator=generator(self.seed, "train", "perturbations", epoch),
            dtype=torch.float32,
        )
        return drawn.to(self.device, self.optimizer.dtype)

    def _values(self, population: Optimizer[Any], game: Instances, batch: Window) -> Tensor:
        """The meta-loss of each member of this process, (P,), infinite where it failed."""
        protocol, whole = self.protocol, self.estimator.whole
        windows = protocol.windows(batch.epoch) if whole else 1
        rewarded = self.estimator.rewarded(windows)
        at = self._before(batch, lambda: self._begin(population, game, batch))
        total = torch.zeros_like(at.reward)
        first = batch.epoch * protocol.horizon + batch.position * protocol.window
        for place in range(windows):
            trajectory = unroll(
                population,
                game,
                at.iterate,
                protocol.window,
                state=at.memory,
                first=first + place * protocol.window,
                record=self.reward.needs_all,
            )
            if place >= windows - rewarded:
                total = total + self.reward(Unrolled(game, trajectory, Detach.NONE, True))
            lost = at.diverged | game.diverged(*trajectory.last)
            at = UnrollState(trajectory.last, trajectory.state, at.reward, lost)
        self._unroll = at._replace(reward=at.reward + total)
        values = torch.where(at.diverged, torch.inf, total / rewarded)
        mean = values.view(-1, len(batch.instances)).mean(1)
        return torch.where(mean.isfinite(), mean, torch.inf)

    def _begin(self, population: Optimizer[Any], game: Instances, batch: Window) -> UnrollState:
        """Where all members begin: at the same points, in the same random states."""
        copies = len(game) // len(batch.instances)
        start = Iterate(*(point.repeat(copies, 1) for point in batch.start))
        source = generator(self.seed, "train", "states", batch.epoch)
        return UnrollState.begin(start, population.init(game.at(0), start, source))

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Leaves out an update of a generation in which all failed."""
        if not self._epoch.losses[-1].isfinite():
            self._epoch = self._epoch._replace(skipped=self._epoch.skipped + 1)
            optimizer.zero_grad()

    def on_train_batch_end(self, outputs: Any, batch: Window, batch_idx: int) -> None:
        super().on_train_batch_end(outputs, batch, batch_idx)
        if batch.last:
            self._unroll = []  # large, and not needed any more
