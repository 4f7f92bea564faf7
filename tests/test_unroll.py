"""The unroll: composition, and where meta-gradients stop."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from l2o import Detach, Instances, Iterate, Trajectory, unroll
from l2o.io.seeds import generator
from l2o.optimizers import TwinL2O
from l2o.problems import Seesaw
from l2o.training.rewards import ObjectiveReward
from l2o.unroll import detached
from tests.helpers import double_batch, rewarded, small_twin

WINDOW = 3


def test_windows_make_up_the_whole() -> None:
    twin = small_twin(warmup_iterations=2)
    instances, start = double_batch(Seesaw(), 3)
    whole = unroll(twin, instances, start, 7)
    first = unroll(twin, instances, start, 4)
    iterate, state = detached(first)
    second = unroll(twin, instances, iterate, 3, state=state)
    assert torch.equal(torch.cat((first.x, second.x[1:])), whole.x)
    assert torch.equal(torch.cat((first.y, second.y[1:])), whole.y)
    assert whole.x.shape == (8, 3, 1)


@pytest.mark.parametrize("detach", Detach)
def test_policies_differ_in_gradients_only(detach: Detach) -> None:
    twin = small_twin()
    instances, start = double_batch(Seesaw(), 3)
    trajectory = unroll(twin, instances, start, WINDOW, detach=detach)
    assert torch.equal(trajectory.x, unroll(twin, instances, start, WINDOW).x)


class Recorded(Instances):
    """Instances that answer with gradients asked for before, whatever the iterate."""

    def __init__(self, instances: Instances) -> None:
        super().__init__(instances.problem, instances.theta, len(instances))
        self.answers: list[Tensor] = []
        self.replay: int | None = None

    def field(self, z: Tensor) -> Tensor:
        if self.replay is not None:
            self.replay += 1
            return self.answers[self.replay - 1]
        answer = super().field(z).detach()
        self.answers.append(answer)
        return answer


def _meta_loss(
    twin: TwinL2O, instances: Recorded, start: Iterate, state, detach: Detach, counted: bool
) -> Tensor:
    trajectory = unroll(twin, instances, start, WINDOW, state=state, detach=detach)
    return rewarded(ObjectiveReward(), instances, trajectory, detach, counted).mean


def _none(instances, trajectory, counted) -> Callable[[Trajectory], Tensor]:
    """Everything moves with the weights: the reward as it is."""

    def loss(moved: Trajectory) -> Tensor:
        f = lambda x, y: instances.costs(x, y).f  # noqa: E731
        total = torch.zeros(len(instances)).double()
        for t in range(1, WINDOW + 1):
            last = f(moved.x[t], moved.y[t])
            if t == WINDOW and not counted:
                last = f(trajectory.x[t], trajectory.y[t])
            half = f(moved.x[t], moved.y[t - 1])
            total = total + (half - last) + (half - f(moved.x[t - 1], moved.y[t - 1]))
        return total.mean()

    return loss


def _greedy(instances, trajectory, counted) -> Callable[[Trajectory], Tensor]:
    """Each output moves its own half-step alone, from where that one really started."""

    def loss(moved: Trajectory) -> Tensor:
        f, x, y = (lambda x, y: instances.costs(x, y).f), trajectory.x, trajectory.y
        total = torch.zeros(len(instances)).double()
        for t in range(1, WINDOW + 1):
            update_x, update_y = moved.x[t] - moved.x[t - 1], moved.y[t] - moved.y[t - 1]
            total = total + 2 * f(x[t - 1] + update_x, y[t - 1])
            share = 2 if t < WINDOW else int(counted)
            total = total - share * f(x[t], y[t - 1] + update_y)
        return total.mean()

    return loss


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("detach", Detach)
def test_meta_gradients_by_finite_differences(detach: Detach, counted: bool) -> None:
    """Under each policy, what is held fixed is fixed and what is not is not.

    `inputs` holds the LSTMs' inputs, `greedy` also the iterates that a half-step starts from.
    """
    twin = small_twin(hidden_size=3, state_rescale=0.8, state_std=0.5)
    original, start = double_batch(Seesaw(a=[0.5, 2.0]), 2)
    instances = Recorded(original)
    state = twin.init(instances, start, generator(1))
    with torch.no_grad():
        trajectory = unroll(twin, instances, start, WINDOW, state=state)

    make = _greedy if detach is Detach.GREEDY else _none
    reference = make(original, trajectory, counted)

    def perturbed() -> float:
        frozen = detach is not Detach.NONE
        instances.replay = 0 if frozen else None
        seen = instances if frozen else original
        with torch.no_grad():
            return reference(unroll(twin, seen, start, WINDOW, state=state)).item()

    instances.replay = None
    loss = _meta_loss(twin, original, start, state, detach, counted)
    loss.backward()
    for name, parameter in twin.named_parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        for k in range(0, len(flat), 7):
            value, step = flat[k].item(), 1e-5
            flat[k] = value + step
            above = perturbed()
            flat[k] = value - step
            below = perturbed()
            flat[k] = value
            difference = (above - below) / (2 * step)
            assert gradient[k].item() == pytest.approx(difference, abs=1e-8, rel=1e-5), name


def test_greedy_last_max_half_step_is_not_rewarded_in_its_window() -> None:
    """In a window of one iteration only LSTM-Min then has a meta-gradient."""
    twin = small_twin()
    instances, start = double_batch(Seesaw(), 2)
    trajectory = unroll(twin, instances, start, 1, detach=Detach.GREEDY)
    rewarded(ObjectiveReward(), instances, trajectory, Detach.GREEDY, False).mean.backward()
    assert twin.minimizer.head.grad.abs().sum() > 0
    assert twin.maximizer.head.grad is None or twin.maximizer.head.grad.abs().sum() == 0


def test_autograd_problems_can_be_unrolled_under_every_policy() -> None:
    from tests.helpers import Cubic

    twin = small_twin()
    instances, start = double_batch(Cubic(m=2, n=2, c=[0.5, 1.0]), 3)
    norms = []
    for detach in Detach:
        twin.zero_grad()
        trajectory = unroll(twin, instances, start, WINDOW, detach=detach)
        rewarded(ObjectiveReward(), instances, trajectory, detach, True).mean.backward()
        norms.append(twin.minimizer.upper.grad.norm().item())
    assert len(set(norms)) == 3
    with torch.no_grad():
        assert not unroll(twin, instances, start, WINDOW).x.requires_grad
