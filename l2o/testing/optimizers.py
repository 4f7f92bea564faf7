"""What every optimizer must be.

Axes: T iterations, B instances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from l2o.games import Iterate, join
from l2o.io import checks
from l2o.io.errors import UserError
from l2o.io.seeds import generator
from l2o.optimizers import Optimizer, map_state, tensors
from l2o.problems import Instances, QuadraticGame
from l2o.testing.trials import COUNT, ITERATIONS, Counted, Trial, Wrong, cast, naming, problems
from l2o.unroll import Detach, Trajectory

CLOSE = 1e-6
"""The largest difference, of rounding alone, in units of the largest number."""
APART = (
    "row b of everything must depend on row b alone: no means, norms or decisions over the batch, "
    "and no 0 · NaN"
)


def check_optimizer(optimizer: Optimizer[Any], *, interchangeable: bool = True) -> None:
    """Tries what every optimizer must be, on small games that it does not refuse.

    A game that it cannot be applied to it must refuse by `UserError` in `init`. On all others, also
    with m ≠ n and in both float types: instances in a batch go the way that they go alone,
    meta-gradients included, and one that diverges changes no other; equal generators give equal
    runs; what is recorded, under whichever detach policy, is what happens unrecorded; states are
    tensors with the batch axis first; nothing that is given is changed in place; no more oracle
    calls are made than declared.

    Args:
        optimizer: The optimizer. One with weights may have any float type.
        interchangeable: Whether permuting the coordinates of x permutes its updates and does
            nothing else. Not looked at where `init` draws numbers for each coordinate.

    Raises:
        UserError: At the first thing that is not so.
    """
    if not isinstance(optimizer, Optimizer):
        raise checks.refusal("check_optimizer", "an optimizer, not its class", optimizer)
    single, double = (cast(optimizer, dtype) for dtype in (torch.float32, torch.float64))
    tried = [trial for problem in problems() if (trial := Trial.begin(double, problem))]
    name = type(optimizer).__name__
    if not tried:
        raise UserError(f"{name}.init: expected at least one game that it accepts, got none")
    for trial in tried:
        with naming(name, trial.game):
            _check_state(trial)
            _check_repeatable(trial)
            _check_recorded(trial)
            _check_rows(trial)
            _check_calls(trial)
            if interchangeable and not trial.draws and isinstance(trial.problem, QuadraticGame):
                _check_coordinates(trial)
            in_single = Trial.begin(single, trial.problem, torch.float32)
            if in_single:
                _check_state(in_single)


def _check_state(trial: Trial) -> None:
    """The state is nested tuples of tensors, batch axis first; nothing is changed in place."""
    optimizer, game, start, state = trial.optimizer, trial.game, trial.start, trial.state
    given = [*start, *_leaves(state)]
    before = [part.clone() for part in given]
    with torch.no_grad():
        moved, following = optimizer.step(game, start, state)
    if not all(torch.equal(*pair) for pair in zip(before, given, strict=True)):
        raise Wrong(
            "expected step to leave its iterate and state as they are, got others afterwards; "
            "compute new tensors instead of changing these in place"
        )
    for name, part, old in zip("xy", moved, start, strict=True):
        if not isinstance(part, Tensor) or (part.shape, part.dtype) != (old.shape, old.dtype):
            raise Wrong(
                f"expected step to return {name} of shape {tuple(old.shape)} in {old.dtype}, got "
                f"{_told(part)}"
            )
    kinds = [(leaf.shape, leaf.dtype) for leaf in _leaves(state)]
    if [(leaf.shape, leaf.dtype) for leaf in _leaves(following)] != kinds:
        raise Wrong(
            "expected step to return a state of the same shapes and types, got "
            f"{', '.join(map(_told, _leaves(following)))} instead of "
            f"{', '.join(map(_told, _leaves(state)))}"
        )


def _leaves(state: Any) -> list[Tensor]:
    try:
        leaves = list(tensors(state))
        map_state(Tensor.clone, state)
    except (TypeError, AttributeError, RecursionError):
        raise Wrong(
            f"expected a state of named tuples of tensors, nested or not, got {checks.shown(state)}"
        ) from None
    for leaf in leaves:
        if leaf.ndim == 0 or len(leaf) != COUNT:
            raise Wrong(
                f"expected a state with the batch axis first, ({COUNT}, …), got {_told(leaf)}; "
                "numbers that all instances share are one for each of them, (B, 1)"
            )
    return leaves


def _check_repeatable(trial: Trial) -> None:
    """Equal generators give equal runs, and the global one is left alone."""
    before = torch.get_rng_state()
    runs: list[Trajectory] = []
    for source in (generator(0, "states"), generator(0, "states"), None, None):
        state = trial.optimizer.init(trial.game, trial.start, source)
        with torch.no_grad():
            runs.append(trial.run(state=state))
    same = all(torch.equal(*pair) for r in (0, 2) for pair in _pairs(runs[r], runs[r + 1]))
    if not same or not torch.equal(before, torch.get_rng_state()):
        raise Wrong(
            "expected the same run from the same generator, got another; draw from the generator "
            "of init alone, in single precision, and keep what was drawn in the state"
        )


def _check_rows(trial: Trial) -> None:
    """Batched is one by one, meta-gradients included; a lost instance changes no other."""
    whole = trial.run()
    slopes = _meta_gradients(trial, whole)
    alone, sums = [], [torch.zeros_like(slope) for slope in slopes]
    for row in range(COUNT):
        one = slice(row, row + 1)
        start = Iterate(*(point[one] for point in trial.start))
        state = map_state(_rows(one), trial.state)
        alone.append(trial.run(trial.game.select(one), start, state))
        sums = [s + g for s, g in zip(sums, _meta_gradients(trial, alone[-1]), strict=True)]
        if not trial.draws:
            began = trial.optimizer.init(trial.game.select(one), start)
            pairs = zip(tensors(began), tensors(state), strict=True)
            if not all(_close(*pair) for pair in pairs):
                raise Wrong(f"expected init to begin each instance of a batch as alone; {APART}")
    together = [torch.cat(parts, dim=1) for parts in zip(*(r[:2] for r in alone), strict=True)]
    if not all(_close(*pair) for pair in zip(whole[:2], together, strict=True)):
        raise Wrong(f"expected each instance of a batch to go the way that it goes alone; {APART}")
    if not all(_close(*pair) for pair in zip(slopes, sums, strict=True)):
        raise Wrong(f"expected meta-gradients to be sums of what each instance alone has; {APART}")
    for poison in (torch.nan, torch.inf, 1e300):
        broken = Iterate(*(point.clone() for point in trial.start))
        broken.x[0], broken.y[0] = poison, poison
        state = trial.optimizer.init(trial.game, broken, generator(0, "states"))
        with torch.no_grad():
            beside = trial.run(start=broken, state=state)
        if not all(_close(a[:, 1:], b[:, 1:]) for a, b in _pairs(whole, beside)):
            raise Wrong(f"expected an instance that starts at {poison} to change no other; {APART}")


def _meta_gradients(trial: Trial, trajectory: Trajectory) -> list[Tensor]:
    """Of the last iterates by the weights."""
    weights = [weight for weight in trial.weights() if weight.requires_grad]
    value = join(trajectory.last).sum()
    if not weights or not value.requires_grad:
        return []
    return list(torch.autograd.grad(value, weights, allow_unused=True, materialize_grads=True))


def _check_recorded(trial: Trial) -> None:
    """A trajectory is the same recorded or not, under every policy."""
    with torch.no_grad():
        plain = trial.run()
    start = Iterate(*(point.clone().requires_grad_() for point in trial.start))
    for detach in Detach:
        state = trial.optimizer.init(trial.game, start, generator(0, "states"))
        recorded = trial.run(start=start, state=state, detach=detach)
        if not all(_close(*pair) for pair in _pairs(plain, recorded)):
            raise Wrong(
                f"expected the same trajectory with derivatives recorded (detach={detach}) as "
                "without, got another; let nothing depend on requires_grad or the gradient mode"
            )
        value = join(recorded.last).sum()
        if value.requires_grad:  # what was recorded can be used
            torch.autograd.grad(value, [*start, *trial.weights()], allow_unused=True)


def _check_calls(trial: Trial) -> None:
    """No more oracle calls are made than declared."""
    declared = trial.optimizer.oracle_calls(trial.game)
    game = Counted(trial.game)
    with torch.no_grad():
        state = trial.optimizer.init(game, trial.start, generator(0, "states"))
        at_start = game.calls[0]
        trial.run(game=game, state=state)
    made = game.calls[0] - at_start
    for what, count, most in (
        ("before the first iteration", at_start, declared.start),
        (f"in {ITERATIONS} iterations", made, ITERATIONS * declared.iteration),
    ):
        if count > most + 1e-9:
            raise Wrong(
                f"expected at most {most:g} oracle calls {what}, as oracle_calls declares, got "
                f"{count:g}; a field, a product or a resolvent is one, half of one is half a call"
            )


def _check_coordinates(trial: Trial) -> None:
    """Permuting the coordinates of x permutes its updates and does nothing else."""
    order, theta = torch.tensor([2, 0, 1]), dict(trial.game.theta)
    theta["P"] = theta["P"][:, order][:, :, order]
    theta["A"] = theta["A"][:, order]
    game = Instances(trial.problem, theta, COUNT)
    start = Iterate(trial.start.x[:, order], trial.start.y)
    with torch.no_grad():
        plain = trial.run()
        shuffled = trial.run(game, start, trial.optimizer.init(game, start))
    if not _close(plain.x[..., order], shuffled.x) or not _close(plain.y, shuffled.y):
        raise Wrong(
            "expected a permutation of the coordinates of x to permute its updates alone, got "
            "another trajectory; treat all alike, or say so by interchangeable=False"
        )


def _pairs(first: Trajectory, second: Trajectory) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(first[:2], second[:2], strict=True)


def _rows(index: slice) -> Callable[[Tensor], Tensor]:
    return lambda part: part[index]


def _close(first: Tensor, second: Tensor) -> bool:
    if first.shape != second.shape:
        return False
    if not first.numel() or not first.is_floating_point():
        return torch.equal(first, second)
    scale = max(1.0, first.detach().nan_to_num(0.0, 0.0, 0.0).abs().max().item())
    return torch.allclose(first, second, rtol=CLOSE, atol=CLOSE * scale, equal_nan=True)


def _told(part: object) -> str:
    if isinstance(part, Tensor):
        return f"{tuple(part.shape)} in {part.dtype}"
    return checks.shown(part)
