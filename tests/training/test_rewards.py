"""The objective-based reward: its value, its symmetry, and instances that diverge."""

import pytest
import torch

from l2o import Detach, Iterate, Trajectory, unroll
from l2o.problems import Seesaw
from l2o.training.rewards import objective_reward
from tests.helpers import double_batch, small_twin


@pytest.mark.parametrize("detach", Detach)
@pytest.mark.parametrize("counted", [True, False])
def test_value_is_equation_4(detach: Detach, counted: bool) -> None:
    instances, start = double_batch(Seesaw(), 3)
    trajectory = unroll(small_twin(), instances, start, 4, detach=detach)
    x, y, f = trajectory.x, trajectory.y, instances.objective
    expected = sum(
        (f(x[t], y[t - 1]) - f(x[t], y[t])) + (f(x[t], y[t - 1]) - f(x[t - 1], y[t - 1]))
        for t in range(1, 5)
    )
    reward = objective_reward(instances, trajectory, detach, counted)
    torch.testing.assert_close(reward.value, expected)
    torch.testing.assert_close(reward.mean, expected.mean())
    assert reward.sound.all()


def test_reward_of_two_half_steps_by_hand() -> None:
    """f = −y sin(πx): from (½, 1) to x = 1 and y = 3, f goes −1, 0, 0: (0 − 0) + (0 + 1) = 1."""
    instances, _ = double_batch(Seesaw(a=[1, 1], b=[1, 1]), 1)
    x = torch.tensor([0.5, 1.0]).double().view(2, 1, 1)
    y = torch.tensor([1.0, 3.0]).double().view(2, 1, 1)
    reward = objective_reward(instances, Trajectory(x, y, None), Detach.GREEDY, True)
    assert reward.value.item() == pytest.approx(1)


def test_greedy_output_gets_twice_the_gradient_of_its_half_step() -> None:
    """∂/∂x_t of the reward is 2∇ₓf(x_t, y_{t−1}); ∂/∂y_t is −2∇_y f(x_t, y_t), the last −1 or 0."""
    instances, start = double_batch(Seesaw(), 2)
    with torch.no_grad():
        x, y, _ = unroll(small_twin(), instances, start, 3)
    for counted, last in ((True, -1), (False, 0)):
        x, y = x.detach().requires_grad_(), y.detach().requires_grad_()
        reward = objective_reward(instances, Trajectory(x, y, None), Detach.GREEDY, counted)
        grad_x, grad_y = torch.autograd.grad(reward.value.sum(), (x, y))
        for t in range(1, 4):
            torch.testing.assert_close(grad_x[t], 2 * instances.gradients(x[t], y[t - 1])[0])
            weight = -2 if t < 3 else last
            torch.testing.assert_close(grad_y[t], weight * instances.gradients(x[t], y[t])[1])


@pytest.mark.parametrize("detach", Detach)
@pytest.mark.parametrize("poison", [float("nan"), float("inf"), -1e30, 2e4])
def test_a_diverged_instance_leaves_the_meta_gradient_alone(detach: Detach, poison: float) -> None:
    """The meta-gradient with a broken instance is that of the others alone."""
    instances, start = double_batch(Seesaw(), 3)
    x = start.x.clone()
    x[1] = poison
    gradients = []
    for keep in (torch.tensor([0, 1, 2]), torch.tensor([0, 2])):
        twin = small_twin()
        kept, begin = instances.select(keep), Iterate(x[keep], start.y[keep])
        trajectory = unroll(twin, kept, begin, 3, detach=detach)
        reward = objective_reward(kept, trajectory, detach, True)
        reward.mean.backward()
        gradients.append([p.grad for p in twin.parameters()])
        assert reward.sound.tolist() == [i != 1 for i in keep.tolist()]
    torch.testing.assert_close(gradients[0], gradients[1])
    assert all(g.isfinite().all() for g in gradients[0])


def test_no_sound_instance_gives_no_meta_gradient() -> None:
    instances, start = double_batch(Seesaw(), 2)
    twin = small_twin()
    lost = Iterate(torch.full_like(start.x, torch.nan), start.y)
    reward = objective_reward(instances, unroll(twin, instances, lost, 2), Detach.NONE, True)
    reward.mean.backward()
    assert reward.mean.item() == 0
    assert all((p.grad == 0).all() for p in twin.parameters())
