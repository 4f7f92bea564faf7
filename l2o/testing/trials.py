"""Small games that an optimizer is tried on, and its runs there.

Axes: T iterations, B instances.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from l2o.games import Costs, Iterate
from l2o.io.errors import UserError
from l2o.io.seeds import generator
from l2o.optimizers import Optimizer
from l2o.problems import Instances, MatrixGame, Problem, QuadraticGame, Saddle, Seesaw, Theta
from l2o.unroll import Detach, Trajectory, unroll

COUNT, ITERATIONS = 3, 3
"""B and T."""


class Wrong(Exception):
    """What was expected, what arrived, what to change."""


class _Bent(Problem):
    """A game that is neither affine nor zero-sum."""

    def costs(self, x: Tensor, y: Tensor, theta: Theta) -> Costs:
        across = theta["c"].squeeze(-1) * (x.sin().sum(-1) * y.sum(-1))
        return Costs(x.square().sum(-1) + across, y.square().sum(-1) - across / 2)


def problems() -> list[Problem]:
    """Affine ones and others, zero-sum and not, with m = n and m ≠ n."""
    square = [Seesaw(), QuadraticGame(c=[0.2, 0.8], dimension=3)]
    return [*square, Saddle(m=2, n=3), MatrixGame(m=2, n=3, p=1.0), _Bent(m=2, n=3, c=[0.5, 1.0])]


class Trial(NamedTuple):
    """An optimizer on a game that it accepts."""

    optimizer: Optimizer[Any]
    problem: Problem
    game: Instances
    start: Iterate
    state: Any
    """After `init`."""
    draws: bool
    """Whether `init` draws from its generator."""

    @classmethod
    def begin(
        cls, optimizer: Optimizer[Any], problem: Problem, dtype: torch.dtype = torch.float64
    ) -> Trial | None:
        """None if the optimizer refuses the problem."""
        game = problem.sample(COUNT, generator(0, "game"), dtype=dtype)
        start = problem.sample_start(COUNT, generator(0, "start"), dtype=dtype)
        source = generator(0, "states")
        before = source.get_state()
        with naming(type(optimizer).__name__, game):
            try:
                with torch.no_grad():
                    state = optimizer.init(game, start, source)
            except UserError:
                return None
        draws = not torch.equal(before, source.get_state())
        return cls(optimizer, problem, game, start, state, draws)

    def run(
        self,
        game: Instances | None = None,
        start: Iterate | None = None,
        state: Any = None,
        detach: Detach = Detach.NONE,
    ) -> Trajectory:
        """The run from its state; or of another game, start or state."""
        game, start = game or self.game, start or self.start
        state = self.state if state is None else state
        return unroll(self.optimizer, game, start, ITERATIONS, state=state, detach=detach)

    def weights(self) -> list[Tensor]:
        """What meta-training would train."""
        modules = [part for part in _modules(self.optimizer) if isinstance(part, nn.Module)]
        return [weight for module in modules for weight in module.parameters()]


@contextmanager
def naming(name: str, game: Instances) -> Iterator[None]:
    """Puts the optimizer and the game before what is wrong, whatever it is."""
    where = f"{name} on {type(game.problem).__name__.strip('_')}, m={game.m}, n={game.n}"
    try:
        yield
    except Wrong as error:
        raise UserError(f"{where}: {error}") from None
    except UserError:
        raise
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"{where}: failed with {type(error).__name__}: {reason}; what it cannot be applied to "
            "it must refuse by raising l2o.UserError in init"
        ) from error


def _modules(part: Any) -> Iterator[Any]:
    """An optimizer, and those that it is made of."""
    yield part
    if not isinstance(part, nn.Module):
        for value in vars(part).values():
            if isinstance(value, Optimizer | nn.Module):
                yield from _modules(value)


def cast(optimizer: Optimizer[Any], dtype: torch.dtype) -> Optimizer[Any]:
    """A copy whose weights are of a float type."""
    copy = deepcopy(optimizer)
    for part in _modules(copy):
        if isinstance(part, nn.Module):
            part.to(dtype)
    return copy


class Counted(Instances):
    """Instances that count what is asked of them."""

    def __init__(self, game: Instances) -> None:
        vars(self).update(vars(game))
        self.calls = [0.0]

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in _PRICES:
            return found

        def asked(*arguments: Any) -> Any:
            self.calls[0] += self.resolvent_calls if name == "resolvent" else _PRICES[name]
            plain = Instances.__new__(Instances)
            vars(plain).update(vars(self))
            return getattr(plain, name)(*arguments)

        return asked


_PRICES = {"field": 1.0, "jvp": 1.0, "vjp": 1.0, "coupling": 1.0, "resolvent": 1.0} | dict.fromkeys(
    ("field_x", "field_y", "coupling_x", "coupling_y"), 0.5
)
"""In oracle calls."""
