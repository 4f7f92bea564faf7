"""What closures state: the costs of both players, and their derivatives by the parameters."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.amp.grad_scaler import GradScaler

from l2o.games import Costs
from l2o.io import checks
from l2o.io.errors import UserError

NAMES = ("min", "max")
"""The roles of the players, x and y."""
_TWICE = (
    "this method needs second derivatives, which a layer or a compiled module lacks; choose "
    "a method without (Adam, ExtraAdam, OGDA, …), or another layer"
)
MEANINGS = {
    "second time": "part of its graph is gone, since backward was called or something was computed "
    "outside of it; compute the costs from the parameters in every call, without backward",
    "inplace operation": "something that was computed outside of it, or changed in place, is no "
    "longer what it was; compute the costs from the parameters in every call",
    "is not implemented": _TWICE,
    "differentiate twice": _TWICE,
    "double backward": _TWICE,
}
"""What PyTorch says when derivatives cannot be had, and what that means here."""


class UsedUpError(UserError):
    """A compiled module's graph serves one derivative, not one more."""


class Stated(NamedTuple):
    """The costs of both players, as a closure states them without calling backward."""

    f: Tensor | None
    """What the min player minimizes; None if there is no such player."""
    g: Tensor | None
    """What the max player minimizes, likewise."""
    zero_sum: bool
    """Whether g = −f."""


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
    if not isinstance(value, Tensor):
        raise checks.refusal("zero_sum", "a tensor", value)
    return Stated(value, -value, True)


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
    for name, cost in zip(NAMES, (min, max), strict=True):
        if cost is not None and not isinstance(cost, Tensor):
            raise checks.refusal(f"general_sum: {name}", "a tensor", cost)
    return Stated(min, max, False)


class Evaluation:
    """What a closure states at the present parameters, and its derivatives.

    Args:
        closure: Is called once.
        players: The parameters of x and y, to differentiate by.
        scaler: What scales the costs, and with them all derivatives.

    Raises:
        UserError: If the costs cannot be used.
    """

    def __init__(
        self,
        closure: Closure,
        players: tuple[Sequence[Tensor], Sequence[Tensor]],
        scaler: GradScaler | None = None,
    ) -> None:
        before = [(p, _mark(p)) for parameters in players for p in parameters]
        stated = closure()
        self._players = players
        self._differentiated = isinstance(stated, Tensor)
        if isinstance(stated, Tensor):
            if all(_same(parameter.grad, mark) for parameter, mark in before):
                raise UserError(
                    "closure: returned a tensor, but gave no parameter a gradient; return "
                    "l2o.zero_sum(value) instead, or call backward before"
                )
            stated = Stated(stated, -stated, True)
        if not isinstance(stated, Stated):
            raise UserError(
                "closure: expected l2o.zero_sum(value) or l2o.general_sum(min=…, max=…), got "
                f"{checks.shown(stated)}"
            )
        if self._differentiated and scaler is not None:
            raise UserError(
                "closure: with scaler=, expected l2o.zero_sum(value) or l2o.general_sum(min=…, "
                "max=…) without backward, got a tensor"
            )
        self.zero_sum = stated.zero_sum
        for which, cost in enumerate((stated.f, stated.g)):
            if players[which]:
                self._check(NAMES[which], cost)
        self.costs = Costs(_scalar(stated.f), _scalar(stated.g))
        self._scaler = scaler
        self._kept: dict[int, tuple[list[Tensor], ...]] = {}

    def _check(self, name: str, cost: Tensor | None) -> None:
        if cost is None:
            raise UserError(f"general_sum: expected {name}=COST for the {name} player, got none")
        if cost.numel() != 1:
            raise UserError(
                f"closure: expected a scalar cost of the {name} player, got shape "
                f"{tuple(cost.shape)}; take its mean"
            )
        value = cost.item()
        if not math.isfinite(value):
            raise UserError(
                f"closure: expected a finite cost of the {name} player, got {value}; nothing was "
                "changed (a smaller lr or max_norm may help)"
            )
        if not (cost.requires_grad or self._differentiated):
            raise UserError(
                f"closure: the cost of the {name} player has no graph, so that it cannot be "
                "differentiated; compute it from the parameters by differentiable operations (not "
                "through argmax, .item(), .detach(), NumPy or torch.no_grad())"
            )

    def slopes(self, which: Sequence[int], keep: bool) -> list[Tensor]:
        """∇ₓf and ∇_y g by parameter.

        Args:
            which: The players asked for, 0 (x), 1 (y) or both.
            keep: Whether the graph stays, for products.
        """
        if keep:
            found = [self._with_graph(player)[player] for player in which]
        elif self._differentiated:
            found = [self._stored(player) for player in which]
        elif self.zero_sum and len(which) == 2:
            of_x, of_y = self._gradients(0, which)
            found = [of_x, [-slope for slope in of_y]]
        else:
            # The costs may share a part of their graphs, which the last one may free.
            found = [
                self._gradients(player, [player], retain_graph=player != which[-1])[0]
                for player in which
            ]
        return [slope for slopes in found for slope in slopes]

    def derivative(
        self, terms: Sequence[tuple[int, int, list[Tensor]]], by: Sequence[int]
    ) -> list[Tensor]:
        """The derivative of Σ ⟨∇_player c, w⟩ over terms (c, player, w), by players' parameters.

        Raises:
            UserError: If a layer cannot be differentiated twice.
        """
        pairs = [
            (slope, weight)
            for cost, player, along in terms
            for slope, weight in zip(self._with_graph(cost)[player], along, strict=True)
            if slope.requires_grad
        ]
        parameters = [p for player in by for p in self._players[player]]
        if not pairs:
            return _materialized([None] * len(parameters), parameters)
        slopes, weights = zip(*pairs, strict=True)
        found = _derivatives(slopes, parameters, weights, retain_graph=True)
        return _materialized(found, parameters)

    def _with_graph(self, cost: int) -> tuple[list[Tensor], ...]:
        """∇ of a cost by both players' parameters, which can be differentiated."""
        if self._differentiated:
            raise UserError(
                "closure: this method needs second derivatives, and so the costs before backward; "
                "return l2o.zero_sum(value) without calling backward"
            )
        if cost not in self._kept:
            if self.zero_sum and cost == 1:
                with torch.enable_grad():
                    found = tuple([-part for part in parts] for parts in self._with_graph(0))
            else:
                found = tuple(self._gradients(cost, (0, 1), create_graph=True))
                _check_twice([part for parts in found for part in parts])
            self._kept[cost] = found
        return self._kept[cost]

    def _gradients(self, cost: int, by: Sequence[int], **graph: bool) -> list[list[Tensor]]:
        """∇ of a cost by the parameters of some players.

        Raises:
            UserError: If a player's own cost depends on none of its parameters.
        """
        parameters = [self._players[player] for player in by]
        value = self.costs[cost]
        if self._scaler is not None:
            with torch.enable_grad():
                value = self._scaler.scale(value)
        # With a graph of its own, so that layers say whether they can be differentiated twice.
        one = torch.ones_like(value, requires_grad=True) if "create_graph" in graph else None
        found = iter(_derivatives([value], [p for own in parameters for p in own], [one], **graph))
        gradients = []
        for player, own in zip(by, parameters, strict=True):
            parts = [next(found) for _ in own]
            if own and (self.zero_sum or player == cost) and all(part is None for part in parts):
                raise UserError(
                    f"closure: the cost of the {NAMES[player]} player depends on none of its "
                    "parameters; is a graph cut on the way (detach, no_grad, argmax), or a role "
                    "wrong?"
                )
            gradients.append(_materialized(parts, own))
        return gradients

    def _stored(self, player: int) -> list[Tensor]:
        """What backward left in `.grad`, for the max player of −f."""
        parameters = self._players[player]
        slopes = _materialized([parameter.grad for parameter in parameters], parameters)
        return [-slope for slope in slopes] if player else slopes


