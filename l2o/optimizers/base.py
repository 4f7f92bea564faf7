"""The one interface of all optimizers, hand-designed or learned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from l2o.games import Game, Iterate
from l2o.io import checks
from l2o.io.errors import UserError

State = TypeVar("State")


class OracleCalls(NamedTuple):
    """The evaluations that an optimizer makes of a game: the fair measure of its cost.

    One call is a full gradient (∇ₓf, ∇_y f), a pair of coupling products, a Hessian product or
    a resolvent; half of one, say ∇ₓf alone, is half a call.
    """

    iteration: float
    """In each iteration."""
    start: float = 0
    """Before the first."""


class Optimizer(ABC, Generic[State]):
    """An update rule for a whole batch of instances at once.

    Its state is a (nested) named tuple of tensors with the batch axis first, so that states
    can be detached, selected and merged without knowing the optimizer.
    """

    @abstractmethod
    def init(
        self,
        game: Game,
        iterate: Iterate,
        generator: torch.Generator | None = None,
    ) -> State:
        """The state before the first iteration.

        Args:
            game: B instances.
            iterate: Their starting points, (B, m) and (B, n).
            generator: Source of random initial states, for optimizers that have them; None
                stands for a generator seeded with 0.

        Returns:
            The state, batch axis first.
        """

    @abstractmethod
    def step(self, game: Game, iterate: Iterate, state: State) -> tuple[Iterate, State]:
        """One iteration: a min half-step, then a max half-step.

        Args:
            game: B instances, seen only through their interface.
            iterate: (x_t, y_t), (B, m) and (B, n).
            state: The state after t iterations.

        Returns:
            (x_{t+1}, y_{t+1}) and the state after t + 1 iterations.
        """

    @abstractmethod
    def oracle_calls(self, game: Game) -> OracleCalls:
        """What `init` and each `step` ask of these instances."""

    def counts(self, state: State) -> dict[str, Tensor]:
        """Counts of each instance's run so far that are worth recording, by name, (B,) each."""
        return {}


class LearnedOptimizer(Optimizer[State], nn.Module):
    """An optimizer whose update rule has weights, the meta-parameters."""

    @property
    def dtype(self) -> torch.dtype:
        """The float type of its weights, and so of the instances it is to be applied to."""
        return next(self.parameters()).dtype

    def members(self, weights: Tensor) -> Optimizer[Any]:
        """A population of optimizers of this kind, side by side in one batch.

        Args:
            weights: The meta-parameters of P members, raveled in the order of `parameters()`,
                (P, k).

        Returns:
            An optimizer on B instances, of which member p has rows p·B/P to (p + 1)·B/P.
        """
        return Members([self._with(row) for row in weights])

    def _with(self, weights: Tensor) -> LearnedOptimizer[State]:
        member = deepcopy(self)
        nn.utils.vector_to_parameters(weights, member.parameters())
        return member


class Members(Optimizer[Any]):
    """Several optimizers of one kind; each has its own share of the instances.

    Args:
        optimizers: P of them, for B/P instances in a row each.
    """

    def __init__(self, optimizers: Sequence[Optimizer[Any]]) -> None:
        self.optimizers = list(optimizers)

    def init(self, game: Game, iterate: Iterate, generator: torch.Generator | None = None) -> Any:
        source = generator or torch.Generator().manual_seed(0)
        # Common random numbers: the members differ in nothing but their weights.
        begin = source.get_state()
        states = []
        for optimizer, rows in self._shares(game):
            source.set_state(begin)
            part = Iterate(iterate.x[rows], iterate.y[rows])
            states.append(optimizer.init(game.select(rows), part, source))
        return _joined(states)

    def step(self, game: Game, iterate: Iterate, state: Any) -> tuple[Iterate, Any]:
        points, states = [], []
        for optimizer, rows in self._shares(game):
            own = map_state(lambda part, rows=rows: part[rows], state)
            part = Iterate(iterate.x[rows], iterate.y[rows])
            point, own = optimizer.step(game.select(rows), part, own)
            points.append(point)
            states.append(own)
        return _joined(points), _joined(states)

    def oracle_calls(self, game: Game) -> OracleCalls:
        return self.optimizers[0].oracle_calls(game)

    def _shares(self, game: Game) -> Iterator[tuple[Optimizer[Any], slice]]:
        size = len(game) // len(self.optimizers)
        for place, optimizer in enumerate(self.optimizers):
            yield optimizer, slice(place * size, (place + 1) * size)


def _joined(states: Sequence[Any]) -> Any:
    return map_state(lambda *parts: torch.cat(parts), *states)


def check_start(optimizer: object, game: object, start: object) -> Iterate:
    """Checks a starting point that a user gives for an optimizer on a game.

    Raises:
        UserError: If these are not what they should be, or do not fit one another.
    """
    if not isinstance(optimizer, Optimizer):
        hint = f"; write {optimizer.__name__}(…)" if isinstance(optimizer, type) else ""
        raise UserError(f"optimizer: expected an optimizer, got {checks.shown(optimizer)}{hint}")
    if not isinstance(game, Game):
        raise UserError(
            "game: expected a game, as problem.sample(count, generator) gives, got "
            f"{checks.shown(game)}"
        )
    point = game.point(start)
    if isinstance(optimizer, LearnedOptimizer):
        weight = next(optimizer.parameters(), point.x)
        if (weight.dtype, weight.device.type) != (point.x.dtype, point.x.device.type):
            raise UserError(
                f"start: expected points of the optimizer's type, {weight.dtype} on "
                f"{weight.device}, got {point.x.dtype} on {point.x.device}; use "
                "optimizer.to(…), or sample instances and start with dtype= and device="
            )
    return point


def map_state(function: Callable[..., Tensor], state: Any, *others: Any) -> Any:
    """The same state with `function` applied to every tensor in it.

    Args:
        function: Takes a tensor, and that of each other state in the same place.
        state: The state.
        others: States of the same optimizer.
    """
    if isinstance(state, Tensor):
        return function(state, *others)
    places = zip(state, *others, strict=True)
    return type(state)(*(map_state(function, *parts) for parts in places))


def tensors(state: Any) -> Iterator[Tensor]:
    """Every tensor in a state."""
    if isinstance(state, Tensor):
        yield state
    else:
        for part in state:
            yield from tensors(part)
