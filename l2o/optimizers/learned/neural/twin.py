"""The neural twin: one small rule for each of two networks that train against each other.

Axes: B instances, m / n parameters of x / y, P members of a population.
"""

from __future__ import annotations

from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor

from l2o.games import Game, Iterate
from l2o.io import checks
from l2o.io.seeds import generator as stream
from l2o.io.seeds import single_precision
from l2o.optimizers.base import LearnedOptimizer, OracleCalls
from l2o.optimizers.learned.neural.rule import Memory, Rule


class NeuralTwinState(NamedTuple):
    """What both rules remember, and the number of iterations done."""

    minimizer: Memory
    maximizer: Memory
    iteration: Tensor
    """(B, 1)"""


class NeuralTwin(LearnedOptimizer[NeuralTwinState]):
    """Two rules that choose steps relative to the parameters' scale, from scale-free statistics.

    x moves first, then y at the new x; see `Rule` for a half-step. Multiplying a cost changes
    nothing, and the units of a network may stand in any order.

    Args:
        units: Of the hidden layer of each rule.
        seed: Of the initial weights.
        statistics: Whether the rules look at statistics; without, all they decide is constant.
        pull: Whether parameters are pulled to their slow average.
        optimism: Whether the last change of the gradient is a direction.
        relative: Whether steps are relative to the scale of each parameter tensor.
        share_weights: One rule for both players.

    Raises:
        UserError: If a setting is not allowed.
    """

    def __init__(
        self,
        units: int = 8,
        seed: int = 0,
        statistics: bool = True,
        pull: bool = True,
        optimism: bool = True,
        relative: bool = True,
        share_weights: bool = False,
    ) -> None:
        super().__init__()
        checks.count("units", units)
        source = stream(checks.count("seed", seed, minimum=0), "weights")
        switches = {
            "statistics": statistics,
            "pull": pull,
            "optimism": optimism,
            "relative": relative,
        }
        for name, value in {**switches, "share_weights": share_weights}.items():
            checks.flag(name, value)
        self.share_weights = share_weights
        with single_precision():
            self.minimizer = Rule(units, source, **switches)
            if not share_weights:
                self.maximizer = Rule(units, source, **switches)

    @property
    def _rules(self) -> tuple[Rule, Rule]:
        return self.minimizer, self.minimizer if self.share_weights else self.maximizer

    def members(self, weights: Tensor) -> NeuralTwin:
        population = deepcopy(self)
        parameters = list(population.parameters())
        sizes = [parameter.numel() for parameter in parameters]
        parts = torch.split(weights, sizes, dim=1)
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.data = part.reshape(-1, *parameter.shape[1:])
        return population

    def init(
        self, game: Game, iterate: Iterate, generator: torch.Generator | None = None
    ) -> NeuralTwinState:
        first, second = self._rules
        x, y = iterate
        return NeuralTwinState(first.begin(x), second.begin(y), x.new_zeros(len(x), 1))

    def step(
        self, game: Game, iterate: Iterate, state: NeuralTwinState
    ) -> tuple[Iterate, NeuralTwinState]:
        (first, second), (x, y), (of_x, of_y, t) = self._rules, iterate, state
        if game.m:
            x, of_x = first(x, game.field_x(x, y), of_x, of_y.shown, t, game.tensors[0])
            x = game.project_x(x)
        if game.n:
            y, of_y = second(y, game.field_y(x, y), of_y, of_x.shown, t, game.tensors[1])
            y = game.project_y(y)
        return Iterate(x, y), NeuralTwinState(of_x, of_y, t + 1)

    def oracle_calls(self, game: Game) -> OracleCalls:
        return OracleCalls(iteration=1)
