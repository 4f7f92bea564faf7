"""Rewards: their values by hand, their meta-gradients, and instances that diverge."""

import pytest
import torch

from l2o import Detach, Iterate, Trajectory, UserError, unroll
from l2o.io.seeds import generator
from l2o.problems import Instances, MatrixGame, RotatedSaddle, Seesaw
from l2o.training.rewards import (
    LogGradientNorm,
    NikaidoIsoda,
    ObjectiveReward,
    Reward,
    SquaredGradientNorm,
)
from tests.helpers import double_batch, gradients, rewarded, small_twin, unrolled


@pytest.mark.parametrize("detach", Detach)
@pytest.mark.parametrize("counted", [True, False])
def test_value_is_equation_4(detach: Detach, counted: bool) -> None:
    instances, start = double_batch(Seesaw(), 3)
    trajectory = unroll(small_twin(), instances, start, 4, detach=detach)
    x, y = trajectory.x, trajectory.y

    def f(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return instances.costs(x, y).f

    expected = sum(
        (f(x[t], y[t - 1]) - f(x[t], y[t])) + (f(x[t], y[t - 1]) - f(x[t - 1], y[t - 1]))
        for t in range(1, 5)
    )
    reward = rewarded(ObjectiveReward(), instances, trajectory, detach, counted)
    torch.testing.assert_close(reward.value, expected)
    torch.testing.assert_close(reward.mean, expected.mean())
    assert reward.sound.all()


def test_reward_of_two_half_steps_by_hand() -> None:
    """f = −y sin(πx): from (½, 1) to x = 1 and y = 3, f goes −1, 0, 0: (0 − 0) + (0 + 1) = 1."""
    instances, _ = double_batch(Seesaw(a=[1, 1], b=[1, 1]), 1)
    x = torch.tensor([0.5, 1.0]).double().view(2, 1, 1)
    y = torch.tensor([1.0, 3.0]).double().view(2, 1, 1)
    reward = rewarded(ObjectiveReward(), instances, Trajectory(x, y, None), Detach.GREEDY, True)
    assert reward.value.item() == pytest.approx(1)


def test_greedy_output_gets_twice_the_gradient_of_its_half_step() -> None:
    """∂/∂x_t of the reward is 2∇ₓf(x_t, y_{t−1}); ∂/∂y_t is −2∇_y f(x_t, y_t), the last −1 or 0."""
    instances, start = double_batch(Seesaw(), 2)
    with torch.no_grad():
        x, y, _ = unroll(small_twin(), instances, start, 3)
    for counted, last in ((True, -1), (False, 0)):
        x, y = x.detach().requires_grad_(), y.detach().requires_grad_()
        reward = rewarded(
            ObjectiveReward(), instances, Trajectory(x, y, None), Detach.GREEDY, counted
        )
        grad_x, grad_y = torch.autograd.grad(reward.value.sum(), (x, y))
        for t in range(1, 4):
            torch.testing.assert_close(grad_x[t], 2 * gradients(instances, x[t], y[t - 1])[0])
            weight = -2 if t < 3 else last
            torch.testing.assert_close(grad_y[t], weight * gradients(instances, x[t], y[t])[1])


@pytest.mark.parametrize("detach", Detach)
@pytest.mark.parametrize("poison", [float("nan"), float("inf"), -1e30, 2e4])
def test_a_diverged_instance_leaves_the_meta_gradient_alone(detach: Detach, poison: float) -> None:
    """The meta-gradient with a broken instance is that of the others alone."""
    instances, start = double_batch(Seesaw(), 3)
    x = start.x.clone()
    x[1] = poison
    found = []
    for keep in (torch.tensor([0, 1, 2]), torch.tensor([0, 2])):
        twin = small_twin()
        kept, begin = instances.select(keep), Iterate(x[keep], start.y[keep])
        trajectory = unrolled(twin, kept, begin, 3, detach)
        reward = rewarded(ObjectiveReward(), kept, trajectory, detach, True)
        reward.mean.backward()
        found.append([p.grad for p in twin.parameters()])
        assert reward.sound.tolist() == [i != 1 for i in keep.tolist()]
    torch.testing.assert_close(found[0], found[1])
    assert all(g.isfinite().all() for g in found[0])


def test_no_sound_instance_gives_no_meta_gradient() -> None:
    instances, start = double_batch(Seesaw(), 2)
    twin = small_twin()
    lost = Iterate(torch.full_like(start.x, torch.nan), start.y)
    reward = rewarded(
        ObjectiveReward(), instances, unrolled(twin, instances, lost, 2), Detach.NONE, True
    )
    reward.mean.backward()
    assert reward.mean.item() == 0
    assert all((p.grad == 0).all() for p in twin.parameters())


REWARDS = [ObjectiveReward(), SquaredGradientNorm(), LogGradientNorm(), NikaidoIsoda()]
rewards = pytest.mark.parametrize("reward", REWARDS, ids=lambda r: type(r).__name__)


def by_hand(
    reward: Reward, f: Instances, x: torch.Tensor, y: torch.Tensor, detach: Detach
) -> torch.Tensor:
    """R_t for t = 1, 2, …, straight from the formulas, (W, B)."""
    terms = []
    for t in range(1, len(x)):
        before, half, full = (
            f.costs(x[t - 1], y[t - 1]).f,
            f.costs(x[t], y[t - 1]).f,
            f.costs(x[t], y[t]).f,
        )
        # Greedy, each half-step answers for what it leaves.
        places = [(x[t], y[t - 1])] if detach is Detach.GREEDY else []
        squares = torch.stack(
            [torch.cat(gradients(f, *p), 1).square().sum(1) for p in [*places, (x[t], y[t])]]
        )
        moved_x = (x[t] - x[t - 1]).square().sum(1)
        moved_y = (y[t] - y[t - 1]).square().sum(1)
        terms.append(
            {
                ObjectiveReward: (half - full) + (half - before),
                SquaredGradientNorm: squares.mean(0),
                LogGradientNorm: (squares + 1e-12).log().mean(0),
                NikaidoIsoda: (half - full) ** 2 / moved_y + (half - before) ** 2 / moved_x,
            }[type(reward)]
        )
    return torch.stack(terms)


@rewards
@pytest.mark.parametrize("detach", Detach)
@pytest.mark.parametrize("counted", [True, False])
def test_values_are_those_of_the_formulas(reward: Reward, detach: Detach, counted: bool) -> None:
    instances, start = double_batch(MatrixGame(m=2, n=3), 4)
    trajectory = unroll(small_twin(), instances, start, 3, detach=detach)
    terms = by_hand(reward, instances, trajectory.x, trajectory.y, detach)
    found = rewarded(reward, instances, trajectory, detach, counted)
    torch.testing.assert_close(found.value, terms.sum(0))
    weighted = rewarded(
        type(reward)(weights=[0.5, 0.0, 2.0]), instances, trajectory, detach, counted
    )
    torch.testing.assert_close(weighted.value, 0.5 * terms[0] + 2 * terms[2])


@rewards
def test_meta_gradients_by_finite_differences(reward: Reward) -> None:
    """With nothing detached, through iterates, gradients and states, in every weight.

    Of so small a share of the reward that the meta-gradient of no instance is cut to 1.
    """
    instances, start = double_batch(RotatedSaddle(), 3)
    twin = small_twin(hidden_size=2)

    def meta_loss() -> torch.Tensor:
        return rewarded(
            reward, instances, unroll(twin, instances, start, 3), Detach.NONE, True
        ).mean

    meta_loss().backward()
    generator_ = generator(0, "direction")
    for weight in twin.parameters():
        direction = torch.randn(weight.shape, generator=generator_).double()
        slope = (weight.grad * direction).sum().item()
        values = []
        with torch.no_grad():
            for step in (1e-5, -2e-5):
                weight += step * direction
                values.append(meta_loss().item())
            weight += 1e-5 * direction
        assert (values[0] - values[1]) / 2e-5 == pytest.approx(slope, rel=1e-5, abs=1e-7)


@rewards
@pytest.mark.parametrize("counted", [True, False])
def test_greedy_outputs_answer_for_their_own_half_step(reward: Reward, counted: bool) -> None:
    """The meta-gradient at an iterate is that of the terms it ends, with the other held fixed."""
    instances, start = double_batch(RotatedSaddle(), 2)
    with torch.no_grad():
        x, y, _ = unroll(small_twin(), instances, start, 3)
    x, y = x.detach().requires_grad_(), y.detach().requires_grad_()
    value = rewarded(reward, instances, Trajectory(x, y, None), Detach.GREEDY, counted).value
    grad_x, grad_y = torch.autograd.grad(value.sum(), (x, y))
    assert (grad_x[0] == 0).all()
    assert (grad_y[0] == 0).all()
    assert (grad_x[1:] != 0).all()
    assert (grad_y[1:-1] != 0).all()
    assert (grad_y[-1] != 0).all() == counted


@rewards
def test_any_reward_leaves_a_diverged_instance_out(reward: Reward) -> None:
    instances, start = double_batch(Seesaw(), 3)
    start.x[1] = torch.nan
    twin = small_twin()
    found = rewarded(reward, instances, unrolled(twin, instances, start, 3), Detach.NONE, True)
    found.mean.backward()
    assert found.sound.tolist() == [True, False, True]
    assert found.value[1] == 0
    assert all(p.grad.isfinite().all() for p in twin.parameters())


def test_a_player_that_stands_still_is_not_judged() -> None:
    """Eq. 39 has 0/0 there: the term is zero and passes no gradient; the other stays."""
    instances, _ = double_batch(Seesaw(a=[1, 1], b=[1, 1]), 1)
    x = torch.tensor([0.5, 0.5]).double().view(2, 1, 1).requires_grad_()
    y = torch.tensor([1.0, 3.0]).double().view(2, 1, 1).requires_grad_()
    found = rewarded(NikaidoIsoda(), instances, Trajectory(x, y, None), Detach.NONE, True)
    # f(½, y) = −y: (−1 + 3)²/2² = 1
    assert found.value.item() == pytest.approx(1)
    gradients = torch.autograd.grad(found.value.sum(), (x, y))
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize(
    ("reward", "settings", "words"),
    [
        (ObjectiveReward, {"weights": [1, -1]}, "weights: expected a finite number of at least 0"),
        (ObjectiveReward, {"weights": "all"}, "weights: expected a list of numbers or null"),
        (ObjectiveReward, {"weights": 1.0}, "weights: expected a list of numbers or null"),
        (NikaidoIsoda, {"shortest": 0}, "shortest: expected a number above 0"),
    ],
)
def test_bad_settings_are_refused(reward: type, settings: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        reward(**settings)


def test_there_must_be_a_weight_for_each_iteration() -> None:
    ObjectiveReward().check(5)
    ObjectiveReward([1, 2]).check(2)
    with pytest.raises(UserError, match=r"reward\.weights: expected 3 numbers, .* got 2"):
        ObjectiveReward([1, 2]).check(3)
