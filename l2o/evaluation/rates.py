"""The best exact rates of a method over quadratic games, from cooperative to adversarial."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from l2o.evaluation.metrics import median
from l2o.evaluation.spectral import best_rates
from l2o.io.errors import UserError
from l2o.optimizers.hand_designed import HandDesigned
from l2o.problems import Instances


class Curve(NamedTuple):
    """One method's best rates over the mixtures."""

    name: str
    rates: Tensor
    """ρ, (mixtures, games); NaN where the method cannot be applied."""
    points: list[list[dict[str, float]]]
    """The hyperparameters that reach them."""
    calls: float
    """Oracle calls an iteration."""

    @property
    def per_call(self) -> Tensor:
        """ρ^(1/calls), (mixtures, games)."""
        return self.rates ** (1 / self.calls)

    @property
    def medians(self) -> Tensor:
        """ρ over the games, (mixtures,)."""
        return median(self.rates)


def rate_curve(
    name: str,
    method: HandDesigned[Any],
    mixtures: Tensor,
    games: Instances,
    on_mixture: Callable[[], object] = lambda: None,
) -> Curve:
    """The best rate of a method's grid on each game at each mixture.

    Args:
        name: Of the method.
        method: One whose iteration is linear.
        mixtures: Values of c, (mixtures,).
        games: Quadratic games, of whatever mixture.
        on_mixture: Called after each mixture, to show progress.
    """
    rates: list[Tensor] = []
    points: list[list[dict[str, float]]] = []
    for c in mixtures.tolist():
        try:
            best = best_rates(method, at_mixture(c, games))
        except UserError:
            # Follow-the-Ridge where the game is bilinear.
            rates.append(torch.full((len(games),), torch.nan, dtype=torch.double))
            points.append([{} for _ in range(len(games))])
        else:
            rates.append(best.rate)
            points.append(best.points)
        on_mixture()
    return Curve(name, torch.stack(rates), points, method.oracle_calls(games).iteration)


def at_mixture(c: float, games: Instances) -> Instances:
    """The same games at another mixture."""
    theta = {**games.theta, "c": torch.full_like(games.theta["c"], c)}
    return Instances(games.problem, theta, len(games))
