"""The safeguard: any optimizer, held to the convergence of Halpern's iteration.

Axes: B instances, d = m + n joint coordinates.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from l2o.games import Game, Iterate, join
from l2o.io import checks
from l2o.norms import norm
from l2o.optimizers.base import Optimizer, OracleCalls, check_start, map_state, tensors


class SafeguardState(NamedTuple):
    """The memory of the safeguard around that of the wrapped optimizer."""

    wrapped: Any
    """The state of the wrapped optimizer."""
    anchor: Tensor
    """u₁, the starting point, (B, d)"""
    image: Tensor
    """J(u_k), (B, d)"""
    iteration: Tensor
    """Iterations done, k − 1, (B, 1)"""
    fallbacks: Tensor
    """Proposals that were rejected, (B, 1)"""


class HalpernSafeguard(Optimizer[SafeguardState]):
    """u_{k+1} = z_{k+1}, the wrapped optimizer's proposal from u_k, if ‖F(z_{k+1})‖² −
    ⟨F(z_{k+1}), u₁ − z_{k+1}⟩/k ≤ C/(k + 1), else λ_k u₁ + (1 − λ_k)·J(u_k), λ_k = 1/(k + 1).

    J = (I + αG)⁻¹ and F = ½(I − J); u₁ is the start and u₂ = ½(u₁ + J u₁). Where G is monotone
    and d₁ = ‖u₁ − u*‖, whatever is wrapped,
    ‖u_k − J u_k‖ ≤ d₁/(k + 1) + √(d₁²/(k + 1)² + 4C(k − 1)/(k(k + 1))).

    A proposal that is not finite, or further than trust·(1 + ‖u₁‖) from u₁, is rejected untested.
    After a rejection the wrapped optimizer goes on with the state after its proposal: that state
    has seen the gradients at u_k, where the path did pass, so that what an LSTM or a momentum
    remembers stays true. (With the state before it, one bad memory proposes alike for ever:
    aGRAAL then falls back in every iteration.) If the proposal or that state is not finite, it
    goes on with the state before it; whole numbers in it, counters, go on.

    Args:
        optimizer: The wrapped optimizer, learned or hand-designed.
        step_size: α > 0 of the resolvent, a number or (B, 1).
        slack: C ≥ 0. With 0 the rate is 1/k, but then a fast optimizer is not let past Halpern's
            iteration: close to a solution half of all directions fail the test. With more the
            rate is 1/√k, which is felt only after about d₁²/C iterations.
        trust: The largest distance of a proposal, in units of 1 + ‖u₁‖; far out along a subspace
            of solutions, rounding would decide the test.

    Raises:
        UserError: If a setting is out of its range.

    Source: Shen et al. (ICLR 2021), Method 1, corrected: as printed, its line 6 tests u_{k+1},
        with 1/(k + 1) for 1/k, for which the bound does not hold where C > 0.
    """

    def __init__(
        self,
        optimizer: Optimizer[Any],
        step_size: float | Tensor = 1.0,
        slack: float = 1e-3,
        trust: float = 1e3,
    ) -> None:
        if not isinstance(optimizer, Optimizer):
            raise checks.refusal("optimizer", "an optimizer", optimizer)
        self.optimizer = optimizer
        self.step_size = step_size
        if not isinstance(step_size, Tensor):
            self.step_size = checks.positive("step_size", step_size)
        self.slack = checks.number("slack", slack, minimum=0)
        self.trust = checks.positive("trust", trust)

    def oracle_calls(self, game: Game) -> OracleCalls:
        """The most: the proposal's own, its resolvent and, after a rejection, the fallback's."""
        calls, resolvent = self.optimizer.oracle_calls(game), game.resolvent_calls
        return OracleCalls(calls.iteration + 2 * resolvent, calls.start + resolvent)

    def counts(self, state: SafeguardState) -> dict[str, Tensor]:
        """`fallback`: the share of its proposals, one an iteration from u₂ on, not taken."""
        proposals = (state.iteration - 1).clamp(min=1)
        share = (state.fallbacks / proposals).squeeze(1)
        return {**self.optimizer.counts(state.wrapped), "fallback": share}

    def init(
        self,
        game: Game,
        iterate: Iterate,
        generator: torch.Generator | None = None,
    ) -> SafeguardState:
        iterate = check_start(self, game, iterate)
        u = join(iterate)
        image = game.resolvent(u, self.step_size)
        # The wrapped optimizer begins where it is first asked, at u₂.
        second = game.split(torch.lerp(image, u, 0.5))
        wrapped = self.optimizer.init(game, second, generator)
        none = torch.zeros(len(u), 1, dtype=torch.long, device=u.device)
        return SafeguardState(wrapped, u, image, none, none)

    def step(
        self, game: Game, iterate: Iterate, state: SafeguardState
    ) -> tuple[Iterate, SafeguardState]:
        u, anchor = join(iterate), state.anchor
        asked = state.iteration > 0  # in the first iteration the proposal is not looked at
        k = (state.iteration + 1).to(u)
        proposal, advanced = self.optimizer.step(game, iterate, state.wrapped)
        z = join(proposal)
        eligible = asked & z.isfinite().all(1, keepdim=True)
        wrapped = _sound(advanced, state.wrapped, asked, eligible)

        eligible = eligible & (norm(z - anchor) <= self.trust * (1 + norm(anchor)))
        z = torch.where(eligible, z, u)
        image = game.resolvent(z, self.step_size)
        # Accepted if so, never rejected if not: NaN must not pass.
        accepted = eligible & (energy((z - image) / 2, anchor - z, k) <= self.slack / (k + 1))
        u = torch.where(accepted, z, torch.lerp(state.image, anchor, 1 / (k + 1)))
        # To look is free on the CPU only; elsewhere it would wait for the device.
        if not u.is_cpu or not accepted.all():
            image = torch.where(accepted, image, game.resolvent(u, self.step_size))
        fallbacks = state.fallbacks + (asked & ~accepted)
        return game.split(u), SafeguardState(wrapped, anchor, image, state.iteration + 1, fallbacks)


def energy(half_residual: Tensor, way_back: Tensor, k: Tensor) -> Tensor:
    """E_{k+1}(z) = ‖F(z)‖² − ⟨F(z), u₁ − z⟩/k of a candidate for u_{k+1}.

    Its index is what the induction needs: from E_n(u_n) ≤ 0 or C/n, a fallback has
    E_{n+1}(u_{n+1}) ≤ (n − 1)/(n + 1)·E_n(u_n), and E₂(u₂) ≤ 0 since u₁ − u₂ = F(u₁).

    Args:
        half_residual: F(z) = ½(z − J z), (B, d).
        way_back: u₁ − z, (B, d).
        k: (B, 1), for n + 1 = k + 1.

    Returns:
        (B, 1).
    """
    return (half_residual * (half_residual - way_back / k)).sum(1, keepdim=True)


def _sound(advanced: Any, before: Any, asked: Tensor, finite: Tensor) -> Any:
    """The advanced state of instances that were asked and are finite, the one before of others.

    Args:
        advanced: The state after the proposal.
        before: The state before it.
        asked: Which instances' proposals count, (B, 1).
        finite: Those of them whose proposals are finite, (B, 1).
    """
    for leaf in tensors(advanced):
        if leaf.is_floating_point():
            sound = leaf.isfinite().unsqueeze(1).flatten(1).all(1, keepdim=True)
            finite = finite & sound

    def chosen(after: Tensor, old: Tensor) -> Tensor:
        # Counters cannot break.
        mask = finite if after.is_floating_point() else asked
        mask = mask.view(-1, *[1] * (after.ndim - 1))
        return torch.where(mask, after, old)

    return map_state(chosen, advanced, before)
