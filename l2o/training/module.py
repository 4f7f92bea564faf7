"""The LightningModule: meta-training as truncated unrolls, one window a training step."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor

from l2o.evaluation import measure
from l2o.evaluation.metrics import SCORES
from l2o.optimizers import LearnedOptimizer
from l2o.problems import Iterate
from l2o.seeding import generator
from l2o.training.data import ValidationSet, Window
from l2o.training.protocol import Protocol
from l2o.training.rewards import objective_reward
from l2o.unroll import detached, unroll


class MetaTraining(LightningModule):
    """Trains a learned optimizer by unrolling it.

    A training step unrolls one window from where the last one ended and descends the
    meta-loss of that window; gradients are cut between windows.

    One Adam serves both LSTMs, where the released code has one for each: Adam treats every
    weight by itself, so the two are the same.

    Args:
        optimizer: The learned optimizer, a module.
        protocol: How to train it.
        seed: Seed of the run.
        config: The resolved config, stored in checkpoints so that they need nothing else.
    """

    def __init__(
        self,
        optimizer: LearnedOptimizer[Any],
        protocol: Protocol,
        seed: int,
        config: dict[str, Any],
    ) -> None:
        super().__init__()
        self.optimizer = optimizer
        self.protocol = protocol
        self.seed = seed
        self.config = config
        self._ended_at: tuple[Iterate, Any] | None = None
        self._losses: list[Tensor] = []

    def training_step(self, batch: Window, batch_idx: int) -> Tensor:
        """The meta-loss of one window."""
        if batch.position == 0:
            states = generator(self.seed, "train", "states", batch.epoch, self.global_rank)
            self._ended_at = batch.start, self.optimizer.init(batch.instances, batch.start, states)
        assert self._ended_at is not None, "an epoch begins with window 0"
        iterate, state = self._ended_at
        trajectory = unroll(
            self.optimizer,
            batch.instances,
            iterate,
            self.protocol.window,
            state=state,
            detach=self.protocol.detach,
        )
        reward = objective_reward(
            batch.instances, trajectory, self.protocol.detach, self.protocol.count_last_half_step
        )
        self._ended_at = detached(trajectory)
        meta_loss = reward.mean
        if not meta_loss.requires_grad:
            # Nothing but sign steps: the meta-gradient is zero, and the meta-optimizer takes
            # the step that its momentum makes of that.
            meta_loss = meta_loss + 0 * sum(p.sum() for p in self.optimizer.parameters())
        self._losses.append(meta_loss.detach())
        self._sound = reward.sound
        if batch.position == self.protocol.windows - 1:
            self._log_epoch()
        return meta_loss

    def _log_epoch(self) -> None:
        """Logs the mean meta-loss of the epoch's windows and the share that diverged in it."""
        epoch = {
            "train/meta_loss": torch.stack(self._losses).mean(),
            "train/diverged": 1 - self._sound.float().mean(),
        }
        distributed = self.trainer.world_size > 1
        self.log_dict(
            epoch,
            on_step=False,
            on_epoch=True,
            logger=False,  # `History` hands the loggers one row an epoch
            sync_dist=distributed,
            batch_size=1,
        )
        self._losses.clear()

    def validation_step(self, batch: ValidationSet, batch_idx: int) -> None:
        """Logs the validation score; the lowest is best."""
        validation = self.protocol.validation
        measured = measure(
            self.optimizer,
            batch.instances,
            batch.start,
            validation.iterations,
            generator=generator(self.seed, "validation", "states"),
        )
        score = SCORES[validation.score](measured)
        distributed = self.trainer.world_size > 1
        self.log("val/score", score, logger=False, sync_dist=distributed, batch_size=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam over all meta-parameters."""
        return torch.optim.Adam(
            self.optimizer.parameters(), lr=self.protocol.learning_rate, fused=True
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what evaluation needs, as plain data."""
        checkpoint["l2o"] = {"config": self.config}
