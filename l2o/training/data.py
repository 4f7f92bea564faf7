"""The DataModule: which instances, from where, in which window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from pytorch_lightning import LightningDataModule

from l2o.io.seeds import generator
from l2o.problems import Instances, Iterate, Problem
from l2o.training.protocol import Protocol


class Window(NamedTuple):
    """What one training step works on."""

    instances: Instances
    """B training instances, the same in every window of an epoch."""
    start: Iterate
    """Their starting points of this epoch, (B, m) and (B, n)."""
    epoch: int
    position: int
    """Of the window in the epoch; the unroll starts afresh at 0."""
    last: bool
    """Whether the epoch ends with it."""


class ValidationSet(NamedTuple):
    """What a validation works on, the same every time."""

    instances: Instances
    start: Iterate


class InstanceData(LightningDataModule):
    """Samples the training and validation instances of a run, each from a stream of its own.

    With several processes, each gets its own share of the training instances; the validation
    set is the same for all.

    Args:
        problems: The families to sample from; with several, the epochs take turns.
        protocol: How many instances and windows there are.
        seed: Seed of the run.
        whole: Whether an epoch is one window.
        shares: Whether the processes share the instances out.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        protocol: Protocol,
        seed: int,
        whole: bool = False,
        shares: bool = True,
    ) -> None:
        super().__init__()
        self.problems = list(problems)
        self.protocol = protocol
        self.seed = seed
        self.whole, self.shares = whole, shares

    def setup(self, stage: str) -> None:
        """Samples the instances; called by Lightning before fitting."""
        self.instances = [self._sample(turn) for turn in range(len(self.problems))]
        size = self.protocol.validation.instances
        self.validation = [
            ValidationSet(
                problem.sample(size, self._stream(turn, "validation", "instances")),
                problem.sample_start(size, self._stream(turn, "validation", "start")),
            )
            for turn, problem in enumerate(self.problems)
        ]

    def train_dataloader(self) -> Batches:
        """The windows of an epoch, in order; iterating again gives those of the next."""
        return Batches(self._count(self._epoch), self._windows)

    def val_dataloader(self) -> Batches:
        """The validation set of each problem as one batch."""
        return Batches(len(self.validation), lambda: iter(self.validation))

    def transfer_batch_to_device(
        self, batch: Window | ValidationSet, device: torch.device, dataloader_idx: int
    ) -> Window | ValidationSet:
        """The same batch on the device that trains."""
        start = Iterate(*(point.to(device) for point in batch.start))
        instances = batch.instances if device.type == "cpu" else batch.instances.to(device)
        # Lightning converts tensors to the precision it trains in, but does not know instances.
        if instances.dtype is not start.x.dtype:
            instances = instances.to(start.x.dtype)
        return batch._replace(instances=instances, start=start)

    def start(self, epoch: int) -> Iterate:
        """The starting points of an epoch: fresh ones each, a function of seed and epoch."""
        count = self.protocol.instances
        problem = self.problems[epoch % len(self.problems)]
        points = problem.sample_start(count, generator(self.seed, "train", "start", epoch))
        return Iterate(*(point[self._share(count)] for point in points))

    def _sample(self, turn: int, *epoch: int) -> Instances:
        """This process's training instances of the problem whose turn it is."""
        count = self.protocol.instances
        source = self._stream(turn, "train", "instances", *epoch)
        return self.problems[turn].sample(count, source).select(self._share(count))

    def _stream(self, turn: int, *purpose: str | int) -> torch.Generator:
        """A stream of its own for each problem of a mixture."""
        own = ("mixture", turn) if len(self.problems) > 1 else ()
        return generator(self.seed, *purpose, *own)

    @property
    def _epoch(self) -> int:
        return self.trainer.current_epoch if self.trainer else 0

    def _windows(self) -> Iterator[Window]:
        epoch = self._epoch
        turn = epoch % len(self.problems)
        instances = self.instances[turn]
        if self.protocol.fresh_instances:
            instances = self._sample(turn, epoch)
        start = self.start(epoch)
        count = self._count(epoch)
        for position in range(count):
            yield Window(instances, start, epoch, position, last=position == count - 1)

    def _count(self, epoch: int) -> int:
        """Windows, and so meta-updates, in an epoch."""
        return 1 if self.whole else self.protocol.windows(epoch)

    def _share(self, count: int) -> slice:
        """Which of `count` instances are this process's own."""
        if not self.trainer or not self.shares:
            return slice(count)
        return slice(self.trainer.global_rank, count, self.trainer.world_size)


class Batches:
    """What Lightning iterates over: ready-made batches, so no `DataLoader` with its workers.

    Lightning saves and restores its place by `state_dict` and `load_state_dict`.

    Args:
        count: How many batches there are.
        produce: Gives them anew each time.
    """

    def __init__(self, count: int, produce: Callable[[], Iterator[Any]]) -> None:
        self._count = count
        self._produce = produce
        self._given = 0
        self._skip = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Any]:
        first, self._skip = self._skip, 0
        for place, batch in enumerate(self._produce()):
            if place >= first:
                self._given = place + 1
                yield batch

    def state_dict(self) -> dict[str, int]:
        """How many batches of the epoch have been given."""
        return {"given": self._given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begins the next iteration after those."""
        self._skip = state["given"]
