"""The nonconvex game of the tests: as a problem, as closures over parameters, and dense.

f = Σ sin(xᵀA)·y + 0.1‖x‖² − 0.2‖y‖² + 0.3 x₀y₁, A of 4×3, A_ij = cos(i + 2j); g = −f, or in the
general-sum game g = −f + 0.3 Σ sin(x)·y² + 0.1 x₁y₀.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

import l2o
from l2o.games import Costs, Iterate
from l2o.optim import Minimax
from l2o.optimizers import (
    ACGD,
    AGRAAL,
    CGD,
    EAGC,
    EAGV,
    FEG,
    GDA,
    LEAD,
    OGDA,
    SGA,
    SGD,
    Adam,
    AdaptiveExtragradient,
    AdaptiveOGDA,
    AlternatingGDA,
    AlternatingLEAD,
    Anderson,
    Consensus,
    ConsensusAdam,
    ExtraAdam,
    Extragradient,
    FollowTheRidge,
    GDAnchoring,
    Halpern,
    HalpernSafeguard,
    KBeam,
    LEADAdam,
    Lookahead,
    NegativeMomentum,
    NeuralTwin,
    OptimisticAdam,
    Optimizer,
    PastExtraAdam,
    SGAAdam,
    StructuredTwin,
    TwinL2O,
)
from l2o.problems import Problem

M, N = 4, 3
A = torch.cos(torch.arange(4.0).unsqueeze(1) + 2 * torch.arange(3.0)).double()
X = torch.tensor([0.4, -0.3, 0.2, 0.5]).double()
Y = torch.tensor([-0.1, 0.6, 0.3]).double()

ADAM = {"step_size": 0.05, "beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3}
METHODS: dict[str, Optimizer[Any]] = {
    "GDA": GDA(0.1),
    "AlternatingGDA": AlternatingGDA(0.1),
    "OGDA": OGDA(0.1),
    "AdaptiveOGDA": AdaptiveOGDA(),
    "Extragradient": Extragradient(0.1),
    "AdaptiveExtragradient": AdaptiveExtragradient(),
    "NegativeMomentum": NegativeMomentum(0.1, -0.3),
    "GDAnchoring": GDAnchoring(0.5),
    "EAGC": EAGC(3.0),
    "EAGV": EAGV(3.0),
    "FEG": FEG(3.0, 0.1),
    "Halpern": Halpern(0.3),
    "AGRAAL": AGRAAL(),
    "KBeam": KBeam(beams=3),
    "LEAD": LEAD(0.1, 0.1, 0.2),
    "AlternatingLEAD": AlternatingLEAD(0.1, 0.1, 0.2),
    "SGA": SGA(0.1, 0.2),
    "Consensus": Consensus(0.1, 0.2),
    "CGD": CGD(0.2),
    "FollowTheRidge": FollowTheRidge(0.1, 0.2),
    "Anderson": Anderson(memory=3, regularization=0.1),
    "Adam": Adam(**ADAM),
    "Adam, alternating": Adam(**ADAM, alternating=True, critic_steps=2),
    "SGD": SGD(0.05, 0.5, 0.1),
    "SGD, alternating": SGD(0.05, -0.3, alternating=True),
    "OptimisticAdam": OptimisticAdam(**ADAM),
    "ExtraAdam": ExtraAdam(**ADAM),
    "PastExtraAdam": PastExtraAdam(**ADAM),
    "LEADAdam": LEADAdam(**ADAM, coupling=0.4),
    "LEADAdam, alternating": LEADAdam(**ADAM, coupling=0.4, alternating=True),
    "SGAAdam": SGAAdam(**ADAM, adjustment=0.3),
    "ConsensusAdam": ConsensusAdam(**ADAM, adjustment=0.3),
    "ACGD": ACGD(0.05, 0.9, 1e-3),
    "Lookahead": Lookahead(Adam(**ADAM, alternating=True), period=3, weight=0.4),
    "Lookahead, LEADAdam": Lookahead(LEADAdam(**ADAM, coupling=0.4), period=2),
    "Anderson, OGDA": Anderson(OGDA(0.1), memory=1, regularization=0.1),
    "HalpernSafeguard": HalpernSafeguard(ExtraAdam(**ADAM), step_size=0.3),
    "TwinL2O": TwinL2O(hidden_size=4, state_std=0.1).double(),
    # Of a problem, it does not know what tensors there are.
    "NeuralTwin": NeuralTwin(units=4, relative=False).double(),
    "StructuredTwin": StructuredTwin(hidden_size=4).double(),
    "HalpernSafeguard, StructuredTwin": HalpernSafeguard(StructuredTwin(hidden_size=4).double()),
}
"""Every method that runs on closures: all but GMRES, which needs an affine field."""
ZERO_SUM = {"KBeam", "CGD", "FollowTheRidge", "ACGD"}
"""Those for zero-sum games alone."""


def value(x: Tensor, y: Tensor) -> Tensor:
    """f, for (…, 4) and (…, 3)."""
    across = (torch.sin(x @ A) * y).sum(-1)
    own = 0.1 * x.square().sum(-1) - 0.2 * y.square().sum(-1)
    return across + own + 0.3 * x[..., 0] * y[..., 1]


def other_cost(x: Tensor, y: Tensor) -> Tensor:
    """g of the general-sum game."""
    extra = 0.3 * torch.sin(x).sum(-1) * y.square().sum(-1)
    return extra + 0.1 * x[..., 1] * y[..., 0] - value(x, y)


class ZeroSum(Problem):
    """The game as a problem."""

    def __init__(self) -> None:
        super().__init__(m=M, n=N)

    def objective(self, x: Tensor, y: Tensor, theta: Any) -> Tensor:
        return value(x, y)


class GeneralSum(Problem):
    """The general-sum game as a problem."""

    def __init__(self) -> None:
        super().__init__(m=M, n=N)

    def costs(self, x: Tensor, y: Tensor, theta: Any) -> Costs:
        return Costs(value(x, y), other_cost(x, y))


PROBLEMS: Mapping[str, type[Problem]] = {"zero-sum": ZeroSum, "general-sum": GeneralSum}
GAMES = [
    (name, game)
    for name in METHODS
    for game in PROBLEMS
    if game == "zero-sum" or name not in ZERO_SUM
]


class Parameters:
    """Both players as users have them: several tensors each, of several shapes."""

    def __init__(self, x: Tensor = X, y: Tensor = Y) -> None:
        self.x = [x[:1].clone(), x[1:].reshape(3, 1).clone()]
        self.y = [y[:2].clone(), y[2].clone()]
        for parameter in (*self.x, *self.y):
            parameter.requires_grad_()

    @property
    def point(self) -> Iterate:
        """Raveled, with their graph, (4,) and (3,)."""
        x, y = (torch.cat([p.reshape(-1) for p in player]) for player in (self.x, self.y))
        return Iterate(x, y)

    def groups(self, **options: Any) -> list[dict[str, Any]]:
        """A group for each player."""
        return [
            {"params": self.x, "role": "min", **options},
            {"params": self.y, "role": "max", **options},
        ]

    def zero_sum(self) -> Any:
        return l2o.zero_sum(value(*self.point))

    def general_sum(self) -> Any:
        return l2o.general_sum(min=value(*self.point), max=other_cost(*self.point))

    def closure(self, game: str) -> Callable[[], Any]:
        return self.zero_sum if game == "zero-sum" else self.general_sum

    @property
    def z(self) -> Tensor:
        """Where they are, (7,)."""
        return torch.cat(self.point).detach().clone()


def trajectory(opt: Minimax, players: Parameters, closure: Any, steps: int = 25) -> Tensor:
    """All iterates, (steps + 1, 7)."""
    points = [players.z]
    for _ in range(steps):
        opt.step(closure)
        points.append(players.z)
    return torch.stack(points)
