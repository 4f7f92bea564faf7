"""Twin-L2O: Eq. 2 and the released code's tricks against hand-written half-steps."""

import math

import pytest
import torch
from torch import Tensor

from l2o import Iterate, UserError, unroll
from l2o.io.seeds import generator
from l2o.optimizers import TwinL2O, map_state
from l2o.optimizers.learned.twin import log_and_sign
from l2o.problems import MatrixGame, Problem, Seesaw
from tests.helpers import PROBLEMS, double_batch, gradients, small_twin


def test_two_half_steps_by_hand() -> None:
    """x⁺ = x + LSTM-Min([∇ₓf, ∇_y f](x, y)), y⁺ = y + LSTM-Max([∇_y f, ∇ₓf](x⁺, y))   (Eq. 2)."""
    twin = small_twin(state_rescale=0.5, state_std=0.3)
    instances, start = double_batch(Seesaw(), 3)
    state = twin.init(instances, start, generator(7))
    iterate, after = twin.step(instances, start, state)

    grad_x, grad_y = gradients(instances, *start)
    update, memory = twin.minimizer(torch.stack((grad_x, grad_y)), 0.5 * state.minimizer)
    x = start.x + update
    torch.testing.assert_close(iterate.x, x)
    torch.testing.assert_close(after.minimizer, memory)

    grad_x, grad_y = gradients(instances, x, start.y)
    update, memory = twin.maximizer(torch.stack((grad_y, grad_x)), 0.5 * state.maximizer)
    torch.testing.assert_close(iterate.y, start.y + update)
    torch.testing.assert_close(after.maximizer, memory)


def test_sign_warmup_by_hand() -> None:
    """Half-step k < 2K moves by sign(output)·s_k; for K = 2, s = 0.1, 0.2, 0.3, 0.4."""
    settings = {"warmup_iterations": 2, "warmup_start": 0.1, "warmup_end": 0.4}
    warm, cold = small_twin(**settings), small_twin()
    instances, start = double_batch(Seesaw(), 4)
    state = warm.init(instances, start)
    iterate = start
    for sizes in ((0.1, 0.2), (0.3, 0.4)):
        plain, _ = cold.step(instances, iterate, state)
        moved, state = warm.step(instances, iterate, state)
        torch.testing.assert_close(moved.x - iterate.x, sizes[0] * (plain.x - iterate.x).sign())
        torch.testing.assert_close(
            (moved.y - iterate.y).abs(), torch.full((4, 1), sizes[1]).double()
        )
        assert not moved.x.requires_grad
        iterate = moved
    plain, _ = cold.step(instances, iterate, state)
    moved, _ = warm.step(instances, iterate, state)
    torch.testing.assert_close(moved, plain)
    assert moved.x.requires_grad


def test_warmup_counts_the_iterations_of_each_instance_by_itself() -> None:
    twin = small_twin(warmup_iterations=1, warmup_start=0.5, warmup_end=0.5)
    instances, start = double_batch(Seesaw(), 2)
    state = twin.init(instances, start)
    state = state._replace(iteration=torch.tensor([[0], [1]]))
    moved, _ = twin.step(instances, start, state)
    step = (moved.x - start.x).abs().flatten()
    assert step[0].item() == pytest.approx(0.5)
    assert step[1].item() != pytest.approx(0.5)


def test_initial_states() -> None:
    instances, start = double_batch(Seesaw(), 500)
    zero = small_twin().init(instances, start)
    assert zero.minimizer.abs().sum() == 0
    twin = small_twin(state_std=0.01)
    random = twin.init(instances, start, generator(3))
    # 8,000 draws: the estimate of the deviation has one of 0.8 %.
    assert random.maximizer.std().item() == pytest.approx(0.01, rel=0.04)
    again = twin.init(instances, start, generator(3))
    assert torch.equal(random.minimizer, again.minimizer)
    assert not torch.equal(random.minimizer, twin.init(instances, start).minimizer)


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_batched_is_one_by_one(problem: Problem) -> None:
    twin = small_twin(warmup_iterations=2)
    instances, start = double_batch(problem, 5)
    together = unroll(twin, instances, start, 6)
    for b in range(5):
        one = slice(b, b + 1)
        alone = unroll(twin, instances.select(one), Iterate(start.x[one], start.y[one]), 6)
        torch.testing.assert_close(together.x[:, one], alone.x)
        torch.testing.assert_close(together.y[:, one], alone.y)


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), 1e300])
def test_a_broken_instance_changes_no_other(poison: float) -> None:
    twin = small_twin()
    instances, start = double_batch(Seesaw(), 4)
    healthy = unroll(twin, instances, start, 5)
    x = start.x.clone()
    x[2] = poison
    broken = unroll(twin, instances, Iterate(x, start.y), 5)
    others = torch.tensor([0, 1, 3])
    assert torch.equal(healthy.x[:, others], broken.x[:, others])
    assert torch.equal(healthy.y[:, others], broken.y[:, others])


def test_coordinates_are_interchangeable() -> None:
    """Permuting the coordinates of x (rows of A) permutes its updates and nothing else."""
    twin = small_twin()
    instances, start = double_batch(MatrixGame(m=4, n=3), 2)
    order = torch.tensor([2, 0, 3, 1])
    theta = {**instances.theta, "A": instances.theta["A"][:, order]}
    permuted = MatrixGame(m=4, n=3).sample(2, generator(0), dtype=torch.double)
    permuted.theta = theta
    original = unroll(twin, instances, start, 5)
    shuffled = unroll(twin, permuted, Iterate(start.x[:, order], start.y), 5)
    torch.testing.assert_close(shuffled.x, original.x[..., order])
    torch.testing.assert_close(shuffled.y, original.y)


