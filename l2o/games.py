"""The game: all that an optimizer sees of a problem, or of a user's modules.

Axes: B instances, m / n coordinates of x / y, d = m + n joint coordinates of z = (x, y).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from copy import copy
from typing import NamedTuple, Self

import torch
from torch import Tensor

from l2o.io import checks
from l2o.io.errors import UserError
from l2o.resolvent import NEWTON_STEPS, solve_resolvent


class Iterate(NamedTuple):
    """A pair of points, one per instance."""

    x: Tensor
    """(B, m)"""
    y: Tensor
    """(B, n)"""


class Costs(NamedTuple):
    """What each player minimizes."""

    f: Tensor
    """The cost of x, (B,)."""
    g: Tensor
    """The cost of y, (B,); −f in a zero-sum game."""


def join(iterate: tuple[Tensor, Tensor]) -> Tensor:
    """z = (x, y), (…, d)."""
    return torch.cat(iterate, dim=-1)


class Game(ABC):
    """Two players, a batch of B instances, and their mathematics.

    The field is G(z) = (∇ₓf, ∇_y g), J its Jacobian. A subclass needs `costs` and the length; all
    else follows by automatic differentiation. The hooks (`_field`, `_jvp`, …) are there for closed
    forms to replace it.

    Derivatives are partial: with y computed from x in a recorded graph, ∇_y g holds x fixed. They
    are differentiable where the caller's gradient mode is on, and constants under
    `torch.no_grad()`; so is a game's `constant()` always.
    """

    m: int
    """Coordinates of x."""
    n: int
    """Coordinates of y."""
    affine: bool = False
    """Whether the field is affine, as in bilinear games."""
    zero_sum: bool = True
    """Whether g = −f."""
    limit: float = 1e4
    """An iterate with a coordinate beyond this, or not finite, has diverged."""
    resolvent_in_closed_form: bool = False
    """Whether a resolvent costs one oracle call, not the Newton steps that find it."""
    _recorded: bool = True

    @abstractmethod
    def __len__(self) -> int:
        """B."""

    @property
    def tensors(self) -> tuple[list[int], list[int]]:
        """Sizes of the tensors that x and y are raveled from, ([m], [n]) where there are none."""
        return [self.m], [self.n]

    @abstractmethod
    def costs(self, x: Tensor, y: Tensor) -> Costs:
        """What each player minimizes, (B,) each, for x of (B, m) and y of (B, n)."""

    def at(self, iteration: int) -> Game:
        """The game with the draw of an iteration, a pure function of its seed and the iteration.

        One draw serves all calls of an iteration: on bilinear games, extragradient with a fresh
        draw in its second call diverges (Mishchenko et al., AISTATS 2020). A game in which
        nothing is drawn is the same in every iteration.
        """
        return self

    def select(self, index: Tensor | slice) -> Game:
        """The instances at `index` (positions, a mask or a slice)."""
        raise NotImplementedError

    def constant(self) -> Self:
        """The same game with derivatives that are constants: no graph leads through them."""
        game = copy(self)
        game._recorded = False
        return game

    def point(self, given: object) -> Iterate:
        """A point given from outside, checked: x of (B, m) and y of (B, n).

        Raises:
            UserError: If it is none of this game.
        """
        if not (isinstance(given, tuple | list) and len(given) == 2) or not all(
            isinstance(part, Tensor) for part in given
        ):
            raise UserError(
                "start: expected a pair of tensors (x, y), as problem.sample_start(count, "
                f"generator) gives, got {checks.shown(given)}"
            )
        x, y = given
        wanted, shapes = (
            ((len(self), self.m), (len(self), self.n)),
            (tuple(x.shape), tuple(y.shape)),
        )
        if shapes != wanted:
            raise UserError(
                f"start: expected a point for each of {len(self)} instances, x of shape "
                f"{wanted[0]} and y of shape {wanted[1]}, got {shapes[0]} and {shapes[1]}"
            )
        if not x.is_floating_point() or (x.dtype, x.device) != (y.dtype, y.device):
            raise UserError(
                "start: expected x and y of one float type on one device, got "
                f"{x.dtype} on {x.device} and {y.dtype} on {y.device}"
            )
        return Iterate(x, y)

    def split(self, z: Tensor) -> Iterate:
        """(x, y), the parts of z."""
        return Iterate(z[..., : self.m], z[..., self.m :])

    def project_x(self, x: Tensor) -> Tensor:
        """The nearest x that is allowed, (B, m); the same where all are."""
        return x

    def project_y(self, y: Tensor) -> Tensor:
        """The nearest y that is allowed, (B, n); the same where all are."""
        return y

    def project(self, z: Tensor) -> Tensor:
        """The nearest z that is allowed, (B, d); the same where all are."""
        x, y = self.split(z)
        near_x, near_y = self.project_x(x), self.project_y(y)
        return z if near_x is x and near_y is y else join((near_x, near_y))

    def diverged(self, x: Tensor, y: Tensor) -> Tensor:
        """Whether each iterate has diverged, (…, B) for x of (…, B, m) and y of (…, B, n)."""
        largest = torch.maximum(x.abs().amax(-1), y.abs().amax(-1))
        return ~(largest <= self.limit)  # written so that NaN counts

    def field(self, z: Tensor) -> Tensor:
        """G(z) = (∇ₓf, ∇_y g), (B, d)."""
        self._expect("z", z, self.m + self.n)
        return self._derived(self._field, z)

    def field_x(self, x: Tensor, y: Tensor) -> Tensor:
        """∇ₓf, the first half of the field, (B, m)."""
        self._expect("x", x, self.m)
        self._expect("y", y, self.n)
        return self._derived(self._field_x, x, y)

    def field_y(self, x: Tensor, y: Tensor) -> Tensor:
        """∇_y g, the second half of the field, (B, n)."""
        self._expect("x", x, self.m)
        self._expect("y", y, self.n)
        return self._derived(self._field_y, x, y)

    def jvp(self, z: Tensor, w: Tensor) -> Tensor:
        """J w at z, (B, d)."""
        self._expect("z", z, self.m + self.n)
        self._expect("w", w, self.m + self.n)
        return self._derived(self._jvp, z, w)

    def vjp(self, z: Tensor, w: Tensor) -> Tensor:
        """Jᵀ w at z, (B, d)."""
        self._expect("z", z, self.m + self.n)
        self._expect("w", w, self.m + self.n)
        return self._derived(self._vjp, z, w)

    def coupling(self, z: Tensor, w: Tensor) -> Tensor:
        """(∇²xy f·v, ∇²yx g·u) for w = (u, v): the off-diagonal blocks of J times w, (B, d)."""
        self._expect("z", z, self.m + self.n)
        self._expect("w", w, self.m + self.n)
        (x, y), (u, v) = self.split(z), self.split(w)
        of_x = self._derived(self._coupling_x, x, y, v)
        return join((of_x, self._derived(self._coupling_y, x, y, u)))

    def coupling_x(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """∇²xy f·v, (B, m), for v of (B, n)."""
        self._expect("x", x, self.m)
        self._expect("y", y, self.n)
        self._expect("v", v, self.n)
        return self._derived(self._coupling_x, x, y, v)

    def coupling_y(self, x: Tensor, y: Tensor, u: Tensor) -> Tensor:
        """∇²yx g·u, (B, n), for u of (B, m)."""
        self._expect("x", x, self.m)
        self._expect("y", y, self.n)
        self._expect("u", u, self.m)
        return self._derived(self._coupling_y, x, y, u)

    def resolvent(self, z: Tensor, step: float | Tensor) -> Tensor:
        """(I + αG)⁻¹z, (B, d): the point whose step −αG came from there.

        Args:
            z: (B, d).
            step: α > 0, a number or (B, 1).
        """
        self._expect("z", z, self.m + self.n)
        if not isinstance(step, Tensor):
            checks.positive("step", step)
        return self._derived(self._resolvent, z, step)

    @property
    def resolvent_calls(self) -> float:
        """Oracle calls of a resolvent: 1 in closed form, else those of its Newton steps.

        Each takes d products and two fields; one does where the field is affine, else there are
        10 at most.
        """
        if self.resolvent_in_closed_form:
            return 1
        return (1 if self.affine else NEWTON_STEPS) * (self.m + self.n + 2)

    def flipped(self, w: Tensor) -> Tensor:
        """w with the sign of y's part flipped: turns G into ∇f in a zero-sum game, and back."""
        return join((w[..., : self.m], -w[..., self.m :]))

    def _expect(self, name: str, value: Tensor, size: int) -> None:
        """Refuses what is no (B, size): no point, or vector, of every instance or of copies of all.

        Args:
            name: Of the argument, for the message.
            value: What is given.
            size: The length that its last axis must have.
        """
        # In every call of the inner loop, so a few comparisons, and no more.
        if isinstance(value, Tensor):
            shape, count = value.shape, len(self)
            if len(shape) > 1 and shape[-1] == size and not (count and shape[-2] % count):
                return
        got = tuple(value.shape) if isinstance(value, Tensor) else checks.shown(value)
        raise UserError(f"{name}: expected a tensor of shape {(len(self), size)}, got {got}")

    def _derived(self, derive: Callable[..., Tensor], *args: Tensor | float) -> Tensor:
        if self._recorded:
            return derive(*args)
        with torch.no_grad():
            return derive(*args)

    def _field(self, z: Tensor) -> Tensor:
        x, y = self.split(z)
        with _recording():
            x, y = _node(x), _node(y)
            costs = self.costs(x, y)
        if self.zero_sum:
            grad_x, grad_y = _slopes(costs.f, (x, y))
            return join((grad_x, -grad_y))
        # The costs may share a part of their graphs, which the second may free.
        (of_x,) = _slopes(costs.f, (x,), retain=True)
        return join((of_x, _slopes(costs.g, (y,))[0]))

    def _field_x(self, x: Tensor, y: Tensor) -> Tensor:
        with _recording():
            x, y = _node(x), _node(y)
            cost = self.costs(x, y).f
        return _slopes(cost, (x,))[0]

    def _field_y(self, x: Tensor, y: Tensor) -> Tensor:
        with _recording():
            x, y = _node(x), _node(y)
            cost = self.costs(x, y).g
        return _slopes(cost, (y,))[0]

    def _jvp(self, z: Tensor, w: Tensor) -> Tensor:
        if self.zero_sum:
            # J = D H with the symmetric Hessian H of f and D = diag(I, −I), so J w = D∇⟨∇f, w⟩.
            with _recording():
                z = _node(z)
                value = self.flipped(self._field(z)) * w
            return self.flipped(_product(value, z, w))
        (x, y), (u, v) = self.split(z), self.split(w)
        with _recording():
            x, y = _node(x), _node(y)
            of_f, of_g = (self._gradient_along(player, x, y, u, v) for player in (0, 1))
        return join((_product(of_f, x, y, u, v), _product(of_g, y, x, u, v)))

    def _vjp(self, z: Tensor, w: Tensor) -> Tensor:
        if self.zero_sum:
            return self.flipped(self._jvp(z, self.flipped(w)))  # Jᵀ = H D = D J D
        with _recording():
            z = _node(z)
            value = self._field(z) * w
        return _product(value, z, w)

    def _coupling_x(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        with _recording():
            x, y = _node(x), _node(y)
            if self.zero_sum:
                value = -self._field_y(x, y) * v
            else:
                value = self._gradient_along(0, x, y, None, v)
        return _product(value, x, y, v)

    def _coupling_y(self, x: Tensor, y: Tensor, u: Tensor) -> Tensor:
        with _recording():
            x, y = _node(x), _node(y)
            if self.zero_sum:
                value = -self._field_x(x, y) * u
            else:
                value = self._gradient_along(1, x, y, u, None)
        return _product(value, y, x, u)

    def _gradient_along(
        self, player: int, x: Tensor, y: Tensor, u: Tensor | None, v: Tensor | None
    ) -> Tensor:
        """⟨∇ₓc, u⟩ + ⟨∇_y c, v⟩ of the cost c of player 0 (f) or 1 (g), in a recorded graph."""
        wanted = [(point, w) for point, w in ((x, u), (y, v)) if w is not None]
        slopes = _slopes(self.costs(x, y)[player], tuple(point for point, _ in wanted))
        products = [(slope * w).sum() for slope, (_, w) in zip(slopes, wanted, strict=True)]
        return torch.stack(products).sum()

    def _resolvent(self, z: Tensor, step: float | Tensor) -> Tensor:
        return solve_resolvent(self, z, step)


@contextmanager
def _recording() -> Iterator[None]:
    """Records a graph, whatever the caller's modes."""
    inference = torch.is_inference_mode_enabled()
    with torch.inference_mode(False) if inference else nullcontext(), torch.enable_grad():
        yield


def _node(tensor: Tensor) -> Tensor:
    """The same point as a node of its own, to differentiate by.

    It stays in the graph that it came from, but nothing else was computed from it: a derivative
    by it holds all else fixed.
    """
    if tensor.is_inference():
        tensor = tensor.clone()
    return tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_()


def _slopes(cost: Tensor, inputs: tuple[Tensor, ...], retain: bool = False) -> tuple[Tensor, ...]:
    """The derivatives of a player's cost; see `_derivatives`.

    Raises:
        UserError: If the cost was not computed from the players by what PyTorch can differentiate.
    """
    if not cost.requires_grad:
        raise UserError(
            "costs: expected a function of x and y that PyTorch can differentiate, got values "
            "without a graph; compute them from x and y by differentiable operations (not through "
            "NumPy, .item(), .detach() or argmax)"
        )
    return _derivatives(cost, inputs, retain)


def _derivatives(
    value: Tensor, inputs: tuple[Tensor, ...], retain: bool = False
) -> tuple[Tensor, ...]:
    """d Σ value / d inputs, differentiable where the caller's gradient mode is on.

    Zeros for an input that the value does not depend on. The graph is freed unless it is to be
    retained.
    """
    if not value.requires_grad:
        return tuple(torch.zeros_like(tensor) for tensor in inputs)
    found = torch.autograd.grad(
        value,
        inputs,
        torch.ones_like(value),
        retain_graph=retain or torch.is_grad_enabled(),
        create_graph=torch.is_grad_enabled(),
        allow_unused=True,
    )
    return tuple(
        torch.zeros_like(tensor) if part is None else part
        for part, tensor in zip(found, inputs, strict=True)
    )


def _product(value: Tensor, by: Tensor, *held: Tensor) -> Tensor:
    """d Σ value / d by, of a value that has a derivative in it; see `_derivatives`.

    Args:
        value: Of any shape.
        by: What it is differentiated by.
        held: What else it was computed from.

    Raises:
        UserError: If a part of the value only seems not to depend on that, as its graph ends in a
            derivative that PyTorch cannot differentiate.
    """
    if _ends_in_error(value, (by, *held)):
        raise UserError(
            "products: expected costs that can be differentiated twice, got a function that was "
            "marked with @once_differentiable; use another one, define the products of a problem "
            "(coupling_x, coupling_y, jvp), or choose a method without products"
        )
    return _derivatives(value, (by,))[0]


def _ends_in_error(value: Tensor, inputs: tuple[Tensor, ...]) -> bool:
    """Whether the graph from inputs to a value has a node that raises an error when reached.

    PyTorch cuts the graph of a derivative off at a function that is differentiable only once, and
    puts such a node there; with inputs given, it passes by it.
    """
    waiting, seen = [value.grad_fn], {tensor.grad_fn for tensor in inputs}
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        if node.name() == "torch::autograd::Error":
            return True
        seen.add(node)
        waiting += [following for following, _ in node.next_functions]
    return False