def _mark(parameter: Tensor) -> tuple[weakref.ref[Tensor], int] | None:
    """A token by which to tell whether a parameter's gradient was later replaced or changed."""
    slope = parameter.grad
    return None if slope is None else (weakref.ref(slope), slope._version)


def _same(slope: Tensor | None, mark: tuple[weakref.ref[Tensor], int] | None) -> bool:
    if slope is None or mark is None:
        return slope is None and mark is None
    return mark[0]() is slope and mark[1] == slope._version


def _scalar(cost: Tensor | None) -> Tensor:
    return torch.zeros(()) if cost is None else cost.reshape(())


def _materialized(parts: Sequence[Tensor | None], parameters: Sequence[Tensor]) -> list[Tensor]:
    """The parts as dense tensors, with zeros for those that are missing."""
    return [
        torch.zeros_like(parameter) if part is None else part.to_dense() if part.is_sparse else part
        for part, parameter in zip(parts, parameters, strict=True)
    ]


def _check_twice(slopes: Sequence[Tensor]) -> None:
    """Raises UserError if a layer was differentiated that can be so only once.

    PyTorch itself says so only to who differentiates by the layer's own inputs, and leaves its part
    out elsewhere.
    """
    waiting = [slope.grad_fn for slope in slopes if slope.grad_fn is not None]
    known = set(waiting)
    while waiting:
        node = waiting.pop()
        if node.name() == "torch::autograd::Error":
            raise UserError(f"closure: {_TWICE}")
        further = {after for after, _ in node.next_functions if after is not None} - known
        known |= further
        waiting += further


def _derivatives(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    weights: Sequence[Tensor | None],
    **graph: bool,
) -> tuple[Tensor | None, ...]:
    if not inputs:
        return ()
    try:
        return torch.autograd.grad(outputs, inputs, weights, allow_unused=True, **graph)
    except RuntimeError as error:
        if "donated buffers" in str(error):
            raise UsedUpError(f"closure: {_TWICE}") from error
        for told, meant in MEANINGS.items():
            if told in str(error):
                raise UserError(f"closure: {meant}") from error
        raise
