"""The structured twin: its state, its settings, what it does untrained, its meta-gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor

from l2o import Detach, Iterate, UserError, unroll
from l2o.cli.config import CONFIGS, plain
from l2o.evaluation import Measurements, measure
from l2o.evaluation.metrics import accurate
from l2o.io.seeds import generator
from l2o.io.settings import build
from l2o.optimizers import StructuredTwin, map_state
from l2o.problems import Instances, MatrixGame, Problem, RotatedSaddle, Seesaw
from l2o.training.meta_gradients import MetaGradients
from l2o.training.rewards import LogGradientNorm, ObjectiveReward, Unrolled
from l2o.unroll import detached
from tests.helpers import PROBLEMS, Cubic, double_batch
from tests.optimizers.hand_designed.games import Smooth
from tests.optimizers.hand_designed.helpers import field, run
from tests.optimizers.hand_designed.test_oracle_calls import Counted
from tests.optimizers.learned.structured.helpers import (
    batch,
    iterations,
    on_every_problem,
    twin,
)


@on_every_problem
def test_state_has_the_batch_axis_first(problem: Problem) -> None:
    instances, z = batch(problem)
    for seen in iterations(twin(), instances, z, 2):
        for state in (seen.before, seen.after):
            leaves: list[Tensor] = []
            map_state(lambda leaf, kept=leaves: kept.append(leaf) or leaf, state)
            assert all(leaf.ndim >= 2 and len(leaf) == 5 for leaf in leaves)


def test_memory_is_as_large_as_declared() -> None:
    """2K numbers for a coordinate in secants, and three more."""
    instances, z = batch(MatrixGame(m=20, n=30))
    state = twin(memory=3).init(instances, Iterate(z[:, :20], z[:, 20:]))
    assert state.secants.moves.shape == state.secants.changes.shape == (5, 3, 50)
    for vector in (state.point, state.field, state.trust.expected):
        assert vector.shape == (5, 50)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 3), (7, 1), (30, 20)])
def test_one_set_of_weights_runs_on_every_size(m: int, n: int) -> None:
    """Solves games of any size, to 1e-6 within twice m + n and some iterations."""
    instances, z = batch(MatrixGame(m=m, n=n, p=1.0))
    residual = field(instances, run(twin(), instances, z, 2 * (m + n) + 30)).norm(dim=2)
    assert (residual.amin(0) < 1e-6 * residual[0]).all()
    assert run(twin(1.0), instances, z, 20).isfinite().all()


@pytest.mark.parametrize(
    ("settings", "calls"),
    [
        ({}, 1),
        ({"directions": ["gradient"]}, 1),
        ({"directions": ["gradient", "coupling"]}, 2),
        ({"memory": 0}, 1),
        ({"trust": False}, 1),
    ],
)
def test_declared_calls_are_those_made(settings: dict[str, Any], calls: float) -> None:
    optimizer = twin(**settings)
    instances, (x, y) = double_batch(MatrixGame(m=2, n=3), 2)
    problem = Counted(MatrixGame(m=2, n=3))
    counted = Instances(problem, instances.theta, 2)
    declared = optimizer.oracle_calls(counted)
    assert declared == (calls, 2)
    iterate = Iterate(x, y)
    state = optimizer.init(counted, iterate)
    assert problem.calls == 2
    for k in range(1, 4):
        iterate, state = optimizer.step(counted, iterate, state)
        assert problem.calls == 2 + k * calls


def test_untrained_without_secants_it_is_optimistic_gradient_descent_ascent() -> None:
    """z⁺ = z − 0.45·(2G_t − G_{t−1})/L with L = max(0.9 L, ‖ΔG‖/‖Δz‖), from a probe of 0.01."""
    instances, z = batch(Seesaw(a=[0.5, 2.0]))
    found = run(twin(memory=0, trust=False), instances, z, 20)
    now = field(instances, z)
    before = z - 0.01 * now / now.norm(dim=1, keepdim=True)
    last, constant = field(instances, before), None
    weight = torch.tensor(0.45).double()  # as the weights are stored
    for t in range(20):
        now = field(instances, z)
        slope = (now - last).norm(dim=1, keepdim=True) / (z - before).norm(dim=1, keepdim=True)
        constant = slope if constant is None else torch.maximum(0.9 * constant, slope)
        z, before, last = z - weight * (2 * now - last) / constant, z, now
        torch.testing.assert_close(found[t + 1], z, rtol=0, atol=1e-7)


def test_untrained_the_secant_step_is_the_designed_one() -> None:
    """z⁺ = z + a − ½(r + ‖r‖q₁)/L, a and r by least squares over all pairs so far."""
    instances, z = batch(MatrixGame(m=4, n=3))
    seen = list(iterations(twin(trust=False), instances, z, 4))
    for t in range(4):
        points = [seen[0].before.point, *(one.z for one in seen[: t + 1])]
        fields = [field(instances, point) for point in points]
        pairs = list(zip(points, points[1:], fields, fields[1:], strict=False))
        moves = torch.stack([b - a for a, b, _, _ in pairs], dim=2)
        changes = torch.stack([b - a for _, _, a, b in pairs], dim=2)
        weights = torch.linalg.lstsq(changes, -fields[-1].unsqueeze(2)).solution
        rest = fields[-1] + (changes @ weights).squeeze(2)
        newest = torch.linalg.qr(changes)
        q = newest.Q[:, :, -1] * newest.R[:, -1, -1].sign().unsqueeze(1)
        size, constant = rest.norm(dim=1, keepdim=True), seen[t].after.constant
        expected = points[-1] + (moves @ weights).squeeze(2) - (rest + size * q) / (2 * constant)
        torch.testing.assert_close(seen[t].following, expected, rtol=0, atol=1e-8)


@on_every_problem
def test_untrained_the_network_has_no_say(problem: Problem) -> None:
    instances, z = batch(problem)
    one, other = (
        run(twin(seed=seed, hidden_size=h), instances, z, 8) for seed, h in ((0, 4), (7, 9))
    )
    assert torch.equal(one, other)
    assert not torch.equal(run(twin(1.0), instances, z, 8), one)


def test_seed_makes_the_weights_and_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = StructuredTwin(seed=1), StructuredTwin(seed=1), StructuredTwin(seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.minimizer.cell, same.minimizer.cell)
    assert not torch.equal(one.minimizer.cell, other.minimizer.cell)
    assert not torch.equal(one.minimizer.cell, one.maximizer.cell)


def test_shared_weights_are_one_network() -> None:
    shared = twin(share_weights=True)
    assert shared.minimizer is shared.maximizer
    assert len(list(shared.parameters())) == 3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hidden_size": 0}, "hidden_size: expected a whole number of at least 1, got 0"),
        ({"memory": -1}, "memory: expected a whole number of at least 0, got -1"),
        ({"directions": "gradient"}, "directions: expected a list of names, got 'gradient'"),
        ({"directions": []}, "directions: expected a list of names"),
        ({"directions": ["up"]}, "directions: expected one of .*gradient.* got 'up'"),
        ({"normalizer": "mean"}, "normalizer: expected one of .*decayed.* got 'mean'"),
        ({"trust": 1}, "trust: expected true or false"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        StructuredTwin(**settings)


def seesaw(number: int) -> Problem:
    """The seesaw of a range of Table 1."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        settings = compose("train", [f"problem=seesaw_range{number}", "run_dir=/"])
    return build(plain(settings)["problem"], Problem, "problem")


