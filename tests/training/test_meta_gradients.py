"""What of each instance's meta-gradient counts: per instance, whatever the others are."""

import torch

from l2o import Iterate
from l2o.optimizers import StructuredTwin
from l2o.problems import MatrixGame
from l2o.training.meta_gradients import BOUND, MetaGradients
from l2o.training.rewards import LogGradientNorm, Unrolled
from l2o.unroll import Detach
from tests.helpers import double_batch


def test_the_meta_gradient_of_an_instance_is_limited() -> None:
    """A row longer than the bound is shortened to it, one that is not finite left out."""
    policy = MetaGradients(Detach.NONE)
    policy.mean(torch.zeros(4), torch.ones(4, dtype=torch.bool), torch.tensor(4))
    rows = torch.tensor([[3.0, 4.0], [0.3, 0.4], [torch.inf, 1.0], [torch.nan, 1.0]]).double()
    found = policy._shortened(BOUND * rows / 4)
    expected = torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0], [0.0, 0.0]]).double()
    torch.testing.assert_close(found, BOUND * expected / 4)


def meta_gradient(rows: list[int], poison: bool = False) -> torch.Tensor:
    """Of the mean over some of six matrix games, through eight iterations of a structured twin."""
    game, start = double_batch(MatrixGame(), 6)
    x = start.x.clone()
    if poison:
        x[3] = torch.nan
    game, start = game.select(torch.tensor(rows)), Iterate(x[rows], start.y[rows])
    twin = StructuredTwin(hidden_size=3).double()
    policy = MetaGradients(Detach.NONE)
    state = twin.init(game, start)
    trajectory = policy.unroll(twin, game, start, 8, state=state, first=0)
    values = LogGradientNorm()(Unrolled(game, trajectory, Detach.NONE, True))
    sound = policy.sound(game, trajectory, values)
    policy.mean(values, sound, sound.sum()).backward()
    return torch.cat([p.grad.flatten() for p in twin.parameters() if p.grad is not None])


def test_an_instance_counts_the_same_in_a_batch_of_any_size() -> None:
    """The meta-gradient of a batch is the mean of each instance's alone, the bound included.

    Up to rounding, which eight iterations of secant steps magnify by some seven digits.
    """
    alone = torch.stack([meta_gradient([row]) for row in range(6)])
    torch.testing.assert_close(meta_gradient(list(range(6))), alone.mean(0), rtol=1e-6, atol=1e-8)


def test_an_instance_that_is_lost_counts_for_nothing() -> None:
    kept = meta_gradient([0, 1, 2, 4, 5])
    torch.testing.assert_close(meta_gradient(list(range(6)), poison=True), kept)