def test_other_player_enters_as_its_mean() -> None:
    twin = small_twin()
    instances, start = double_batch(MatrixGame(m=3, n=2), 2)
    state = twin.init(instances, start)
    moved, _ = twin.step(instances, start, state)
    grad_x, grad_y = gradients(instances, *start)
    mean = grad_y.mean(1, keepdim=True).expand(2, 3)
    update, _ = twin.minimizer(torch.stack((grad_x, mean)), state.minimizer)
    torch.testing.assert_close(moved.x, start.x + update)


def test_map_state_reaches_every_tensor() -> None:
    instances, start = double_batch(Seesaw(), 2)
    state = small_twin().init(instances, start)
    seen: list[Tensor] = []
    map_state(lambda t: seen.append(t) or t, state)
    assert len(seen) == 3
    assert all(len(tensor) == 2 for tensor in seen), "the batch axis comes first"


def test_shared_weights_are_one_lstm() -> None:
    twin = small_twin(share_weights=True)
    assert twin.minimizer is twin.maximizer
    assert len(list(twin.parameters())) == len(list(twin.minimizer.parameters()))
    again = small_twin(share_weights=True, seed=7)
    again.load_state_dict(twin.state_dict())
    instances, start = double_batch(Seesaw(), 3)
    torch.testing.assert_close(
        unroll(twin, instances, start, 4).last, unroll(again, instances, start, 4).last
    )


def test_a_shared_hidden_state_goes_back_and_forth() -> None:
    """LSTM-Max starts from what LSTM-Min has left, and LSTM-Min from what LSTM-Max has left."""
    twin = small_twin(share_hidden=True)
    instances, (x, y) = double_batch(Seesaw(), 3)
    memory = twin.init(instances, Iterate(x, y)).minimizer
    for _ in range(3):
        grad_x, grad_y = gradients(instances, x, y)
        update, memory = twin.minimizer(torch.stack((grad_x, grad_y)), memory)
        x = x + update
        grad_x, grad_y = gradients(instances, x, y)
        update, memory = twin.maximizer(torch.stack((grad_y, grad_x)), memory)
        y = y + update
    start = double_batch(Seesaw(), 3)[1]
    torch.testing.assert_close(unroll(twin, instances, start, 3).last, Iterate(x, y))


def test_a_shared_hidden_state_needs_as_many_coordinates_of_both() -> None:
    instances, start = double_batch(MatrixGame(m=3, n=2), 2)
    with pytest.raises(UserError, match=r"share_hidden: expected as many .* got 3 and 2"):
        small_twin(share_hidden=True).init(instances, start)
    square, start = double_batch(MatrixGame(m=2, n=2), 2)
    assert unroll(small_twin(share_hidden=True), square, start, 3).x.isfinite().all()


def test_own_gradient_only_never_sees_the_other() -> None:
    twin = small_twin(inputs="own")
    instances, start = double_batch(MatrixGame(m=3, n=2), 2)
    moved, _ = twin.step(instances, start, twin.init(instances, start))
    grad_x, _ = gradients(instances, *start)
    update, _ = twin.minimizer(grad_x.unsqueeze(0), twin.init(instances, start).minimizer)
    torch.testing.assert_close(moved.x, start.x + update)
    assert twin.oracle_calls(instances).iteration == 1


def test_logarithm_and_sign_by_hand() -> None:
    """(log|g|/10, sgn g) from e^−10 on, (−1, e^10 g) below; zero stays (−1, 0)."""
    gradients = torch.tensor([[math.e, -1.0, 0.0, math.exp(-11)]]).double()
    expected = [[0.1, 0.0, -1.0, -1.0], [1.0, -1.0, 0.0, math.exp(-1)]]
    torch.testing.assert_close(log_and_sign(gradients), torch.tensor(expected).double())
    gradients.requires_grad_()
    log_and_sign(gradients).sum().backward()
    assert gradients.grad.isfinite().all()


def test_logarithmic_inputs_are_continuous() -> None:
    edge = math.exp(-10)
    close = log_and_sign(torch.tensor([[edge * (1 - 1e-9), edge * (1 + 1e-9)]]).double())
    torch.testing.assert_close(close[:, 0], close[:, 1], rtol=0, atol=1e-8)


def test_seed_makes_the_weights_and_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = TwinL2O(seed=1), TwinL2O(seed=1), TwinL2O(seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.minimizer.lower, same.minimizer.lower)
    assert not torch.equal(one.minimizer.lower, other.minimizer.lower)
    assert not torch.equal(one.minimizer.lower, one.maximizer.lower)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hidden_size": 0}, "hidden_size: expected a whole number of at least 1, got 0"),
        ({"state_rescale": float("nan")}, "state_rescale: expected a finite number"),
        ({"state_std": -1}, r"state_std: expected a finite number from 0 to 1e\+38, got -1"),
        ({"warmup_iterations": 2.5}, "warmup_iterations: expected a whole number"),
        ({"seed": -1}, "seed: expected a whole number of at least 0"),
    ],
)
def test_bad_settings_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        TwinL2O(**settings)
