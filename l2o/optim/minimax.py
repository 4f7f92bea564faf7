"""One `torch.optim.Optimizer` for both players: any method of the library on a user's modules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer as TorchOptimizer

from l2o.games import Iterate
from l2o.io import checks
from l2o.io.errors import UserError
from l2o.modules import Closure, ModuleGame, Overflow, is_finite
from l2o.optim.averages import check_average, swapped, update_average
from l2o.optim.buffers import Holders
from l2o.optim.groups import OPTIONS, Groups, check_group, check_names, plain
from l2o.optim.memory import carried, coordinates, copied, fresh_memory, sources, structured
from l2o.optim.setting import Setting, innermost, options_of, setting_of
from l2o.optimizers import Optimizer, tensors
from l2o.replay import BUFFERS, Replay

OWN = "minimax"
"""The key in `state` of the state of the whole optimizer, which belongs to no parameter."""


class Minimax(TorchOptimizer):
    """min over x, max over y, by any method, in an ordinary training loop.

    A step calls the closure, which states the costs at the present parameters and calls neither
    backward nor zero_grad. The method is the one that runs on the problems of the library: one
    instance, the parameters raveled.

    Args:
        params: Groups, each with `params` and a `role`, `"min"` or `"max"`. A group may also have
            `lr` (the method's step size, or its base's; a factor on its steps where there is
            none); `weight_decay` λ ≥ 0, decoupled as in AdamW: a step also takes lr·λ·w, towards
            zero for both roles; `max_norm`, to which the group's gradient is clipped; `constraint`:
            `"nonneg"`, `"simplex"`, `("box", low, high)` or a projection of a tensor (1, k), which
            holds at half-steps, too; and around Adam or SGD the hyperparameters of these.
        method: A method of `l2o.optimizers`, hand-designed or learned.
        role: Of groups that name none, and of parameters without groups.
        replay: Whether all evaluations in an iteration see the same random numbers.
        buffers: Whose updates of buffers stay: the `first` evaluation's, the `last`'s, or `all`.
            They are those of the modules that hold a parameter to be trained.
        average: A decay in [0, 1] of an exponential average of the iterates, or `"uniform"`, for
            `averaged`; None keeps none.
        scaler: For autocast to float16, a `torch.amp.GradScaler`, which the optimizer updates.
            Where scaled derivatives overflow, both players skip the step.
        defaults: Options of groups that do not name them.

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

    def __init__(
        self,
        params: Groups,
        method: Optimizer[Any],
        *,
        role: str | None = None,
        replay: bool = True,
        buffers: str = "first",
        average: float | str | None = None,
        scaler: GradScaler | None = None,
        **defaults: Any,
    ) -> None:
        if not isinstance(method, Optimizer):
            raise checks.refusal("method", "an optimizer such as l2o.optimizers.OGDA()", method)
        if scaler is not None and not isinstance(scaler, GradScaler):
            raise checks.refusal("scaler", "a torch.amp.GradScaler", scaler)
        check_average(average)
        self.method = method
        self.replay = checks.flag("replay", replay)
        self.buffers = checks.choice("buffers", buffers, BUFFERS)
        self.average = average
        self.scaler = scaler
        own = options_of(method)
        self._options = list(own)
        self._needs_products = bool(getattr(innermost(method), "needs_products", False))
        self._apart = False
        self._holders: Holders | None = None
        self._setting: Setting | None = None
        self._key: Any = None
        self._memory: Any = None
        options = {**OPTIONS, "lr": 1.0, **own, "role": role}
        check_names(defaults, options, type(method).__name__)
        super().__init__(params, {**options, **defaults})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds parameters, also in the middle of training; their memory begins empty."""
        check_names(param_group, {*self.defaults, "params"}, type(self.method).__name__)
        try:
            super().add_param_group(param_group)
        except ValueError as error:
            if "more than one parameter group" not in str(error):
                raise
            raise UserError(
                "params: a parameter is in two groups; each belongs to one player"
            ) from None
        try:
            check_group(self.param_groups[-1])
            setting_of(self.method, self._options, self.param_groups)
        except UserError:
            del self.param_groups[-1]
            raise

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
        setting, holders = self._present(), self._held()
        replay = Replay(
            self.replay, self.buffers, list(holders.buffers().values()), [setting.device]
        )
        game = ModuleGame(
            cast(list[Closure], closures),
            setting.players,
            replay,
            setting.dtype,
            setting.device,
            self.scaler,
        )
        game.keeps_graphs, game.apart = self._needs_products, self._apart
        try:
            with holders.without_ddp():
                self._advance(game, setting)
            skipped = False
        except BaseException as error:
            for which, point in enumerate(game.start):
                game.write(which, point)
            replay.undo()
            if not isinstance(error, Overflow):
                raise
            skipped = True
        else:
            replay.end()
            self._apart = game.apart
            self._update_average()
        if self.scaler is not None:
            _update_scale(self.scaler, skipped, setting.device)
        assert game.first is not None
        return game.first.f if game.zero_sum else game.first

    def _advance(self, game: ModuleGame, setting: Setting) -> None:
        """Moves the parameters, and replaces the state."""
        method, start = setting.method, Iterate(*game.start)
        if self._begun:
            own = dict(self._own)
            game.expect(own["zero_sum"])
            memory = self._present_memory(game, setting)
        else:
            own = {"iteration": 0}
            game.begin()
            memory = method.init(game, start)
        proposed, memory = method.step(game, start, memory)
        points = []
        for which, (point, factor) in enumerate(zip(proposed, setting.factors, strict=True)):
            if isinstance(factor, Tensor) or factor != 1:
                point = torch.lerp(start[which], point, factor)
            points.append(game.settled(which, point))
            if not is_finite(points[-1]):
                raise UserError(
                    f"step: {type(self.method).__name__} would have moved the parameters to where "
                    "they are not finite; nothing was changed (a smaller lr may help)"
                )
        for which, point in enumerate(points):
            game.write(which, point)
        own |= {"iteration": own["iteration"] + 1, "zero_sum": game.zero_sum}
        own |= {"memory": list(tensors(memory)), "trained": setting.places}
        cast(Any, self.state)[OWN], self._memory = own, memory

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within the context, parameters and buffers are their averages over the iterations.

        Raises:
            UserError: If no average is kept, or none yet.
        """
        kept = self._own.get("average") if self._begun else None
        if kept is None:
            raise UserError(
                'averaged: expected an optimizer with average=DECAY or average="uniform" after at '
                f"least one step, got average={self.average!r}"
            )
        with swapped(kept, self._parameters(), self._held().buffers()):
            yield

    def state_dict(self) -> dict[str, Any]:
        """All that changes, as tensors and numbers, for `torch.save`; constraints are left out."""
        packed = super().state_dict()
        for group in packed["param_groups"]:
            del group["constraint"]
        return packed

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores what `state_dict` returned; training continues bit for bit."""
        constraints = [group["constraint"] for group in self.param_groups]
        super().load_state_dict(state_dict)
        for group, constraint in zip(self.param_groups, constraints, strict=True):
            group["constraint"] = constraint
        self._memory = None
        if self._begun:
            cast(Any, self.state)[OWN] = copied(self._own, self._present().device)

    @property
    def _begun(self) -> bool:
        return OWN in self.state

    @property
    def _own(self) -> dict[str, Any]:
        own: dict[str, Any] = cast(Any, self.state)[OWN]
        return own

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def _present(self) -> Setting:
        """What the groups amount to now."""
        key = [
            [
                {name: plain(value) for name, value in group.items() if name != "params"},
                [parameter.requires_grad for parameter in group["params"]],
            ]
            for group in self.param_groups
        ]
        if self._setting is None or self._key != key:
            self._setting = setting_of(self.method, self._options, self.param_groups)
            self._key = key
        return self._setting

    def _held(self) -> Holders:
        parameters = self._parameters()
        if self._holders is None or self._holders.count != len(parameters):
            self._holders = Holders(parameters)
        return self._holders

    def _present_memory(self, game: ModuleGame, setting: Setting) -> Any:
        """The method's state, for the parameters that are not frozen now."""
        own, method, start = self._own, setting.method, Iterate(*game.start)
        if own["trained"] != setting.places:
            sizes = [parameter.numel() for parameter in self._parameters()]
            x, y = (
                sources(before, now, sizes)
                for before, now in zip(own["trained"], setting.places, strict=True)
            )
            m, n = (sum(sizes[i] for i in before) for before in own["trained"])
            fresh, axes = method.init(game, start), coordinates(method, start)
            return carried(fresh, own["memory"], axes, (m, n), (x, y))
        if self._memory is None:
            self._memory = structured(fresh_memory(method, start), own["memory"])
        return self._memory

    def _update_average(self) -> None:
        if self.average is not None:
            kept = self._own.setdefault("average", {})
            update_average(kept, self._parameters(), self._held().buffers(), self.average)


def _update_scale(scaler: GradScaler, overflowed: bool, device: torch.device) -> None:
    """Tells a scaler whether derivatives overflowed, by an optimizer whose gradient says so."""
    told = torch.zeros((), device=device)
    told.grad = torch.full_like(told, torch.inf if overflowed else 0.0)
    scaler.unscale_(torch.optim.SGD([told]))
    scaler.update()
