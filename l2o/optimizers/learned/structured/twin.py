"""Structured Twin-L2O: two LSTMs that weigh directions known to matter in games.

Axes: B instances, m / n coordinates, d = m + n joint coordinates, H hidden units.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from l2o.games import Game, Iterate, join
from l2o.io import checks
from l2o.io.errors import UserError
from l2o.io.seeds import generator as stream
from l2o.io.seeds import single_precision
from l2o.norms import cosine, length, logarithm, slope
from l2o.optimizers.base import LearnedOptimizer, OracleCalls, check_start
from l2o.optimizers.learned.structured.directions import (
    CALLS,
    DIRECTIONS,
    FIRST,
    NORMALIZERS,
    Sight,
)
from l2o.optimizers.learned.structured.network import CoefficientLSTM
from l2o.optimizers.learned.structured.secants import Secants
from l2o.optimizers.learned.structured.trust import PROBE, Trust

EXPLORATION = (0.5, 0.5)
"""Before training, c_r and c_q: how far a secant step goes beyond what its memory spans."""

FAINT = 1e-4
"""What is this much shorter than the field tells a network nothing by its angle."""


class StructuredState(NamedTuple):
    """The memory: 2K + 3 numbers for each coordinate, and some for each instance."""

    minimizer: Tensor
    """Of LSTM-Min, (B, 2H)"""
    maximizer: Tensor
    """Of LSTM-Max, (B, 2H)"""
    point: Tensor
    """z_{t−1}, (B, d)"""
    field: Tensor
    """G_{t−1}, (B, d)"""
    constant: Tensor
    """L, (B, 1)"""
    secants: Secants
    trust: Trust


class StructuredTwin(LearnedOptimizer[StructuredState]):
    """z_{t+1} = z_t + w·(secant step where it is trusted, else base step), G = (∇ₓf, ∇_y g).

    base step:   Σ_k c_k d_k, over the named directions, each player with its own c;
    secant step: a − (c_r r + c_q‖r‖q₁)/L, with a = −P Qᵀ G the step to the shortest field
                 that the last K changes allow, r = G − Q Qᵀ G what is left of it there, and q₁
                 the newest change.

    On an affine field the secant step is a Krylov method with constant memory: r and q₁ are what
    it explores next (both are needed: in a bilinear game ⟨G, J G⟩ = 0, so that r alone stalls).
    That holds for any c_r and c_q, as long as all coordinates share them and a is taken whole; so
    the two networks agree on the mean of what they want there. The field counts as affine until
    it is caught (`Trust`); then that step is taken back, secant steps are taken only where they
    are not longer than those of late, and no step is more than twice as long as these.

    Every coefficient is c⁰ + 0.3·(W h) from the player's LSTM; c⁰ and W are learned, W starts
    at zero, so that untrained it is a designed method. The inputs are logarithms of ratios, and
    angles. L is a running Lipschitz estimate, so that a factor on f changes nothing.

    Args:
        hidden_size: H of each LSTM.
        seed: Seed of the initial weights.
        directions: Names of the base step's directions.
        normalizer: How L follows the slopes seen: `decayed`, `largest` or `none` (L = 1).
        memory: K, pairs of the secant memory; 0 leaves the base step alone.
        trust: Whether steps are limited at all.
        share_weights: Whether one LSTM serves both players.
        recurrent: Whether the LSTMs remember.
        raw_inputs: Whether lengths enter as they are rather than as logarithms of ratios.

    Raises:
        UserError: If a size or a name is not allowed.
    """

    @single_precision()
    def __init__(
        self,
        hidden_size: int = 20,
        seed: int = 0,
        directions: Sequence[str] = ("gradient", "optimism", "momentum"),
        normalizer: str = "decayed",
        memory: int = 4,
        trust: bool = True,
        share_weights: bool = False,
        recurrent: bool = True,
        raw_inputs: bool = False,
    ) -> None:
        super().__init__()
        self.hidden_size = checks.count("hidden_size", hidden_size)
        if not isinstance(directions, list | tuple) or not directions:
            raise UserError(f"directions: expected a list of names, got {checks.shown(directions)}")
        self.directions = [checks.choice("directions", name, DIRECTIONS) for name in directions]
        self.normalizer = NORMALIZERS[checks.choice("normalizer", normalizer, NORMALIZERS)]
        self.memory = checks.count("memory", memory, minimum=0)
        self.trust = checks.flag("trust", trust)
        self.recurrent = checks.flag("recurrent", recurrent)
        self.raw_inputs = checks.flag("raw_inputs", raw_inputs)
        first = [*(FIRST.get(name, 0.0) for name in self.directions), *EXPLORATION]
        features = 2 * (len(self.directions) + 2) + 5
        weights = stream(checks.count("seed", seed, minimum=0), "weights")
        shared = checks.flag("share_weights", share_weights)
        self.minimizer = CoefficientLSTM(features, self.hidden_size, first, weights)
        self.maximizer = (
            self.minimizer
            if shared
            else CoefficientLSTM(features, self.hidden_size, first, weights)
        )

    def init(
        self,
        game: Game,
        iterate: Iterate,
        generator: torch.Generator | None = None,
    ) -> StructuredState:
        iterate = check_start(self, game, iterate)
        z = join(iterate)
        field = game.field(z)
        point = z - PROBE * field / length(field)
        before = game.field(point)
        steepness = slope(z - point, field - before)
        # Where the field does not change along the probe: steps as long as the gradient.
        constant = torch.where(steepness > 0, steepness, 1)
        memory = z.new_zeros(len(z), 2 * self.hidden_size)
        trust = Trust.begin(field, constant)
        return StructuredState(
            memory, memory, point, before, constant, Secants.empty(z, self.memory), trust
        )

    def step(
        self, game: Game, iterate: Iterate, state: StructuredState
    ) -> tuple[Iterate, StructuredState]:
        z = join(iterate)
        sight, secants, trust = self._look(game, z, state)
        correction, rest = secants.solve(sight.field)
        steps = [DIRECTIONS[name](sight) for name in self.directions]
        seen = torch.stack((*steps, correction, -rest / sight.constant))
        shared = self._shared(sight, rest, state.field, trust)
        base, (left, newest), memories = self._coefficients(sight, seen, shared, state)

        # An instance that has overflowed ends as NaN, but must not reach the weights, by which it
        # is multiplied, through 0 · NaN.
        sound = seen.isfinite().all(0).all(1, keepdim=True)
        sound = sound & length(rest).isfinite() & sight.constant.isfinite()
        seen, rest, constant = (
            torch.where(sound, part, other)
            for part, other in ((seen, 0), (rest, 0), (sight.constant, 1))
        )
        explored = left * rest
        if secants.changes.shape[1]:
            last_change = torch.where(sound, secants.changes[:, 0], 0)
            explored = explored + newest * length(rest) * last_change
        correction = seen[-2]
        by_secants = correction - explored / constant
        combined = (base * seen[:-2]).sum(0)
        trusted = torch.full_like(trust.affine, self.memory > 0)
        if self.trust:
            trusted = trusted & (length(correction) <= trust.reach())
        step = torch.where(trusted, by_secants, combined)
        share = torch.ones_like(sight.constant)
        if self.trust:
            share = torch.where(sound, trust.shortened(step, trusted), 1)
        moved = torch.where(sound, share * step, torch.nan)
        trust = trust._replace(
            expected=sight.field - share * (sight.field - rest),
            unknown=torch.where(trusted, length(moved - share * correction), torch.inf),
            cut=(~trusted | (share < 1)) & trust.affine,
        )
        minimizer, maximizer = memories
        following = StructuredState(
            minimizer, maximizer, sight.point, sight.field, sight.constant, secants, trust
        )
        return game.split(sight.point + moved), following

    def oracle_calls(self, game: Game) -> OracleCalls:
        return OracleCalls(1 + sum(CALLS.get(name, 0) for name in self.directions), start=2)

    def _look(self, game: Game, z: Tensor, state: StructuredState) -> tuple[Sight, Secants, Trust]:
        """What the last step has shown; a step that was trusted wrongly is taken back."""
        field = game.field(z)
        caught = state.trust.caught(field, state.field) & self.trust
        z, field = torch.where(caught, state.point, z), torch.where(caught, state.field, field)
        move, change = z - state.point, field - state.field
        steepness = slope(move, change)
        constant = self.normalizer(state.constant, steepness)
        trust = state.trust.grown(caught, steepness, length(move))
        secants = state.secants.pushed(move, change, z).without(
            (state.trust.cut | caught) & self.trust
        )
        return Sight(game, z, field, move, change, constant), secants, trust

    def _shared(self, sight: Sight, rest: Tensor, last: Tensor, trust: Trust) -> Tensor:
        """What both networks see, (5, B)."""
        size = length(sight.field)
        ratios = torch.cat(
            (
                size / length(last),
                slope(sight.move, sight.change) / sight.constant,
                length(rest) / size,
            ),
            dim=1,
        )
        ratios = ratios if self.raw_inputs else logarithm(ratios)
        # 0 where the players only circle, as in a bilinear game, 1 where each just descends.
        monotone = cosine(sight.move, sight.change)
        return torch.cat((ratios, monotone, trust.affine.to(ratios)), dim=1).t()

    def _coefficients(
        self, sight: Sight, seen: Tensor, shared: Tensor, state: StructuredState
    ) -> tuple[Tensor, tuple[Tensor, ...], list[Tensor]]:
        """What the networks decide.

        Args:
            sight: Of this iteration.
            seen: The directions and both parts of the secant step, (k + 2, B, d).
            shared: What both networks see, (5, B).
            state: After the last iteration.

        Returns:
            Coefficients of the directions, (k, B, d), and of the two explorations, (B, 1)
            each; the networks' next states.
        """
        size = length(sight.field)
        unit = size / sight.constant
        m, count = sight.game.m, len(self.directions)
        coefficients, memories = [], []
        for player, network, memory in (
            (slice(None, m), self.minimizer, state.minimizer),
            (slice(m, None), self.maximizer, state.maximizer),
        ):
            own, downhill = seen[:, :, player], -sight.field[:, player]
            sizes = length(own)
            # Of what is rounding alone, as the rest of a field that is solved, so is the angle.
            clear = torch.hypot(sizes, FAINT * unit) * torch.hypot(length(downhill), FAINT * size)
            angles = (own * downhill / clear).sum(-1)
            sizes = (sizes if self.raw_inputs else logarithm(sizes / unit)).squeeze(-1)
            # An instance that has overflowed must not reach the weights through 0 · inf.
            features = torch.cat((sizes, angles, shared)).nan_to_num(0.0, 0.0, 0.0)
            memory = memory if self.recurrent else torch.zeros_like(memory)
            chosen, memory = network(features, memory)
            coefficients.append(chosen)
            memories.append(memory)
        of_x, of_y = coefficients
        sizes_of_players = (m, sight.field.shape[1] - m)
        base = torch.cat(
            [
                chosen[:count].unsqueeze(2).expand(-1, -1, size)
                for chosen, size in zip(coefficients, sizes_of_players, strict=True)
            ],
            dim=2,
        )
        agreed = ((of_x[count:] + of_y[count:]) / 2).unsqueeze(2).unbind()
        return base, agreed, memories