def seesaw_run(number: int, **settings: Any) -> Measurements:
    """100 trajectories of 300 iterations."""
    problem = seesaw(number)
    instances = problem.sample(50, generator(0, "instances")).to(torch.double).repeat(2)
    start = Iterate(*(p.double() for p in problem.sample_start(100, generator(0, "start"))))
    return measure(twin(**settings), instances, start, 300)


@pytest.mark.parametrize("number", range(1, 8))
def test_untrained_it_solves_the_seesaws_of_table_1(number: int) -> None:
    """All of ranges 1, 2, 3 and 5; of each other range two are still on their way back.

    These started on a crest, sin(aπx) = ±1, from where a step leads to a large y.
    """
    measured = seesaw_run(number)
    missed = {4: 2, 6: 2, 7: 2}.get(number, 0)
    assert (~accurate(measured)).sum() <= missed
    assert not measured.diverged.any()


@pytest.mark.parametrize(
    "settings", [{"normalizer": "largest", "trust": False}, {"trust": False}], ids=str
)
def test_without_trust_more_are_missed(settings: dict[str, Any]) -> None:
    assert (~accurate(seesaw_run(4, **settings))).sum() > 5


def window_gradients(optimizer: StructuredTwin, instances: Instances, start: Iterate, state: Any):
    policy = MetaGradients(Detach.NONE)
    trajectory = policy.unroll(optimizer, instances, start, 10, state=state, first=0)
    values = LogGradientNorm()(Unrolled(instances, trajectory, Detach.NONE, True))
    sound = policy.sound(instances, trajectory, values)
    optimizer.zero_grad()
    policy.mean(values, sound, sound.sum()).backward()
    return trajectory


