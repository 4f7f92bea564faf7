"""A game of closures over a user's modules: one instance, its parameters raveled at the border.

Axes: B = 1 instance, m / n parameters of the players, d = m + n.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, distributed

from l2o.games import Costs, Game, join
from l2o.io.errors import UserError
from l2o.replay import Replay

NAMES = ("min", "max")
"""The roles of the players, x and y."""


class Stated(NamedTuple):
    """The costs that a closure states, without having called backward."""

    costs: Costs
    zero_sum: bool


Closure = Callable[[], "Stated | Tensor"]
"""Computes the costs at the present parameters; or, in PyTorch's own convention, calls backward and
returns the value that the min player descends and the max player ascends."""


def zero_sum(value: Tensor) -> Stated:
    """The costs of a zero-sum game: min over x, max over y of a value.

    Args:
        value: f, a scalar.

    Example:
        >>> def closure():
        ...     return l2o.zero_sum(loss(model(inputs + perturbation), targets))
    """
    return Stated(Costs(value, -value), True)


def general_sum(*, min: Tensor | None = None, max: Tensor | None = None) -> Stated:
    """The costs of a game in which each player minimizes its own.

    Args:
        min: f, what the min player minimizes, a scalar; None if there is no such player.
        max: g, what the max player minimizes, likewise.

    Example:
        >>> def closure():
        ...     fake, true = critic(generator(noise)), critic(real)
        ...     return l2o.general_sum(min=g_loss(fake), max=d_loss(true, fake))
    """
    if min is None and max is None:
        raise UserError("general_sum: expected min=COST, max=COST or both, got neither")
    f, g = (torch.zeros(()) if cost is None else cost for cost in (min, max))
    return Stated(Costs(f, g), False)


class Player(NamedTuple):
    """The parameters of a player, and how they are treated."""

    parameters: list[Tensor]
    limits: list[tuple[int, int, float]]
    """(begin, end, max_norm): parts of the raveled gradient that are clipped to a norm."""
    projections: list[tuple[int, int, Callable[[Tensor], Tensor]]]
    """(begin, end, projection): parts of the raveled parameters that must stay in a set."""

    @property
    def size(self) -> int:
        """Their number, all together."""
        return sum(parameter.numel() for parameter in self.parameters)


class ModuleGame(Game):
    """The game that closures state about two lists of parameters.

    A point is written into the parameters before the closures run there. Gradients are taken for
    each player's own parameters alone; `.grad` is neither used nor changed. Under an initialized
    process group, fields and products are means over the processes.

    Args:
        closures: Micro-batches, whose costs are averaged.
        players: The parameters of x and y; either may have none.
        replay: What the closures draw, and what they leave in buffers.
        dtype: The float type of the raveled points.
    """

    def __init__(
        self,
        closures: Sequence[Closure],
        players: tuple[Player, Player],
        replay: Replay,
        dtype: torch.dtype,
    ) -> None:
        self._closures = closures
        self._players = players
        self._replay = replay
        self._dtype = dtype
        self.m, self.n = (player.size for player in players)
        self.keeps_graphs = False
        """Whether evaluations are kept for products at the same point."""
        self._at: list[Tensor | None] = [None, None]
        self._kept: list[_Evaluation] = []
        self.first: Costs | None = None
        """The mean costs of the first evaluation."""

    def __len__(self) -> int:
        return 1

    def state_costs(self) -> None:
        """Evaluates where the parameters are, which tells whether the game is zero-sum."""
        z = join(tuple(self.ravel(which) for which in (0, 1)))  # type: ignore[arg-type]
        x, y = self.split(z)
        self._at = [x, y]
        self._kept = list(self._run())

    def ravel(self, which: int) -> Tensor:
        """The parameters of a player, (1, m) or (1, n)."""
        return _flat(self._players[which].parameters, self._dtype)

    @torch.no_grad()
    def write(self, which: int, point: Tensor) -> None:
        """Writes a raveled point into the parameters of a player."""
        for parameter, part in zip(
            self._players[which].parameters, self._parts(which, point), strict=True
        ):
            parameter.copy_(part)
        self._at[which] = point

    def select(self, index: Tensor | slice) -> ModuleGame:
        return self  # of one instance, which is asked for only if it is there

    def costs(self, x: Tensor, y: Tensor) -> Costs:
        found = [evaluation.costs for evaluation in self._evaluations(x, y)]
        return _mean(found)

    def project_x(self, x: Tensor) -> Tensor:
        return _projected(x, self._players[0])

    def project_y(self, y: Tensor) -> Tensor:
        return _projected(y, self._players[1])

    def _field(self, z: Tensor) -> Tensor:
        return self._slopes(*self.split(z), (0, 1))

    def _field_x(self, x: Tensor, y: Tensor) -> Tensor:
        return self._slopes(x, y, (0,))

    def _field_y(self, x: Tensor, y: Tensor) -> Tensor:
        return self._slopes(x, y, (1,))

    def _slopes(self, x: Tensor, y: Tensor, which: tuple[int, ...]) -> Tensor:
        total: Tensor | None = None
        for evaluation in self._evaluations(x, y):
            halves = evaluation.field(which, self.keeps_graphs)
            flat = torch.cat([_flat(half, self._dtype) for half in halves], dim=1)
            total = flat if total is None else total.add_(flat)
        if not self.keeps_graphs:
            self._kept = []  # their graphs are gone
        assert total is not None
        total = self._agreed(total)
        begin = 0
        for player in which:
            part = total[:, begin : begin + self._players[player].size]
            begin += part.shape[1]
            for low, high, limit in self._players[player].limits:
                size = torch.linalg.vector_norm(part[:, low:high])
                part[:, low:high] *= (limit / (size + 1e-6)).clamp(max=1)
        return total

    def _coupling_x(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        weights = self._parts(1, v)
        return self._product(x, y, lambda e: e.derivative([(0, 1, weights, 1.0)], (0,)))

    def _coupling_y(self, x: Tensor, y: Tensor, u: Tensor) -> Tensor:
        weights = self._parts(0, u)
        return self._product(x, y, lambda e: e.derivative([(1, 0, weights, 1.0)], (1,)))

    def _jvp(self, z: Tensor, w: Tensor) -> Tensor:
        u, v = (self._parts(which, part) for which, part in enumerate(self.split(w)))

        def jvp(e: _Evaluation) -> list[Tensor]:
            halves = (e.derivative([(c, 0, u, 1.0), (c, 1, v, 1.0)], (c,)) for c in (0, 1))
            return [part for half in halves for part in half]

        return self._product(*self.split(z), jvp)

    def _vjp(self, z: Tensor, w: Tensor) -> Tensor:
        u, v = (self._parts(which, part) for which, part in enumerate(self.split(w)))
        return self._product(
            *self.split(z), lambda e: e.derivative([(0, 0, u, 1.0), (1, 1, v, 1.0)], (0, 1))
        )

    def _product(self, x: Tensor, y: Tensor, of: Callable[[_Evaluation], list[Tensor]]) -> Tensor:
        self.keeps_graphs = True
        total: Tensor | None = None
        for evaluation in self._evaluations(x, y):
            flat = _flat(of(evaluation), self._dtype)
            total = flat if total is None else total.add_(flat)
        assert total is not None
        return self._agreed(total)

    def _agreed(self, total: Tensor) -> Tensor:
        """The mean over micro-batches and processes."""
        count = len(self._closures)
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(total)
            count *= distributed.get_world_size()
        return total if count == 1 else total.div_(count)

    def _evaluations(self, x: Tensor, y: Tensor) -> Iterator[_Evaluation]:
        """One run of each closure at a point, kept ones if they are of that point."""
        for which, point in enumerate((x, y)):
            if not self._is_at(which, point):
                self._kept = []
                self.write(which, point)
        if self._kept:
            yield from self._kept
        elif self.keeps_graphs:
            self._kept = list(self._run())
            yield from self._kept
        else:
            yield from self._run()

    def _is_at(self, which: int, point: Tensor) -> bool:
        here = self._at[which]
        if here is None or here.shape != point.shape:
            return False
        same = here.data_ptr() == point.data_ptr()
        # What was kept before the first step is worth a look at the values.
        return same or (bool(self._kept) and torch.equal(here, point))

    def _run(self) -> Iterator[_Evaluation]:
        found = []
        for place, closure in enumerate(self._closures):
            with self._replay.running(new_round=place == 0), torch.enable_grad():
                evaluation = _Evaluation(closure(), self._players)
            self.zero_sum = evaluation.zero_sum
            found.append(Costs(*(cost.detach() for cost in evaluation.costs)))
            yield evaluation
        if self.first is None:
            self.first = _mean(found)

    def _parts(self, which: int, point: Tensor) -> list[Tensor]:
        """A raveled point in the shapes and types of a player's parameters."""
        parameters = self._players[which].parameters
        pieces = torch.split(point.squeeze(0), [parameter.numel() for parameter in parameters])
        return [
            piece.view_as(parameter).to(parameter.dtype)
            for piece, parameter in zip(pieces, parameters, strict=True)
        ]


