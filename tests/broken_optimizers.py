"""Optimizers that are wrong, each in one way, with the line that must say so."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from l2o.games import Game, Iterate, join
from l2o.optimizers import LearnedOptimizer, Optimizer, OracleCalls

BROKEN: dict[str, tuple[type[Optimizer[Any]], str]] = {}


def broken(words: str) -> Any:
    """Registers a class with the words that must refuse it."""

    def register(cls: type[Optimizer[Any]]) -> type[Optimizer[Any]]:
        BROKEN[cls.__name__] = (cls, words)
        return cls

    return register


class Memory(NamedTuple):
    """The field of the iteration before."""

    field: Tensor


class Good(Optimizer[Any]):
    """Gradient descent-ascent with a memory that it does not use."""

    def init(self, game: Game, iterate: Iterate, generator: torch.Generator | None = None) -> Any:
        return Memory(torch.zeros_like(join(iterate)))

    def step(self, game: Game, iterate: Iterate, state: Any) -> tuple[Iterate, Any]:
        z = join(iterate)
        field = game.field(z)
        return game.split(z - 0.1 * self.seen(field)), Memory(field)

    def seen(self, field: Tensor) -> Tensor:
        return field

    def oracle_calls(self, game: Game) -> OracleCalls:
        return OracleCalls(1)


@broken(r"state of named tuples of tensors, nested or not, got \['memory'\]")
class Listed(Good):
    def init(self, game: Game, iterate: Iterate, generator: Any = None) -> Any:
        return ["memory"]


@broken(r"state with the batch axis first, \(3, …\), got \(\) in torch.float64")
class Counts(Good):
    def init(self, game: Game, iterate: Iterate, generator: Any = None) -> Any:
        return Memory(iterate.x.new_zeros(()))


@broken(r"expected step to return a state of the same shapes and types, got")
class Grows(Good):
    def step(self, game: Game, iterate: Iterate, state: Any) -> tuple[Iterate, Any]:
        moved, memory = super().step(game, iterate, state)
        return moved, Memory(torch.cat((state.field, memory.field), dim=1))


@broken(r"expected step to leave its iterate and state as they are")
class InPlace(Good):
    def step(self, game: Game, iterate: Iterate, state: Any) -> tuple[Iterate, Any]:
        z = game.field(join(iterate))
        with torch.no_grad():
            iterate.x.sub_(0.1 * game.split(z).x)
        return Iterate(iterate.x.clone(), iterate.y - 0.1 * game.split(z).y), state


@broken(r"expected step to return y of shape \(3, 1\) in torch.float64, got \(3,\) in")
class Flat(Good):
    def step(self, game: Game, iterate: Iterate, state: Any) -> tuple[Iterate, Any]:
        moved, state = super().step(game, iterate, state)
        return Iterate(moved.x, moved.y.flatten()), state


@broken(r"expected step to return x of shape \(3, 1\) in torch.float32, got .*float64")
class Doubles(Good):
    def seen(self, field: Tensor) -> Tensor:
        return field * torch.ones(1, dtype=torch.float64)


@broken(r"expected the same run from the same generator, got another")
class Noisy(Good):
    def seen(self, field: Tensor) -> Tensor:
        return field + torch.randn_like(field)


@broken(r"expected each instance of a batch to go the way that it goes alone; row b")
class Normalizes(Good):
    def seen(self, field: Tensor) -> Tensor:
        return field / field.norm()


@broken(r"expected an instance that starts at nan to change no other")
class Stops(Good):
    """One that has diverged stops all."""

    def seen(self, field: Tensor) -> Tensor:
        return field if field.isfinite().all() else 0 * field.nan_to_num()


@broken(r"expected init to begin each instance of a batch as alone")
class Centred(Good):
    def init(self, game: Game, iterate: Iterate, generator: Any = None) -> Any:
        return Memory(join(iterate) - join(iterate).mean(0))


@broken(r"expected the same trajectory with derivatives recorded \(detach=none\)")
class Looks(Good):
    def seen(self, field: Tensor) -> Tensor:
        return 2 * field if torch.is_grad_enabled() else field


@broken(r"expected at most 3 oracle calls in 3 iterations, .* got 6")
class Twice(Good):
    def step(self, game: Game, iterate: Iterate, state: Any) -> tuple[Iterate, Any]:
        game.field(join(iterate))
        return super().step(game, iterate, state)


@broken(r"expected at most 0 oracle calls before the first iteration, .* got 0.5")
class Begins(Good):
    def init(self, game: Game, iterate: Iterate, generator: Any = None) -> Any:
        game.coupling_x(iterate.x, iterate.y, iterate.y)
        return super().init(game, iterate)


@broken(r"expected a permutation of the coordinates of x .* interchangeable=False")
class Ordered(Good):
    def seen(self, field: Tensor) -> Tensor:
        return field * torch.arange(1, field.shape[1] + 1).to(field)


@broken(r"Saddle, m=2, n=3: failed with RuntimeError: .*refuse by raising l2o.UserError in init")
class Square(Good):
    def step(self, game: Game, iterate: Iterate, state: Any) -> tuple[Iterate, Any]:
        moved, state = super().step(game, iterate, state)
        return Iterate(moved.x + 0 * moved.y, moved.y), state


@broken(r"expected meta-gradients to be sums of what each instance alone has")
class Shares(LearnedOptimizer[Any], Good):
    """Every instance has the meta-gradient of the first."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.tensor(0.1))

    def step(self, game: Game, iterate: Iterate, state: Any) -> tuple[Iterate, Any]:
        z = join(iterate)
        field = game.field(z)
        shared = self.rate * (field - field.detach() + field.detach()[:1])
        return game.split(z - self.rate.detach() * field - (shared - shared.detach())), state