@pytest.mark.parametrize(
    "problem", [*PROBLEMS.values(), Cubic(m=2, n=2, c=[0.5, 1.0])], ids=[*PROBLEMS, "cubic"]
)
@pytest.mark.parametrize("settings", [{}, {"memory": 0}, {"directions": ["coupling"]}], ids=str)
def test_meta_gradients_stay_finite(problem: Problem, settings: dict[str, Any]) -> None:
    """Three windows from the start, each with a meta-update, and three where it has converged.

    Of the cubic some instances are NaN by then: they must not reach the weights.
    """
    optimizer = StructuredTwin(hidden_size=4, **settings)
    adam = torch.optim.Adam(optimizer.parameters(), lr=3e-3)
    instances = problem.sample(16, generator(0, "instances"))
    start = problem.sample_start(16, generator(0, "start"))
    state = optimizer.init(instances, start)
    for window in range(6):
        if window == 3:
            with torch.no_grad():
                start, state = detached(unroll(optimizer, instances, start, 80, state=state))
        trajectory = window_gradients(optimizer, instances, start, state)
        start, state = detached(trajectory)
        gradients = [p.grad for p in optimizer.parameters()]
        assert all(g is not None and g.isfinite().all() for g in gradients)
        if window < 3:
            assert optimizer.minimizer.constant.grad.abs().sum() > 0
            adam.step()


@pytest.mark.parametrize("settings", [{}, {"memory": 0}, {"trust": False}], ids=str)
@pytest.mark.parametrize(
    "problem", [RotatedSaddle(dimension=2), MatrixGame(m=3, n=4), Smooth()], ids=type
)
def test_meta_gradients_by_finite_differences(problem: Problem, settings: dict[str, Any]) -> None:
    """Three iterations in mid-run, in every kind of weight; the reward so small that none is cut.

    The meta-gradient of an instance is limited to a length of 1 wherever it passes.
    """
    optimizer = twin(0.3, **settings)
    instances, start = double_batch(problem, 4)
    with torch.no_grad():
        start, state = detached(unroll(optimizer, instances, start, 3))

    def meta_loss() -> Tensor:
        trajectory = unroll(optimizer, instances, start, 3, state=state)
        return 1e-4 * ObjectiveReward()(Unrolled(instances, trajectory, Detach.NONE, True)).mean()

    meta_loss().backward()
    checked = 0
    for name, weight in optimizer.named_parameters():
        flat, gradient = weight.data.view(-1), weight.grad.view(-1)
        for k in range(0, len(flat), 1 + len(flat) // 4):
            value, values = flat[k].item(), []
            with torch.no_grad():
                for step in (1e-5, -1e-5):
                    flat[k] = value + step
                    values.append(meta_loss().item())
            flat[k] = value
            difference = (values[0] - values[1]) / 2e-5
            assert gradient[k].item() == pytest.approx(difference, rel=1e-4, abs=1e-12), name
            checked += difference != 0
    assert checked > 6
