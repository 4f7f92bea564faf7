"""GD-Anchoring: its limit on f = xy, where the anchor's pull balances the field's drift."""

import torch

from l2o.optimizers.hand_designed import GDAnchoring
from tests.optimizers.hand_designed.games import bilinear, smooth_game
from tests.optimizers.hand_designed.helpers import path, run


def test_limit_on_xy() -> None:
    """k^{2−2p}‖G(z_k)‖² → γ²‖z₀‖².

    Late on, the two terms cancel: (1 − p)k^{−p}G = (1 − p)γk^{−1}(z₀ − z) with z → 0, hence
    ‖G‖ = γk^{p−1}‖z₀ − z‖. The start itself is forgotten like k^{−(1−p)γ}, for γ ≥ 2 at least
    k^{p−1} times as fast, so that this is the relative error.
    """
    powers = torch.tensor([[0.6], [0.667], [0.667]]).double()
    anchoring = torch.tensor([[2.0], [2.0], [4.0]]).double()
    start = torch.tensor([[0.3, -0.4]]).double().expand(3, 2)
    z = run(GDAnchoring(1.0, powers, anchoring), bilinear().repeat(3), start, 10_000)
    for k in (2_500, 10_000):
        ratio = (z[k].norm(dim=1, keepdim=True) / 0.5) * k ** (1 - powers) / anchoring
        assert ((ratio - 1).abs() < k ** (powers - 1)).all()


def test_steps_by_hand() -> None:
    """z⁺ = z − s(1 − p)/(k + 1)^p·G(z) + (1 − p)γ/(k + 1)·(z₀ − z), k = 0, 1, 2."""
    game, start = smooth_game()
    z, expected = start, []
    for k in range(3):
        pull = 0.4 * 3 / (k + 1) * (start - z)
        z = z - 0.1 * 0.4 / (k + 1) ** 0.6 * game.field(z) + pull
        expected.append(z)
    torch.testing.assert_close(path(GDAnchoring(0.1, 0.6, 3.0), game, start, 3), expected)
