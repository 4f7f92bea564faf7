"""A game of closures over a user's modules: one instance, its parameters raveled at the border.

Axes: B = 1 instance, m / n parameters of the players, d = m + n.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, distributed
from torch._utils import _unflatten_dense_tensors as unflatten
from torch.amp.grad_scaler import GradScaler
from torch.nn.attention import SDPBackend, sdpa_kernel

from l2o.closures import NAMES, Closure, Evaluation, Stated, UsedUpError, general_sum, zero_sum
from l2o.games import Costs, Game, join
from l2o.io.errors import UserError
from l2o.replay import Replay

__all__ = ["Closure", "ModuleGame", "Overflow", "Player", "Stated", "general_sum", "zero_sum"]


class Overflow(Exception):
    """Scaled derivatives are not finite: the scale is too large."""


class Player(NamedTuple):
    """The parameters of a player, and how they are treated."""

    parameters: list[Tensor]
    size: int
    """How many numbers they are, all together."""
    limits: list[tuple[int, int, float]]
    """(begin, end, max_norm): parts of the raveled gradient that are clipped to a norm."""
    projections: list[tuple[int, int, Callable[[Tensor], Tensor]]]
    """(begin, end, projection): parts of the raveled parameters that must stay in a set."""
    decay: float | Tensor
    """Weight decay: the share of the old point that every move subtracts, a number or (1, k)."""

    @property
    def decays(self) -> bool:
        """Whether there is a decay."""
        return isinstance(self.decay, Tensor) or self.decay != 0

    def project(self, point: Tensor) -> Tensor:
        """The nearest point that is allowed, (1, k)."""
        if not self.projections:
            return point
        point = point.clone()
        for low, high, projection in self.projections:
            point[:, low:high] = projection(point[:, low:high])
        return point


class ModuleGame(Game):
    """The game that closures state about two lists of parameters.

    A point is written into the parameters before the closures run there. Gradients are taken for
    each player's own parameters alone; `.grad` is neither used nor changed. Under an initialized
    process group, fields and products are means over the processes, and what fails in one process
    fails in all.

    Args:
        closures: Micro-batches, whose costs are averaged.
        players: The parameters of x and y; either may have none.
        replay: What the closures draw, and what they leave in buffers.
        dtype: The float type of the raveled points.
        device: Where they are.
        scaler: What scales the costs while they are differentiated.
    """

    def __init__(
        self,
        closures: Sequence[Closure],
        players: tuple[Player, Player],
        replay: Replay,
        dtype: torch.dtype,
        device: torch.device,
        scaler: GradScaler | None = None,
    ) -> None:
        self._closures = closures
        self._players = players
        self._replay = replay
        self._dtype, self._device = dtype, device
        self._scaler = scaler
        self.m, self.n = (player.size for player in players)
        self.keeps_graphs = False
        """Whether evaluations are kept for products at the same point."""
        self.apart = False
        """Whether each cost needs an evaluation of its own, as with compiled modules."""
        self._at: list[Tensor] = [self._flat(player.parameters) for player in players]
        self._start = tuple(self._at)
        self._kept: list[Evaluation] = []
        self._kind: bool | None = None
        self.first: Costs | None = None
        """The mean costs of the first evaluation."""

    def __len__(self) -> int:
        return 1

    @property
    def tensors(self) -> tuple[list[int], list[int]]:
        x, y = ([p.numel() for p in player.parameters] for player in self._players)
        return x, y

    @property
    def start(self) -> tuple[Tensor, Tensor]:
        """Where the parameters were at first, raveled, (1, m) and (1, n)."""
        x, y = self._start
        return x, y

    def begin(self) -> None:
        """Has every process begin at the first one's parameters, or the nearest that are allowed.

        Their costs tell whether the game is zero-sum.
        """
        for which, (player, point) in enumerate(zip(self._players, self._start, strict=True)):
            if _processes() > 1:
                distributed.broadcast(point, src=0)
            if _processes() > 1 or player.projections:
                self._write(which, point.copy_(player.project(point)))

        def run() -> Tensor:
            self._kept = list(self._run())
            return torch.zeros(1, 0, dtype=self._dtype, device=self._device)

        self._agreed(run, 0)

    def expect(self, zero_sum: bool) -> None:
        """Sets which kind of game it was in earlier steps."""
        self._kind = self.zero_sum = zero_sum

    def settled(self, which: int, point: Tensor) -> Tensor:
        """The point to which a method has moved a player, decayed, then projected."""
        player = self._players[which]
        if player.decays:
            point = point - player.decay * self._start[which]
        return player.project(point)

    def write(self, which: int, point: Tensor) -> None:
        """Writes a raveled point into the parameters of a player."""
        player = self._players[which]
        written = not player.decays and not player.projections
        if not written or point.data_ptr() != self._at[which].data_ptr():
            self._write(which, point)
        self._at[which] = point

    @torch.no_grad()
    def _write(self, which: int, point: Tensor) -> None:
        if parameters := self._players[which].parameters:
            torch._foreach_copy_(parameters, self._pieces(which, point))

    def select(self, index: Tensor | slice) -> ModuleGame:
        return self  # of one instance, which is asked for only if it is there

    def costs(self, x: Tensor, y: Tensor) -> Costs:
        mean = _mean([evaluation.costs for evaluation in self._evaluations(x, y)])
        return Costs(mean.f.reshape(1), mean.g.reshape(1))

    def project_x(self, x: Tensor) -> Tensor:
        return self._players[0].project(x)

    def project_y(self, y: Tensor) -> Tensor:
        return self._players[1].project(y)

    def _field(self, z: Tensor) -> Tensor:
        x, y = self.split(z)
        if not self.apart:
            try:
                return self._slopes(x, y, (0, 1))
            except UsedUpError:
                if self.keeps_graphs:
                    raise
                self.apart = True
        return join((self._slopes(x, y, (0,)), self._slopes(x, y, (1,))))

    def _field_x(self, x: Tensor, y: Tensor) -> Tensor:
        return self._slopes(x, y, (0,))

    def _field_y(self, x: Tensor, y: Tensor) -> Tensor:
        return self._slopes(x, y, (1,))

    def _slopes(self, x: Tensor, y: Tensor, which: tuple[int, ...]) -> Tensor:
        def slopes(evaluation: Evaluation) -> list[Tensor]:
            return evaluation.slopes(which, self.keeps_graphs)

        sizes = [self._players[player].size for player in which]
        if not sum(sizes):
            return self._flat([])
        total = self._mean_of(slopes, x, y, sum(sizes))
        if not self.keeps_graphs:
            self._kept = []  # their graphs are gone
        for player, part in zip(which, torch.split(total, sizes, dim=1), strict=True):
            if not is_finite(part):
                raise UserError(
                    f"closure: the gradient of the {NAMES[player]} player is not finite; nothing "
                    "was changed (a smaller lr or max_norm may help)"
                )
            for low, high, limit in self._players[player].limits:
                size = torch.linalg.vector_norm(part[:, low:high])
                part[:, low:high] *= (limit / (size + 1e-6)).clamp(max=1)
        return total

    def _coupling_x(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        weights = self._parts(1, v)
        return self._product(x, y, lambda e: e.derivative([(0, 1, weights)], (0,)), self.m)

    def _coupling_y(self, x: Tensor, y: Tensor, u: Tensor) -> Tensor:
        weights = self._parts(0, u)
        return self._product(x, y, lambda e: e.derivative([(1, 0, weights)], (1,)), self.n)

    def _jvp(self, z: Tensor, w: Tensor) -> Tensor:
        u, v = (self._parts(which, part) for which, part in enumerate(self.split(w)))

        def jvp(e: Evaluation) -> list[Tensor]:
            halves = (e.derivative([(c, 0, u), (c, 1, v)], (c,)) for c in (0, 1))
            return [part for half in halves for part in half]

        return self._product(*self.split(z), jvp, self.m + self.n)

    def _vjp(self, z: Tensor, w: Tensor) -> Tensor:
        u, v = (self._parts(which, part) for which, part in enumerate(self.split(w)))

        return self._product(
            *self.split(z),
            lambda e: e.derivative([(0, 0, u), (1, 1, v)], (0, 1)),
            self.m + self.n,
        )

    def _product(
        self, x: Tensor, y: Tensor, of: Callable[[Evaluation], list[Tensor]], size: int
    ) -> Tensor:
        self.keeps_graphs = True
        return self._mean_of(of, x, y, size)

    def _mean_of(
        self, derive: Callable[[Evaluation], list[Tensor]], x: Tensor, y: Tensor, size: int
    ) -> Tensor:
        """The mean of derivatives over micro-batches and processes, raveled, (1, size)."""

        def total() -> Tensor:
            found: Tensor | None = None
            for evaluation in self._evaluations(x, y):
                flat = self._flat(derive(evaluation))
                found = flat if found is None else found.add_(flat)
            assert found is not None
            return found

        mean = self._agreed(total, size)
        if self._scaler is not None:
            mean /= self._scaler.get_scale()
            if not mean.isfinite().all():
                raise Overflow
        return mean

    def _agreed(self, total: Callable[[], Tensor], size: int) -> Tensor:
        """The mean of totals over micro-batches and processes; if one fails, all do."""
        count = len(self._closures) * _processes()
        if _processes() == 1:
            found = total()
            return found if count == 1 else found.div_(count)
        error: Exception | None = None
        try:
            found = total()
        except Exception as raised:
            error, found = raised, torch.zeros(1, size, dtype=self._dtype, device=self._device)
        # One number more tells whether all is well, so that nobody waits for who has failed.
        flag = found.new_full((1, 1), float(error is not None))
        message = torch.cat((found, flag), dim=1)
        distributed.all_reduce(message)
        if error is not None:
            raise error
        if message[0, -1] != 0:
            raise UserError("closure: failed in another process; nothing was changed")
        return message[:, :-1].div_(count)

    def _evaluations(self, x: Tensor, y: Tensor) -> Iterator[Evaluation]:
        """One run of each closure at a point, kept ones if they are of that point."""
        for which, point in enumerate((x, y)):
            if not self._is_at(which, point):
                self._kept = []
                self._move(which, point)
        if self._kept:
            yield from self._kept
        elif self.keeps_graphs:
            self._kept = list(self._run())
            yield from self._kept
        else:
            yield from self._run()

    def _move(self, which: int, point: Tensor) -> None:
        """Has the closures run at a point, or at the nearest that is allowed."""
        player = self._players[which]
        moved = player.decays and not torch.equal(point, self._start[which])
        self._write(which, self.settled(which, point) if moved else player.project(point))
        self._at[which] = point

    def _is_at(self, which: int, point: Tensor) -> bool:
        here = self._at[which]
        same = here.data_ptr() == point.data_ptr()
        # What was kept before the first step is worth a look at the values.
        return same or (bool(self._kept) and torch.equal(here, point))

    def _run(self) -> Iterator[Evaluation]:
        found = []
        self._replay.begin_round()
        players = (self._players[0].parameters, self._players[1].parameters)
        for closure in self._closures:
            # A cast of a parameter that autocast remembers is one of what it was.
            torch.clear_autocast_cache()
            # No other attention can be differentiated twice.
            attention = sdpa_kernel(SDPBackend.MATH) if self.keeps_graphs else nullcontext()
            with torch.enable_grad(), attention:
                evaluation = Evaluation(closure, players, self._scaler)
            if self._kind not in (None, evaluation.zero_sum):
                raise UserError(
                    "closure: expected the kind of costs of before in every call, got zero_sum and "
                    "general_sum"
                )
            self.expect(evaluation.zero_sum)
            found.append(Costs(*(cost.detach() for cost in evaluation.costs)))
            yield evaluation
        if self.first is None:
            self.first = _mean(found)

    def _flat(self, parts: Sequence[Tensor]) -> Tensor:
        """Tensors raveled into one row, (1, ·)."""
        if not parts:
            return torch.zeros(1, 0, dtype=self._dtype, device=self._device)
        return torch.cat([part.reshape(-1) for part in parts]).to(self._dtype).unsqueeze(0)

    def _pieces(self, which: int, point: Tensor) -> list[Tensor]:
        """A raveled point in the shapes of a player's parameters."""
        return list(unflatten(point[0], self._players[which].parameters))  # type: ignore[no-untyped-call]

    def _parts(self, which: int, point: Tensor) -> list[Tensor]:
        """The same, in their types, too."""
        pieces = zip(self._pieces(which, point), self._players[which].parameters, strict=True)
        return [piece.to(parameter.dtype) for piece, parameter in pieces]


def is_finite(values: Tensor) -> bool:
    """Whether all values are finite."""
    # The sum is the quicker question, but may overflow.
    return math.isfinite(values.sum().item()) or bool(values.isfinite().all())


def _processes() -> int:
    """How many processes work on the same game."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


def _mean(costs: Sequence[Costs]) -> Costs:
    if len(costs) == 1:
        return costs[0]
    return Costs(*(torch.stack(player).mean(0) for player in zip(*costs, strict=True)))