class _Evaluation:
    """What a closure stated at the present parameters, and its derivatives.

    Args:
        stated: What it returned.
        players: Whose parameters to differentiate by.
    """

    def __init__(self, stated: Stated | Tensor, players: tuple[Player, Player]) -> None:
        self._players = players
        self._differentiated = isinstance(stated, Tensor)
        if isinstance(stated, Tensor):
            stated = Stated(Costs(stated, -stated), True)
        if not isinstance(stated, Stated):
            raise UserError(
                "closure: expected l2o.zero_sum(value) or l2o.general_sum(min=…, max=…), got "
                f"{type(stated).__name__}"
            )
        self.costs, self.zero_sum = stated
        self._gradients: dict[tuple[int, int], list[Tensor]] = {}
        for which, (name, cost) in enumerate(zip(NAMES, self.costs, strict=True)):
            if players[which].parameters:
                self._check(name, cost)

    def _check(self, name: str, cost: Tensor) -> None:
        if cost.numel() != 1:
            raise UserError(
                f"closure: expected a scalar cost of the {name} player, got shape "
                f"{tuple(cost.shape)}; take its mean"
            )
        if not cost.isfinite().all():
            raise UserError(
                f"closure: expected a finite cost of the {name} player, got {cost.item()}; nothing "
                "was changed (a smaller lr or max_norm may help)"
            )
        if not (cost.requires_grad or self._differentiated):
            raise UserError(
                f"closure: the cost of the {name} player has no graph, so that it cannot be "
                "differentiated; compute it from the parameters by differentiable operations (not "
                "through argmax, .item(), .detach(), NumPy or torch.no_grad())"
            )

    def field(self, which: tuple[int, ...], keep: bool) -> list[list[Tensor]]:
        """∇ₓf and ∇_y g, those asked for, by parameter."""
        if self._differentiated:
            if keep:
                raise UserError(
                    "closure: this method needs second derivatives, and so the costs before "
                    "backward; return l2o.zero_sum(value) without calling backward"
                )
            return [self._stored(player) for player in which]
        if self.zero_sum and len(which) == 2 and not keep:
            x, y = (player.parameters for player in self._players)
            both = self._differentiate(0, [*x, *y])
            return [both[: len(x)], [-part for part in both[len(x) :]]]
        # The costs may share a part of their graphs, which the last one may free.
        return [self._gradient(player, player, keep, player != which[-1]) for player in which]

    def derivative(
        self, terms: list[tuple[int, int, list[Tensor], float]], by: tuple[int, ...]
    ) -> list[Tensor]:
        """The derivative of Σ ⟨∇_player c, w⟩ over terms (cost, player, w, factor)."""
        values, weights = [], []
        for cost, player, along, factor in terms:
            for slope, w in zip(self._gradient(cost, player, keep=True), along, strict=True):
                if slope.requires_grad:
                    values.append(slope)
                    weights.append(factor * w)
        wanted = [p for player in by for p in self._players[player].parameters]
        if not values or not wanted:
            return [torch.zeros_like(parameter) for parameter in wanted]
        return list(
            torch.autograd.grad(
                values,
                wanted,
                weights,
                retain_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
        )

    def _gradient(self, cost: int, player: int, keep: bool, retain: bool = False) -> list[Tensor]:
        """∇ of a cost by a player's parameters; kept with its graph if products may follow."""
        if (cost, player) in self._gradients:
            return self._gradients[cost, player]
        if self.zero_sum and cost == 1:
            with torch.enable_grad():  # so that their graphs stay
                found = [-part for part in self._gradient(0, player, keep, retain)]
        else:
            found = self._differentiate(cost, self._players[player].parameters, keep, retain)
        if keep:
            self._gradients[cost, player] = found
        return found

    def _differentiate(
        self, cost: int, by: list[Tensor], keep: bool = False, retain: bool = False
    ) -> list[Tensor]:
        if not by:
            return []
        try:
            found = torch.autograd.grad(
                self.costs[cost],
                by,
                create_graph=keep,
                retain_graph=keep or retain,
                allow_unused=True,
            )
        except RuntimeError as error:
            if "second time" not in str(error):
                raise
            raise UserError(
                "closure: expected costs whose graph is still there, but backward was called on "
                "it; return the costs without calling backward"
            ) from error
        unused = [part is None for part in found]
        if all(unused):
            raise UserError(
                f"closure: the cost of the {NAMES[cost]} player depends on none of the parameters "
                "that it is differentiated by; is a graph cut on the way (detach, no_grad, "
                "argmax), or a role wrong?"
            )
        return [
            torch.zeros_like(parameter) if part is None else part
            for part, parameter in zip(found, by, strict=True)
        ]

    def _stored(self, player: int) -> list[Tensor]:
        """What backward left in `.grad`, for the max player of −f."""
        sign = -1 if player else 1
        parameters = self._players[player].parameters
        if parameters and all(parameter.grad is None for parameter in parameters):
            raise UserError(
                f"closure: returned a tensor, but no parameter of the {NAMES[player]} player has a "
                "gradient; call backward before, or return l2o.zero_sum(value) without it"
            )
        return [
            torch.zeros_like(parameter) if parameter.grad is None else sign * parameter.grad
            for parameter in parameters
        ]


def _flat(parts: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    """Tensors raveled into one row, (1, ·)."""
    if not parts:
        return torch.zeros(1, 0, dtype=dtype)
    return torch.cat([part.detach().reshape(-1).to(dtype) for part in parts]).unsqueeze(0)


def _mean(costs: Sequence[Costs]) -> Costs:
    return Costs(
        *(
            torch.stack([c.reshape(1) for c in player]).mean(0)
            for player in zip(*costs, strict=True)
        )
    )


def _projected(point: Tensor, player: Player) -> Tensor:
    if not player.projections:
        return point
    point = point.clone()
    for low, high, projection in player.projections:
        point[:, low:high] = projection(point[:, low:high])
    return point
