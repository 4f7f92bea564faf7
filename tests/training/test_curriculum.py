"""The curriculum: its schedule, its rankings, and that only the best count."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from l2o import Detach, UserError, unroll
from l2o.problems import MatrixGame
from l2o.training.curriculum import Curriculum, best
from l2o.training.rewards import ObjectiveReward, Unrolled
from l2o.training.run import TrainingRun
from l2o.training.train import train
from tests.helpers import double_batch, small_twin
from tests.training.test_configs import composed


def test_schedule_of_the_paper() -> None:
    """C = min{20 + epoch, 100} % (Eq. 36); the released code's 0.2 + epoch/100 up to epoch 80."""
    curriculum = Curriculum(start=0.2, growth=0.01)
    assert [curriculum.share(e) for e in (0, 1, 79, 80, 199)] == pytest.approx(
        [0.2, 0.21, 0.99, 1.0, 1.0]
    )
    assert Curriculum().share(0) == 1


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=50), st.integers(1, 100))
def test_the_best_are_the_lowest(values: list[float], percent: int) -> None:
    counted = best(torch.tensor(values, dtype=torch.double), percent / 100)
    count = -(-percent * len(values) // 100)
    assert counted.sum() == count
    kept = torch.tensor(values, dtype=torch.double)[counted].tolist()
    assert sorted(kept) == sorted(values)[:count]


def test_of_equals_the_first_count() -> None:
    assert best(torch.tensor([2.0, 1.0, 1.0, 1.0]), 0.5).tolist() == [False, True, True, False]


def test_rankings_by_hand() -> None:
    """Σ w_t‖∇_y f(x_t, y_t)‖² of the window, or the reward so far; infinite if diverged."""
    instances, start = double_batch(MatrixGame(m=2, n=3), 4)
    start.x[2] = 2e4
    reward = ObjectiveReward([1.0, 0.0, 3.0])
    trajectory = unroll(small_twin(), instances, start, 3, detach=Detach.GREEDY)
    sound = torch.tensor([True, True, False, True])
    squares = [
        instances.field_y(x, y).square().sum(1)
        for x, y in zip(trajectory.x, trajectory.y, strict=True)
    ]
    so_far = torch.tensor([4.0, -1.0, 2.0, math.inf]).double()
    arguments = instances, trajectory, reward, sound, so_far
    by_gradient = Curriculum(0.5, rank_by="gradient").ranking(*arguments)
    expected = (squares[1] + 3 * squares[3]).detach()
    expected[2] = torch.inf
    torch.testing.assert_close(by_gradient, expected)
    by_loss = Curriculum(0.5, rank_by="loss").ranking(*arguments)
    assert by_loss.tolist() == [4, -1, math.inf, math.inf]


@pytest.mark.parametrize("rank_by", ["gradient", "loss"])
def test_the_meta_gradient_is_that_of_the_best_alone(tmp_path: Path, rank_by: str) -> None:
    """Half of four instances, in the second window of an epoch."""
    overrides = [
        "curriculum=gradient",
        "curriculum.start=0.5",
        f"curriculum.rank_by={rank_by}",
        "variant.warmup_iterations=0",
    ]
    run = TrainingRun.from_config(composed(tmp_path, *overrides))
    data = run.data
    data.setup("fit")
    module = run.module
    first, second = data.train_dataloader()
    module.training_step(first, 0)
    iterate, state, so_far, _ = module._unroll
    module.training_step(second, 1).backward()
    found = [p.grad.clone() for p in run.optimizer.parameters()]

    run.optimizer.zero_grad()
    protocol = run.protocol
    trajectory = unroll(
        run.optimizer, data.instances[0], iterate, 2, state=state, detach=protocol.detach
    )
    values = run.reward(Unrolled(data.instances[0], trajectory, protocol.detach, False))
    if rank_by == "loss":
        ranking = so_far + values.detach()
    else:
        pairs = zip(trajectory.x[1:], trajectory.y[1:], strict=True)
        ranking = sum(data.instances[0].field_y(*pair).square().sum(1) for pair in pairs)
    values[ranking.argsort()[:2]].mean().backward()
    torch.testing.assert_close(found, [p.grad for p in run.optimizer.parameters()])


def test_the_share_that_counts_is_logged(tmp_path: Path) -> None:
    train(composed(tmp_path, "curriculum=gradient", "curriculum.growth=0.3", "protocol.epochs=3"))
    rows = [row.split(",") for row in (tmp_path / "metrics.csv").read_text().splitlines()]
    counted = [float(row[rows[0].index("train/counted")]) for row in rows[1:]]
    # Of four instances ⌈0.2 · 4⌉, ⌈0.5 · 4⌉ and ⌈0.8 · 4⌉
    assert counted == pytest.approx([0.25, 0.5, 1.0])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"start": 0}, "start: expected a number above 0, got 0"),
        ({"start": 1.5}, "start: expected a finite number"),
        ({"growth": -0.1}, "growth: expected a finite number of at least 0"),
        ({"rank_by": "luck"}, "rank_by: expected one of gradient, loss, got 'luck'"),
    ],
)
def test_bad_settings_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Curriculum(**settings)
