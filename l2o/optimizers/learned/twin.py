"""Twin-L2O: LSTM-Min updates x, then LSTM-Max updates y at the new x (paper, Eq. 2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from l2o.games import Game, Iterate, join
from l2o.io import checks
from l2o.io.errors import UserError
from l2o.io.seeds import generator as stream
from l2o.io.seeds import single_precision
from l2o.optimizers.base import LearnedOptimizer, OracleCalls, check_start
from l2o.optimizers.learned.lstm import CoordinateLSTM

LOG_SCALE = 10.0
"""Logarithmic inputs cover magnitudes from e^−10 to 1 (Andrychowicz et al. 2016, p = 10)."""


class TwinState(NamedTuple):
    """The memory of both LSTMs and the number of iterations done."""

    minimizer: Tensor
    """(B, m, 4H)"""
    maximizer: Tensor
    """(B, n, 4H)"""
    iteration: Tensor
    """(B, 1)"""


@dataclass(frozen=True)
class Tricks:
    """What the released code does besides Eq. 2, see `TwinL2O`; refuses what is not allowed."""

    state_rescale: float
    state_std: float
    warmup_iterations: int
    warmup_start: float
    warmup_end: float

    def __post_init__(self) -> None:
        checks.count("warmup_iterations", self.warmup_iterations, minimum=0)
        for name in ("state_rescale", "state_std", "warmup_start", "warmup_end"):
            checks.number(name, getattr(self, name), minimum=0, maximum=checks.WIDEST)


class TwinL2O(LearnedOptimizer[TwinState]):
    """Two coordinate-wise LSTMs, one for each player.

    x_{t+1} = x_t + LSTM-Min(∇ₓf, ∇_y f at (x_t, y_t)),
    y_{t+1} = y_t + LSTM-Max(∇_y f, ∇ₓf at (x_{t+1}, y_t))            (paper, Eq. 2).

    In a game that is not zero-sum −∇_y g, the ascent of y, stands for ∇_y f.

    The other player's gradient enters each coordinate as its mean over that player's
    coordinates. For one coordinate a player, as in the paper's seesaw and saddles, that is
    Eq. 2 to the letter; beyond it, it needs neither m = n nor an order of coordinates.

    Sharing the weights gives both half-steps to one LSTM, with Eq. 2's inputs as they stand.
    Sharing the hidden state hands LSTM-Max, at the i-th coordinate of y, the state that
    LSTM-Min has just left at the i-th coordinate of x, and back; that needs m = n and depends
    on the order of coordinates.

    The arguments from `state_rescale` on are tricks of the released code that the paper does
    not mention; their defaults switch them off.

    Args:
        hidden_size: Units H of each LSTM layer.
        seed: Seed of the initial weights.
        share_weights: Whether one LSTM updates both players.
        share_hidden: Whether both players pass one hidden state back and forth.
        inputs: `both` gradients, or the player's `own` only.
        log_inputs: Whether an input g enters as its logarithm and sign instead,
            (log|g|/10, sgn g) for |g| > e^−10 and (−1, e^10 g) below.
        state_rescale: Factor on every LSTM state before every call.
        state_std: Standard deviation of the initial LSTM states; 0 starts them at zero.
        warmup_iterations: Iterations K whose half-steps k = 0, …, 2K − 1 move by
            sign(output)·s_k instead of the output.
        warmup_start: s_0.
        warmup_end: s_{2K−1}; s_k is linear in between.

    Raises:
        UserError: If a size is not positive or a factor is negative or not finite; at the
            start, if the hidden state is to be shared and m ≠ n.

    Source: Shen et al. (ICLR 2021), Section 3.1, the ablations of Section 4.1, and the code
        released with it; logarithmic inputs from Andrychowicz et al. (NeurIPS 2016), App. A.
    """

    @single_precision()
    def __init__(
        self,
        hidden_size: int = 50,
        seed: int = 0,
        share_weights: bool = False,
        share_hidden: bool = False,
        inputs: str = "both",
        log_inputs: bool = False,
        state_rescale: float = 1.0,
        state_std: float = 0.0,
        warmup_iterations: int = 0,
        warmup_start: float = 1e-4,
        warmup_end: float = 1e-1,
    ) -> None:
        super().__init__()
        self.hidden_size = checks.count("hidden_size", hidden_size)
        self.share_hidden = checks.flag("share_hidden", share_hidden)
        self.inputs = checks.choice("inputs", inputs, ("both", "own"))
        self.log_inputs = checks.flag("log_inputs", log_inputs)
        Tricks(state_rescale, state_std, warmup_iterations, warmup_start, warmup_end)
        self.state_rescale, self.state_std = state_rescale, state_std
        self.warmup_iterations = warmup_iterations
        # The row of an iteration: s_k of its min and of its max half-step.
        sizes = torch.linspace(warmup_start, warmup_end, 2 * warmup_iterations)
        self.register_buffer("_sizes", sizes.view(-1, 2), persistent=False)
        self._sizes: Tensor
        weights = stream(checks.count("seed", seed, minimum=0), "weights")
        features = (2 if self.inputs == "both" else 1) * (2 if self.log_inputs else 1)
        shared = checks.flag("share_weights", share_weights)
        self.minimizer = CoordinateLSTM(features, self.hidden_size, weights)
        self.maximizer = (
            self.minimizer if shared else CoordinateLSTM(features, self.hidden_size, weights)
        )
        # As a tensor: an operation with a Python number costs three times as much.
        self.register_buffer("_rescale", torch.tensor(float(state_rescale)), persistent=False)
        self._rescale: Tensor

    def init(
        self,
        game: Game,
        iterate: Iterate,
        generator: torch.Generator | None = None,
    ) -> TwinState:
        iterate = check_start(self, game, iterate)
        if self.share_hidden and iterate.x.shape != iterate.y.shape:
            raise UserError(
                "share_hidden: expected as many coordinates of x as of y (m = n), got "
                f"{iterate.x.shape[1]} and {iterate.y.shape[1]}; use share_hidden=false here"
            )
        generator = generator or torch.Generator().manual_seed(0)
        return TwinState(
            self._initial_memory(iterate.x, generator),
            self._initial_memory(iterate.y, generator),
            torch.zeros(len(iterate.x), 1, dtype=torch.long, device=iterate.x.device),
        )

    def step(self, game: Game, iterate: Iterate, state: TwinState) -> tuple[Iterate, TwinState]:
        return self._step(game, iterate, state, self._warmup(state.iteration))

    def oracle_calls(self, game: Game) -> OracleCalls:
        # Each half-step reads both players' gradients, or half of them.
        return OracleCalls(2 if self.inputs == "both" else 1)

    def _step(
        self, game: Game, iterate: Iterate, state: TwinState, warmup: Warmup | None
    ) -> tuple[Iterate, TwinState]:
        x, y = iterate
        gradients = self._gradients(game, x, y, 0)
        update, minimizer = self._call(self.minimizer, gradients, state.minimizer)
        x = x + (update if warmup is None else warmup.applied_to(update, 0))

        gradients = self._gradients(game, x, y, 1)
        memory = minimizer if self.share_hidden else state.maximizer
        update, maximizer = self._call(self.maximizer, gradients, memory)
        y = y + (update if warmup is None else warmup.applied_to(update, 1))

        minimizer = maximizer if self.share_hidden else minimizer
        return Iterate(x, y), TwinState(minimizer, maximizer, state.iteration + 1)

    def _warmup(self, iteration: Tensor) -> Warmup | None:
        """The sign warm-up of an iteration, (B, 1); None once no instance is in it."""
        if not self.warmup_iterations:
            return None
        active = iteration < self.warmup_iterations
        # To look is free on the CPU only; elsewhere it would wait for the device.
        if iteration.is_cpu and not active.any():
            return None
        sizes = self._sizes[iteration.clamp(max=self.warmup_iterations - 1).squeeze(1)]
        return Warmup(active, sizes, everywhere=iteration.is_cpu and bool(active.all()))

    def _initial_memory(self, player: Tensor, generator: torch.Generator) -> Tensor:
        shape = (*player.shape, 4 * self.hidden_size)
        if self.state_std == 0:
            return player.new_zeros(shape)
        # The same numbers in whatever precision the optimizer is trained.
        noise = torch.randn(shape, generator=generator, dtype=torch.float32)
        return (self.state_std * noise).to(player)

    def _gradients(self, game: Game, x: Tensor, y: Tensor, player: int) -> list[Tensor]:
        """What player 0 (min) or 1 (max) reads, its own gradient first, (B, m) or (B, n) each."""
        if self.inputs == "own":
            return [-game.field_y(x, y) if player else game.field_x(x, y)]
        grad_x, descent_y = game.split(game.field(join((x, y))))
        return [-descent_y, grad_x] if player else [grad_x, -descent_y]

    def _call(
        self, lstm: CoordinateLSTM, gradients: list[Tensor], state: Tensor
    ) -> tuple[Tensor, Tensor]:
        own, *others = gradients
        if others and not (others[0].shape == own.shape and own.shape[1] == 1):
            others = [others[0].mean(dim=1, keepdim=True).expand_as(own)]
        inputs = torch.stack((own, *others))
        # An instance that has overflowed must not reach the weights through 0 · inf.
        features = inputs.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        if self.log_inputs:
            features = log_and_sign(features)
        state = state if self.state_rescale == 1 else self._rescale * state
        output: tuple[Tensor, Tensor] = lstm(features, state)
        return output


def log_and_sign(gradients: Tensor) -> Tensor:
    """(log|g|/p, sgn g) where |g| ≥ e^−p, else (−1, e^p g), p = 10; (k, …) to (2k, …)."""
    smallest = math.exp(-LOG_SCALE)
    large = gradients.abs() >= smallest
    # The logarithm of what is not used must not be −inf, whose gradient would be NaN.
    logarithm = torch.where(large, gradients.abs(), 1).log() / LOG_SCALE
    return torch.cat(
        (
            torch.where(large, logarithm, -1.0),
            torch.where(large, gradients.sign(), gradients / smallest),
        )
    )


class Warmup(NamedTuple):
    """The sign warm-up in one iteration."""

    active: Tensor
    """Which instances are in it still, (B, 1)."""
    sizes: Tensor
    """s_k of the min and of the max half-step, (B, 2)."""
    everywhere: bool
    """Whether all instances are known to be in it."""

    def applied_to(self, update: Tensor, player: int) -> Tensor:
        """The update of player 0 (min) or 1 (max), (B, m): its sign times s_k while active."""
        size = self.sizes[:, player : player + 1]
        # A sign passes no gradient.
        moved = size * update.detach().sign()
        return moved if self.everywhere else torch.where(self.active, moved, update)
