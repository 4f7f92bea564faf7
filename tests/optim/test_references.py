"""Every method against its paper's formula, written out in `references`, over 25 steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

import pytest
import torch

import l2o
from l2o import optim
from l2o.optim import Minimax
from tests.optim import references
from tests.optim.games import GAMES, METHODS, Parameters, trajectory
from tests.optim.references import Dense

REFERENCES: dict[str, Callable[..., references.Path]] = {
    "GDA": references.gda,
    "AlternatingGDA": references.alternating_gda,
    "OGDA": references.ogda,
    "AdaptiveOGDA": references.adaptive_ogda,
    "Extragradient": references.extragradient,
    "AdaptiveExtragradient": references.adaptive_extragradient,
    "NegativeMomentum": references.negative_momentum,
    "GDAnchoring": references.gd_anchoring,
    "EAGC": partial(references.eag, varying=False),
    "EAGV": partial(references.eag, varying=True),
    "FEG": references.feg,
    "Halpern": references.halpern,
    "AGRAAL": references.agraal,
    "KBeam": references.k_beam,
    "LEAD": references.lead,
    "AlternatingLEAD": references.alternating_lead,
    "SGA": references.sga,
    "Consensus": references.consensus,
    "CGD": references.cgd,
    "FollowTheRidge": references.follow_the_ridge,
    "Anderson": references.anderson_extragradient,
    "Anderson, OGDA": references.anderson_ogda,
    "Adam": references.adam,
    "Adam, alternating": references.alternating_adam,
    "SGD": references.sgd,
    "SGD, alternating": references.alternating_sgd,
    "OptimisticAdam": references.optimistic_adam,
    "ExtraAdam": references.extra_adam,
    "PastExtraAdam": references.past_extra_adam,
    "LEADAdam": references.lead_adam,
    "LEADAdam, alternating": references.alternating_lead_adam,
    "SGAAdam": references.sga_adam,
    "ConsensusAdam": references.consensus_adam,
    "ACGD": references.acgd,
    "Lookahead": references.lookahead_adam,
    "Lookahead, LEADAdam": references.lookahead_lead_adam,
    "HalpernSafeguard": references.safeguarded_extra_adam,
}
ADAM = {"lr": 0.05, "betas": (0.5, 0.9), "eps": 1e-3}
OPTIMIZERS: dict[str, Callable[[Any], Minimax]] = {
    "Adam": partial(optim.Adam, **ADAM),
    "Adam, alternating": partial(optim.Adam, **ADAM, alternating=True, critic_steps=2),
    "SGD": partial(optim.SGD, lr=0.05, momentum=0.5, dampening=0.1),
    "SGD, alternating": partial(optim.SGD, lr=0.05, momentum=-0.3, alternating=True),
    "OptimisticAdam": partial(optim.OptimisticAdam, **ADAM),
    "ExtraAdam": partial(optim.ExtraAdam, **ADAM),
    "PastExtraAdam": partial(optim.PastExtraAdam, **ADAM),
    "LEADAdam": partial(optim.LEADAdam, **ADAM, coupling=0.4),
    "LEADAdam, alternating": partial(optim.LEADAdam, **ADAM, coupling=0.4, alternating=True),
    "SGAAdam": partial(optim.SGAAdam, **ADAM, adjustment=0.3),
    "ConsensusAdam": partial(optim.ConsensusAdam, **ADAM, adjustment=0.3),
    "ACGD": partial(optim.ACGD, lr=0.05, beta2=0.9, eps=1e-3),
}
"""Those with a name of their own in `l2o.optim`."""


def test_none_is_missing() -> None:
    """Learned methods have no formula, and are compared with their runs on the problem."""
    learned = {"TwinL2O", "NeuralTwin", "StructuredTwin", "HalpernSafeguard, StructuredTwin"}
    assert REFERENCES.keys() == METHODS.keys() - learned
    assert {
        type(make([torch.ones(1).requires_grad_()], role="min")) for make in OPTIMIZERS.values()
    } == {
        getattr(optim, name) for name in optim.__all__ if isinstance(getattr(optim, name), type)
    } - {Minimax, optim.Learned}


@pytest.mark.parametrize(("name", "game"), [pair for pair in GAMES if pair[0] in REFERENCES])
def test_25_steps(name: str, game: str) -> None:
    players = Parameters()
    path = REFERENCES[name](Dense(game), players.z)
    expected = torch.stack([players.z, *islice(path, 25)])
    make = OPTIMIZERS.get(name, lambda groups: Minimax(groups, METHODS[name]))
    found = trajectory(make(players.groups()), players, players.closure(game), 25)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert (found[-1] - found[0]).norm() > 0.1


BILINEAR = {
    "ExtraAdam": [(0.9, 1.1), (0.89878048, 1.09838197), (0.79744339, 1.19655604)],
    "LEADAdam": [(0.9, 1.1), (0.79852127, 1.19796555), (0.69561861, 1.29227849)],
}
"""On f = xy from (1, 1), lr 0.1, β = (0.5, 0.9); LEAD-Adam with (0.55, 0.9) for the player that
moves first, α = 0.6, alternating."""


def test_extra_adam_on_xy() -> None:
    """Halves are points of the path, too: its moments advance at both."""
    x, y = torch.ones(1).double().requires_grad_(), torch.ones(1).double().requires_grad_()
    opt = optim.ExtraAdam(
        [{"params": x, "role": "min"}, {"params": y, "role": "max"}], 0.1, (0.5, 0.9)
    )
    seen = []

    def closure() -> Any:
        seen.append((x.item(), y.item()))
        return l2o.zero_sum((x * y).sum())

    for _ in range(2):
        opt.step(closure)
    points = [*seen[1:], (x.item(), y.item())]
    torch.testing.assert_close(points[:3], BILINEAR["ExtraAdam"], rtol=0, atol=1e-8)


def test_lead_adam_on_xy() -> None:
    """The discriminator moves first, as in the paper's experiments: there it is the min player."""
    first, second = (torch.ones(1).double().requires_grad_() for _ in range(2))
    groups = [
        {"params": first, "role": "max", "betas": (0.55, 0.9)},
        {"params": second, "role": "min", "betas": (0.5, 0.9)},
    ]
    opt = optim.LEADAdam(groups, lr=0.1, coupling=0.6, alternating=True)
    points = []
    for _ in range(3):
        opt.step(lambda: l2o.zero_sum(-(first * second).sum()))
        points.append((first.item(), second.item()))
    torch.testing.assert_close(points, BILINEAR["LEADAdam"], rtol=0, atol=1e-8)
