"""The history of a run, and which of its epochs is the best."""

import math

import pytest

from l2o.training.callbacks import SCORE, History


@pytest.mark.parametrize(
    ("scores", "best", "lowest"),
    [
        ([3.0], True, 3.0),
        ([3.0, 2.0], True, 2.0),
        ([2.0, 3.0], False, 2.0),
        ([2.0, 2.0], False, 2.0),
        ([math.nan], True, math.inf),
        ([math.nan, 5.0], True, 5.0),
        ([5.0, math.nan], False, 5.0),
        ([3.0, None], False, 3.0),
        ([None], False, math.inf),
        ([], False, math.inf),
    ],
)
def test_the_best_epoch(scores: list[float | None], best: bool, lowest: float) -> None:
    """The lowest score wins, the first of equals; an epoch without a score is never the best."""
    history = History()
    history.load_state_dict({"records": [{} if s is None else {SCORE: s} for s in scores]})
    assert history.is_best is best
    assert history.best_score == lowest
