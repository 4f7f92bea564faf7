"""Quadratic games: their spectra and their two ends."""

import pytest
import torch

from l2o import UserError
from l2o.io.seeds import generator
from l2o.problems import QuadraticGame


def test_spectra_are_those_that_were_asked_for() -> None:
    game = QuadraticGame(dimension=4, spectrum=[0.25, 4.0])
    theta = game.sample(10, generator(0)).theta
    # Four values from ¼ to 4, each 16^(1/3) times the one before
    expected = 0.25 * 16 ** (torch.arange(4) / 3)
    for name in ("P", "Q", "A"):
        found = torch.linalg.svdvals(theta[name]).flip(-1)
        torch.testing.assert_close(found, expected.expand(10, 4), rtol=1e-5, atol=1e-5)
    for name in ("P", "Q"):
        torch.testing.assert_close(theta[name], theta[name].mT)


def test_objective_by_hand() -> None:
    """c = ¼, P = 2, Q = 6, A = 3 at x = 1, y = 2: ¾(1 − 12) + ¼·6."""
    game = QuadraticGame(dimension=1)
    theta = {name: torch.tensor([[[value]]]) for name, value in (("P", 2.0), ("Q", 6.0))}
    theta |= {"A": torch.tensor([[[3.0]]]), "c": torch.tensor([[0.25]])}
    value = game.objective(torch.tensor([[1.0]]), torch.tensor([[2.0]]), theta)
    assert value.item() == pytest.approx(-0.75 * 11 + 0.25 * 6)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"c": [0.0, 1.5]}, r"c: expected a range within \[0, 1\], got \[0, 1\.5\]"),
        ({"spectrum": [0.0, 4.0]}, "spectrum: expected a number above 0, got 0"),
        ({"dimension": 0}, "dimension: expected a whole number of at least 1, got 0"),
    ],
)
def test_bad_settings_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        QuadraticGame(**settings)
