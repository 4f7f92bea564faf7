"""One `torch.optim.Optimizer` for both players: any method of the library on a user's modules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar, cast

import torch
from torch import Tensor
from torch.optim import Optimizer as TorchOptimizer

from l2o.games import Iterate
from l2o.io import checks
from l2o.io.errors import UserError
from l2o.modules import Closure, ModuleGame
from l2o.optim.averages import check_average, swapped, update_average
from l2o.optim.groups import (
    OPTIONS,
    Groups,
    check_group,
    of_role,
    player_of,
    trained,
    values_of,
)
from l2o.optim.memory import fresh_memory, grown_memory
from l2o.optimizers import Optimizer, Players, map_state, tensors
from l2o.replay import BUFFERS, Replay

OWN = "minimax"
"""Where the state of the optimizer as a whole, which no parameter owns, is in `state`."""


class Minimax(TorchOptimizer):
    """min over x, max over y, by any method, in an ordinary training loop.

    A step calls the closure, which states the costs at the present parameters and calls neither
    backward nor zero_grad. The method is the one that runs on the problems of the library: one
    instance, the parameters raveled.

    Args:
        params: Groups, each with `params` and a `role`, `"min"` or `"max"`. A group may also have
            `lr` (the method's step size; a factor on its steps where it has none), `weight_decay`
            λ ≥ 0, decoupled as in AdamW: each step also takes lr·λ·w, towards zero for both roles;
            `max_norm`, to which the group's gradient is clipped; and `constraint`: `"nonneg"`,
            `"simplex"`, `("box", low, high)` or a projection of a tensor (1, k), which holds at
            half-steps, too.
        method: A method of `l2o.optimizers`, hand-designed or learned.
        role: Of groups that name none, and of parameters without groups.
        replay: Whether all evaluations in an iteration see the same random numbers.
        buffers: Whose updates of buffers stay: the `first` evaluation's, the `last`'s, or `all`.
        average: A decay in [0, 1] of an exponential average of the iterates, or `"uniform"`, for
            `averaged`; None keeps none.

    Raises:
        UserError: If a group or a setting is not allowed.

    Example:
        >>> opt = l2o.optim.Minimax(
        ...     [
        ...         {"params": generator.parameters(), "role": "min", "lr": 0.1},
        ...         {"params": critic.parameters(), "role": "max", "lr": 0.1},
        ...     ],
        ...     l2o.optimizers.Extragradient(),
        ... )
        >>> for batch in loader:
        ...     loss = opt.step(lambda: l2o.zero_sum(value(generator, critic, batch)))
    """

    hyperparameters: ClassVar[Mapping[str, str]] = {"lr": "step_size"}
    """The options of a group that are fields of the method."""

    def __init__(
        self,
        params: Groups,
        method: Optimizer[Any],
        *,
        role: str | None = None,
        replay: bool = True,
        buffers: str = "first",
        average: float | str | None = None,
        **defaults: Any,
    ) -> None:
        if not isinstance(method, Optimizer):
            raise checks.refusal("method", "an optimizer such as l2o.optimizers.OGDA()", method)
        check_average(average)
        self.method = method
        self.replay = checks.flag("replay", replay)
        self.buffers = checks.choice("buffers", buffers, BUFFERS)
        self.average = average
        self._fields = {n: f for n, f in self.hyperparameters.items() if hasattr(method, f)}
        self._seen: dict[int, Tensor] = {}
        own = {name: getattr(method, field) for name, field in self._fields.items()}
        super().__init__(params, {**OPTIONS, "lr": 1.0, **own, "role": role, **defaults})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds parameters, also in the middle of training; their memory begins empty."""
        check_group(param_group, self.defaults, type(self.method).__name__)
        before = [sum(p.numel() for p in self._trained(which)) for which in (0, 1)]
        try:
            super().add_param_group(param_group)
        except ValueError as error:
            if "more than one parameter group" not in str(error):
                raise
            raise UserError(
                "params: a parameter is in two groups; each belongs to one player"
            ) from None
        if self._begun:
            self._grow((before[0], before[1]))

    @torch.no_grad()
    def step(self, closure: Closure | Sequence[Closure] | None = None) -> Any:  # type: ignore[override]
        """One iteration.

        Args:
            closure: Returns `l2o.zero_sum(value)` or `l2o.general_sum(min=f, max=g)`. A list of
                closures is a list of micro-batches, whose costs are averaged. A closure that calls
                backward itself and returns a tensor follows PyTorch's own convention: it stands for
                a zero-sum game, and for a method that needs first derivatives alone.

        Returns:
            The costs of the first evaluation, without a graph: the value of a zero-sum game, else
            `Costs(f, g)`.

        Raises:
            UserError: If the costs cannot be used; parameters and state are as before then.
        """
        closures = list(closure) if isinstance(closure, list | tuple) else [closure]
        if not closures or not all(map(callable, closures)):
            raise UserError(
                "step: expected a closure that returns the costs, as in opt.step(lambda: "
                f"l2o.zero_sum(value)), got {checks.shown(closure)}"
            )
        replay = Replay(self.replay, self.buffers, self._devices())
        game = self._game(cast(list[Closure], closures), replay)
        start = Iterate(game.ravel(0), game.ravel(1))
        try:
            moved, own = self._moved(game, start)
        except BaseException:
            self._write(game, start)
            raise
        finally:
            replay.end()
        self._write(game, moved)
        cast(Any, self.state)[OWN] = own
        if self.average is not None:
            self._seen |= replay.seen
            update_average(own, self._averaged_places(), self.average)
        assert game.first is not None
        return game.first.f if game.zero_sum else game.first

    def _moved(self, game: ModuleGame, start: Iterate) -> tuple[Iterate, dict[str, Any]]:
        """Where the players go, and the state then."""
        method = self._present_method(game)
        if self._begun:
            own = dict(self._own)
            game.zero_sum = own["zero_sum"]
            memory = _structured(fresh_memory(method, game, start), own["memory"])
        else:
            own = {"iteration": 0}
            game.state_costs()
            memory = method.init(game, start)
        proposed, memory = method.step(game, start, memory)
        own |= {"iteration": own["iteration"] + 1, "zero_sum": game.zero_sum}
        own["memory"] = [tensor.detach() for tensor in tensors(memory)]
        points = []
        for which, project in enumerate((game.project_x, game.project_y)):
            groups = of_role(self.param_groups, which)
            lr, decay = (values_of(o, groups, start.x.dtype) for o in ("lr", "weight_decay"))
            point = proposed[which]
            if "lr" not in self._fields:
                point = torch.lerp(start[which], point, lr) if lr != 1 else point
            if isinstance(decay, Tensor) or decay:
                point = project(point - lr * decay * start[which])
            points.append(point)
        return Iterate(*points), own

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within the context, parameters and buffers are their averages over the iterations.

        Raises:
            UserError: If no average is kept, or none yet.
        """
        values = self._own.get("average") if self._begun else None
        if values is None:
            raise UserError(
                'averaged: expected an optimizer with average=DECAY or average="uniform" after at '
                f"least one step, got average={self.average!r}"
            )
        with swapped(self._averaged_places(), values):
            yield

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from what `state_dict` returned, bit for bit."""
        super().load_state_dict(state_dict)
        if self._begun:
            device = self._devices()[0]
            for name, value in self._own.items():
                if isinstance(value, list):
                    self._own[name] = [tensor.to(device, copy=True) for tensor in value]

    @property
    def _begun(self) -> bool:
        return OWN in self.state

    @property
    def _own(self) -> dict[str, Any]:
        own: dict[str, Any] = cast(Any, self.state)[OWN]
        return own

    def _trained(self, which: int) -> list[Tensor]:
        return trained(of_role(self.param_groups, which))

    def _devices(self) -> list[torch.device]:
        """The device of the parameters.

        Raises:
            UserError: If there is no parameter to train, or they are on several devices.
        """
        devices = {parameter.device for parameter in trained(self.param_groups)}
        if not devices:
            raise UserError("params: expected parameters that require gradients, got none")
        if len(devices) > 1:
            names = ", ".join(sorted(map(str, devices)))
            raise UserError(f"params: expected all on one device, got {names}")
        return list(devices)

    def _dtype(self) -> torch.dtype:
        """The widest of the parameters' float types, single precision at least."""
        widest = torch.float32
        for parameter in trained(self.param_groups):
            widest = torch.promote_types(widest, parameter.dtype)
        return widest

    def _game(self, closures: Sequence[Closure], replay: Replay) -> ModuleGame:
        x, y = (player_of(of_role(self.param_groups, which)) for which in (0, 1))
        game = ModuleGame(closures, (x, y), replay, self._dtype())
        game.keeps_graphs = bool(getattr(self.method, "needs_products", False))
        return game

    def _write(self, game: ModuleGame, iterate: Iterate) -> None:
        for which in (0, 1):
            game.write(which, iterate[which])

    def _present_method(self, game: ModuleGame) -> Optimizer[Any]:
        """The method with the hyperparameters that the groups have now."""
        changes: dict[str, Any] = {}
        for option, field in self._fields.items():
            of_x, of_y = (
                values_of(option, of_role(self.param_groups, which), self._dtype())
                for which in (0, 1)
            )
            of_x, of_y = of_x if game.m else of_y, of_y if game.n else of_x
            alike = not isinstance(of_x, Tensor) and not isinstance(of_y, Tensor) and of_x == of_y
            if not alike and not getattr(self.method, "per_player", False):
                raise UserError(
                    f"{option}: {type(self.method).__name__} has one for all groups, got several"
                )
            changes[field] = of_x if alike else Players(of_x, of_y)
        if not changes:
            return self.method
        made: Any = replace(cast(Any, self.method), **changes)
        return cast(Optimizer[Any], made)

    def _grow(self, before: tuple[int, int]) -> None:
        """Makes room for the parameters of a new group in the method's state."""
        game = self._game([], Replay(False, "all", []))
        start = Iterate(game.ravel(0), game.ravel(1))
        fresh = list(tensors(fresh_memory(self._present_method(game), game, start)))
        own = self._own
        own["memory"] = grown_memory(fresh, own["memory"], before, (game.m, game.n))
        own.pop("average", None)

    def _averaged_places(self) -> list[Tensor]:
        """What averages are of: the parameters, and the buffers of the modules that ran."""
        buffers = [buffer for buffer in self._seen.values() if buffer.is_floating_point()]
        return [*self._trained(0), *self._trained(1), *buffers]


def _structured(fresh: Any, memory: Sequence[Tensor]) -> Any:
    """The method's state from its list of tensors, in the structure of a fresh one."""
    stored = iter(memory)
    return map_state(lambda _: next(stored), fresh)
