"""The LightningModule: meta-training as truncated unrolls, one window a training step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, distributed
from torch.optim.lr_scheduler import CosineAnnealingLR

from l2o.evaluation import assess, measure
from l2o.evaluation.metrics import SCORES
from l2o.io.checkpoints import FORMAT
from l2o.io.seeds import generator
from l2o.optimizers import LearnedOptimizer, map_state, tensors
from l2o.problems import Iterate
from l2o.reporting.report import versions
from l2o.training.curriculum import Curriculum, best
from l2o.training.data import ValidationSet, Window
from l2o.training.meta_gradients import MetaGradients
from l2o.training.protocol import Protocol
from l2o.training.rewards import Reward, Unrolled
from l2o.training.state import EpochRecord, UnrollState
from l2o.unroll import Trajectory, detached


class MetaTraining(LightningModule):
    """Trains a learned optimizer by unrolling it.

    A training step unrolls one window from where the last one ended and descends the
    meta-loss of that window; gradients are cut between windows.

    One Adam serves both LSTMs, where the released code has one for each: Adam treats every
    weight by itself, so the two are the same.

    Args:
        optimizer: The learned optimizer, a module.
        protocol: How to train it.
        reward: What its meta-loss is made of.
        curriculum: Which instances count.
        seed: Seed of the run.
        config: The resolved config, stored in checkpoints so that they need nothing else.
    """

    def __init__(
        self,
        optimizer: LearnedOptimizer[Any],
        protocol: Protocol,
        reward: Reward,
        curriculum: Curriculum,
        seed: int,
        config: dict[str, Any],
    ) -> None:
        super().__init__()
        self.optimizer = optimizer
        self.protocol = protocol
        self.reward = reward
        self.curriculum = curriculum
        self.seed = seed
        self.config = config
        self._unroll: UnrollState | list[Tensor] = []
        """The raw tensors of a checkpoint, until there is a window that tells what they are."""
        self._epoch = EpochRecord.begin(torch.zeros(()))

    def training_step(self, batch: Window, batch_idx: int) -> Tensor:
        """The meta-loss of one window."""
        before = self._before(
            batch,
            lambda: UnrollState.begin(batch.start, self._begun(batch, "states", batch.epoch)),
        )
        protocol, game = self.protocol, batch.instances
        policy = MetaGradients(protocol.detach)
        trajectory = policy.unroll(
            self.optimizer,
            game,
            before.iterate,
            protocol.window,
            state=before.memory,
            first=(batch.epoch * protocol.horizon) + batch.position * protocol.window,
        )
        values = self.reward(
            Unrolled(game, trajectory, protocol.detach, protocol.count_last_half_step)
        )
        sound = policy.sound(game, trajectory, values)
        self._unroll = UnrollState(
            *self._restarted(batch, *detached(trajectory)),
            before.reward + torch.where(sound, values.detach(), 0),
            before.diverged | ~sound,
        )
        counted = self._counted(batch, trajectory, sound, self._unroll.reward)
        # This process's part: those of all processes add up to it (paper, Eq. 37). Of none that
        # counts it is 0 / 0, and the meta-update is skipped.
        meta_loss = policy.mean(values, counted, self._gathered(counted.sum()).sum())
        if not meta_loss.requires_grad:
            # Nothing but sign steps: the meta-gradient is zero, and the meta-optimizer takes
            # the step that its momentum makes of that.
            meta_loss = meta_loss + 0 * sum(p.sum() for p in self.optimizer.parameters())
        # The mean over the processes is what is logged: of these it is the sum of their parts.
        self._epoch = self._epoch.with_window(
            meta_loss.detach() * self._processes, counted.float().mean()
        )
        return meta_loss

    def on_train_batch_end(self, outputs: Any, batch: Window, batch_idx: int) -> None:
        """Logs the epoch after its last meta-update, which may have been skipped."""
        if batch.last:
            self._log_epoch()

    def _before(self, batch: Window, begin: Callable[[], UnrollState]) -> UnrollState:
        """Where a window begins; with the first of an epoch its record begins as well.

        Args:
            batch: The window.
            begin: Where the first of an epoch begins.
        """
        if batch.position > 0 and isinstance(self._unroll, UnrollState):
            return self._unroll
        begun = begin()
        if batch.position == 0:
            self._epoch = EpochRecord.begin(batch.start.x)
            return begun
        parts = tensors(self._unroll)
        restored: UnrollState = map_state(lambda _: next(parts), begun)
        return restored

    def _counted(
        self, batch: Window, trajectory: Trajectory, sound: Tensor, reward: Tensor
    ) -> Tensor:
        """Which instances count, (B,): those that the curriculum keeps of the sound ones."""
        share = self.curriculum.share(batch.epoch)
        if share == 1:
            return sound
        ranking = self.curriculum.ranking(batch.instances, trajectory, self.reward, sound, reward)
        # (B, processes): ranked as one process would see them, each then keeps its own.
        everyone = self._gathered(ranking).t()
        return sound & best(everyone.flatten(), share).view_as(everyone)[:, self.global_rank]

    def _begun(self, batch: Window, *stream: str | int) -> Any:
        """The states at the start, the same however many processes share the instances.

        Drawn for the instances of all of them, of which row r + k·processes is the k-th of
        process r; here the others' are stood in for by this one's.
        """
        size = self._processes
        rows = torch.arange(len(batch.instances)).repeat_interleave(size)
        everyone = self.optimizer.init(
            batch.instances.select(rows),
            Iterate(*(point[rows] for point in batch.start)),
            generator(self.seed, "train", *stream, 0),
        )
        return map_state(lambda part: part[self.global_rank :: size], everyone)

    def _restarted(self, batch: Window, iterate: Iterate, state: Any) -> tuple[Iterate, Any]:
        """Where the next window begins: at the start again for instances that diverged."""
        lost = batch.instances.diverged(*iterate)
        if not self.protocol.restart_diverged or not lost.any():
            return iterate, state
        restarted = self._epoch.restarted + lost.sum()
        self._epoch = self._epoch._replace(restarted=restarted)
        fresh = self._begun(batch, "restarts", batch.epoch, batch.position)

        def chosen(new: Tensor, old: Tensor) -> Tensor:
            return torch.where(lost.view(-1, *[1] * (old.ndim - 1)), new.detach(), old)

        return Iterate(*map(chosen, batch.start, iterate)), map_state(chosen, fresh, state)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Adds up the processes' gradients; skips an update that is not finite or counts none."""
        gradients = [p.grad for p in self.optimizer.parameters() if p.grad is not None]
        # Lightning has averaged them. In the meta-loss the factor would come too early: each
        # instance's meta-gradient is limited on its way, see `MetaGradients`.
        for gradient in gradients:
            gradient.mul_(self._processes)
        none_counts = self._epoch.losses[-1].isnan()
        if none_counts or not torch.nn.utils.get_total_norm(gradients).isfinite():
            self._epoch = self._epoch._replace(skipped=self._epoch.skipped + 1)
            optimizer.zero_grad()

    @property
    def _processes(self) -> int:
        """How many processes share the training instances."""
        return self._trainer.world_size if self._trainer else 1

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Limits the norm of the meta-gradient, as Lightning does.

        In mixed precision it refuses to for a fused Adam, which would still have to undo a scale;
        bfloat16 has none.
        """
        if gradient_clip_val is not None:
            torch.nn.utils.clip_grad_norm_(self.optimizer.parameters(), gradient_clip_val)

    def _gathered(self, value: Tensor) -> Tensor:
        """A value of every process, in a new first axis."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return value.unsqueeze(0)
        value = value.to(self.device).contiguous()
        everyone = [torch.empty_like(value) for _ in range(self._processes)]
        distributed.all_gather(everyone, value)
        return torch.stack(everyone)

    def _log_epoch(self) -> None:
        """Logs the epoch's mean meta-loss, and the shares that diverged and that counted."""
        assert isinstance(self._unroll, UnrollState)
        epoch = {
            "train/meta_loss": self._epoch.losses.nanmean(),
            "train/diverged": self._unroll.diverged.float().mean(),
            "train/counted": self._epoch.counted.mean(),
            "train/skipped": self._epoch.skipped,
            # Of all processes, whose mean is logged.
            "train/restarted": self._epoch.restarted * self._processes,
        }
        self.log_dict(
            epoch,
            on_step=False,
            on_epoch=True,
            logger=False,  # `History` hands the loggers one row an epoch
            sync_dist=self.trainer.world_size > 1,
            batch_size=1,
        )

    def validation_step(self, batch: ValidationSet, batch_idx: int) -> None:
        """Logs the validation score; the lowest is best."""
        validation = self.protocol.validation
        run = (self.optimizer, batch.instances, batch.start, validation.iterations)
        states = generator(self.seed, "validation", "states")
        if batch.instances.problem.assessed:
            score = assess(*run, generator=states).score
        else:
            score = SCORES[validation.score](measure(*run, generator=states))
        together = self.trainer.world_size > 1
        self.log("val/score", score, logger=False, sync_dist=together, batch_size=1)

    def configure_optimizers(self) -> Any:
        """Adam over all meta-parameters, its learning rate as the protocol says."""
        adam = torch.optim.Adam(
            self.optimizer.parameters(), lr=self.protocol.learning_rate, fused=True
        )
        if not self.protocol.cosine:
            return adam
        return [adam], [CosineAnnealingLR(adam, self.protocol.epochs)]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds to a checkpoint what evaluation needs, as plain data."""
        checkpoint["l2o"] = {"format": FORMAT, "config": self.config, "versions": versions()}

    def progress(self) -> dict[str, list[Tensor]]:
        """Where the epoch stands between two windows, for `restore`; every process's own."""
        parts = {"unroll": tensors(self._unroll), "epoch": tensors(self._epoch)}
        return {name: [self._gathered(t).clone() for t in part] for name, part in parts.items()}

    def restore(self, progress: Mapping[str, list[Tensor]]) -> None:
        """Goes on from what `progress` returned, in the next window of its epoch."""
        own = {
            name: [gathered[self.global_rank].to(self.device) for gathered in part]
            for name, part in progress.items()
        }
        self._unroll, self._epoch = own["unroll"], EpochRecord(*own["epoch"])
