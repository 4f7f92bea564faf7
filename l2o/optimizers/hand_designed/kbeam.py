"""K-beam: x descends against the best of several candidates for y."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from l2o.games import Game, Iterate, join
from l2o.io import checks
from l2o.io.seeds import generator
from l2o.optimizers.base import OracleCalls
from l2o.optimizers.hand_designed.base import STEP_SIZES, Grid, HandDesigned, Value, zeros


class Beams(NamedTuple):
    """The candidates for y, and the time."""

    beams: Tensor
    """(B, K, n); the iterate's y is the best of them."""
    iteration: Tensor
    """(B, 1)"""


@dataclass(frozen=True, eq=False)
class KBeam(HandDesigned[Beams]):
    """x⁺ = x − η_t∇ₓf(x, y^j), j = argmax f(x, y^j); every y^i += η_t∇_y f(x⁺, y^i).

    η_t = η/t^ν, t = 1, 2, …, and everything stays in the box [−r, r]. The iterate's y is the
    best candidate at the new x; the first step of x is against the y it is given. K = 1 without
    decay and box is alternating GDA. The K objectives it compares are not oracle calls.

    Args:
        beams: K.
        step_size: η > 0.
        decay: ν from 0 to 1, ½ in the paper.
        box: r, ½ in the paper; the further candidates start anywhere in it.

    Source: Hamm and Noh (ICML 2018).
    """

    beams: int = 5
    step_size: Value = 0.1
    decay: Value = 0.5
    box: float = 0.5

    needs_zero_sum = True
    grids = {"step_size": STEP_SIZES, "decay": Grid(0.0, 0.5, points=2, above=-0.1, below=1.1)}

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("beams", self.beams)
        if self.box != torch.inf:
            checks.positive("box", self.box)

    def oracle_calls(self, game: Game) -> OracleCalls:
        # One ∇ₓf and K ∇_y f, half a call each.
        return OracleCalls((1 + self.beams) / 2)

    def begin(self, game: Game, z: Tensor) -> Beams:
        y = game.split(z).y.unsqueeze(1)
        # The same points for every instance, so that none depends on its place in the batch.
        shape, source = (1, self.beams - 1, y.shape[2]), generator(0, "beams")
        uniform = torch.rand(shape, generator=source, dtype=torch.float32)
        others = (2 * uniform - 1).to(y) * min(self.box, 1.0)
        return Beams(torch.cat((y, others.expand(len(y), -1, -1)), dim=1), zeros(z))

    def advance(self, game: Game, z: Tensor, state: Beams) -> tuple[Tensor, Beams]:
        (x, y), time = game.split(z), state.iteration + 1
        step = self.step_size / time**self.decay
        x = self._boxed(x - step * game.field_x(x, y))
        beams = [self._boxed(beam - step * game.field_y(x, beam)) for beam in state.beams.unbind(1)]
        values = torch.stack([game.costs(x, beam).f for beam in beams], dim=1)
        candidates = torch.stack(beams, dim=1)
        best = values.argmax(1)[:, None, None].expand(-1, 1, candidates.shape[2])
        return join(Iterate(x, candidates.gather(1, best).squeeze(1))), Beams(candidates, time)

    def _boxed(self, point: Tensor) -> Tensor:
        return point.clamp(-self.box, self.box)
