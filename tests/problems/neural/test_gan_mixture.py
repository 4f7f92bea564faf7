"""GANs on mixtures: costs by hand, derivatives, batches, draws and measures."""

from typing import Any

import pytest
import torch
from torch.nn.functional import softplus

from l2o import UserError, unroll
from l2o.games import Costs, Game, join
from l2o.io.seeds import generator
from l2o.optimizers import Adam
from l2o.problems import GANMixture, Instances, Iterate, Noisy
from l2o.problems.neural.gan_mixture import LOSSES
from tests.helpers import double_batch

losses = pytest.mark.parametrize("loss", LOSSES)


def small(**settings: Any) -> GANMixture:
    """Of few parameters, and smooth unless told otherwise."""
    sizes = {"width": 3, "latent": 2, "batch": 4, "samples": 6, "components": 4}
    return GANMixture(**{**sizes, "activation": "tanh", **settings})


@losses
def test_it_is_what_every_problem_must_be(loss: str) -> None:
    small(loss=loss, activation="relu").check()


@losses
def test_costs_are_those_of_the_documentation(loss: str) -> None:
    problem = small(loss=loss)
    batch, (x, y) = double_batch(problem, 3)
    game = batch.at(5)
    real, fake = problem.real(game.theta), problem.generated(x, game.theta)
    d_real, d_fake = (problem.critic(y, points)[..., 0] for points in (real, fake))
    way = game.theta["between"]
    between = ((1 - way) * real + way * fake).detach().requires_grad_()
    slope = torch.autograd.grad(problem.critic(y, between).sum(), between)[0].norm(dim=2)
    classified = softplus(-d_real).mean(1) + softplus(d_fake).mean(1)
    expected = {
        "non_saturating": (softplus(-d_fake).mean(1), classified),
        "saturating": (-classified, classified),
        "wasserstein": (
            -d_fake.mean(1),
            d_fake.mean(1) - d_real.mean(1) + 10 * ((slope - 1) ** 2).mean(1),
        ),
        "hinge": (
            -d_fake.mean(1),
            (1 - d_real).clamp(min=0).mean(1) + (1 + d_fake).clamp(min=0).mean(1),
        ),
    }[loss]
    for found in (game.costs(x, y), _without_gradients(game, x, y)):
        torch.testing.assert_close(tuple(found), expected)
    assert game.zero_sum == (loss == "saturating")


def _without_gradients(game: Game, x: torch.Tensor, y: torch.Tensor) -> Costs:
    with torch.no_grad():
        return game.costs(x, y)


@losses
def test_products_are_the_derivatives_of_the_field(loss: str) -> None:
    """By finite differences, along one direction; those of the penalty flow through x too."""
    batch, start = double_batch(small(loss=loss), 2)
    game, z = batch.at(0), join(start)
    w = torch.randn(z.shape, generator=generator(1)).double()
    quotient = (game.field(z + 1e-5 * w) - game.field(z - 1e-5 * w)) / 2e-5
    torch.testing.assert_close(game.jvp(z, w), quotient, rtol=1e-5, atol=1e-6)


@losses
def test_side_by_side_is_one_by_one(loss: str) -> None:
    """Trajectories of a batch, with step sizes of their own, and one that diverges among them."""
    batch, start = double_batch(small(loss=loss), 4)
    steps = torch.tensor([[1e-3], [1e-2], [1e300], [1e-1]]).double()
    both = unroll(Adam(steps, alternating=True), batch, start, 8).last
    for row in (0, 1, 3):
        one = slice(row, row + 1)
        begin = Iterate(start.x[one], start.y[one])
        alone = unroll(Adam(steps[one], alternating=True), batch.select(one), begin, 8).last
        torch.testing.assert_close((both.x[one], both.y[one]), tuple(alone), rtol=1e-9, atol=1e-12)


def test_a_minibatch_is_that_of_seed_and_iteration() -> None:
    batch, start = double_batch(small(), 3)
    again, _ = double_batch(small(), 3)
    other, _ = double_batch(small(), 3, seed=1)
    f = batch.at(2).costs(*start).f
    assert torch.equal(f, again.at(2).costs(*start).f)
    assert not torch.equal(f, batch.at(3).costs(*start).f)
    assert not torch.equal(batch.at(2).theta["noise"], other.at(2).theta["noise"])
    assert batch.at(2).theta["latent"].shape == (3, 4, 2)
    assert not torch.equal(batch.at(2).theta["noise"][0], batch.at(2).theta["noise"][1])


def test_copies_of_a_task_see_its_minibatches() -> None:
    batch, start = double_batch(small(), 2)
    twice = batch.repeat(2).at(1)
    both = Iterate(*(point.repeat(2, 1) for point in start))
    torch.testing.assert_close(twice.costs(*both).f, batch.at(1).costs(*start).f.repeat(2))


def test_noise_leaves_the_minibatches_as_they_are() -> None:
    batch, start = double_batch(small(), 2)
    noisy = Noisy(small(), 0.1).sample(2, generator(0, "instances"), dtype=torch.double)
    assert noisy.problem.assessed
    sizes = {game.at(1).theta["latent"].shape for game in (batch, noisy)}
    assert sizes == {(2, 4, 2)}
    torch.testing.assert_close(noisy.costs(*start), batch.costs(*start))


def _measures(game: Instances, start: Iterate) -> dict[str, torch.Tensor]:
    return {one.name: game.measured(one, *start) for one in game.problem.measures}


def test_measures_do_not_depend_on_the_draw_or_the_others() -> None:
    batch, start = double_batch(small(), 3)
    found = _measures(batch, start)
    assert list(found) == ["log_energy_distance", "good_samples", "modes_covered"]
    alone = Iterate(start.x[1:2], start.y[1:2])
    for name, value in _measures(batch.select(slice(1, 2)), alone).items():
        torch.testing.assert_close(value, found[name][1:2])


def test_a_generator_of_one_point_by_hand() -> None:
    """With last weights 0 and its last biases at a centre, it generates that centre alone."""
    problem = small(shapes=["ring"], samples=400, turned=False, scale=2.0)
    batch, (x, y) = double_batch(problem, 1)
    x = torch.zeros_like(x)
    x[:, -2:] = torch.tensor([2.0, 0.0])  # the first of four centres
    found = _measures(batch, Iterate(x, y))
    assert found["good_samples"].item() == 1
    assert found["modes_covered"].item() == 0.25
    # The centres are 0, 2√2, 4 and 2√2 away from any of them, 2.41 on the average, so that
    # E = 2 · 2.41 − 0 − 2.41, but for σ = 0.05 and how many of 400 samples each has.
    assert found["log_energy_distance"].exp().item() == pytest.approx(2.41, rel=0.1)


def test_training_brings_the_samples_to_the_data() -> None:
    problem = GANMixture(width=24, components=4, shapes=["ring"])
    batch = problem.sample(4, generator(0))
    start = problem.sample_start(4, generator(1))
    with torch.no_grad():
        adam = Adam(3e-3, beta1=0.0, alternating=True)
        last = unroll(adam, batch, start, 400, record=False).last
        before, after = _measures(batch, start), _measures(batch, last)
    assert after["log_energy_distance"].mean() < before["log_energy_distance"].mean() - 1
    assert after["good_samples"].mean() > 0.3


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"loss": "least_squares"}, "loss: expected one of non_saturating, saturating, wass"),
        ({"width": -3}, "width: expected a whole number of at least 1, got -3"),
        ({"depth": 0}, "depth: expected a whole number of at least 1, got 0"),
        ({"batch": 2.5}, "batch: expected a whole number of at least 1, got 2.5"),
        ({"latent": 0}, "latent: expected a whole number"),
        ({"samples": 1}, "samples: expected a whole number of at least 2, got 1"),
        ({"components": 0}, "components: expected a whole number"),
        ({"deviation": 0}, "deviation: expected a number above 0, got 0"),
        ({"penalty": -1}, "penalty: expected a finite number of at least 0, got -1"),
        ({"shapes": ["star"]}, "shapes: expected one of ring, grid, cloud, spiral, got 'star'"),
        ({"shapes": []}, "shapes: expected at least one of ring, grid, cloud, spiral, got \\[\\]"),
        ({"shapes": "ring"}, "shapes: expected a list, .* got 'ring'"),
        ({"activation": "elu"}, "activation: expected one of relu, tanh, silu"),
        ({"turned": 1}, "turned: expected true or false, got 1"),
        ({"initial_deviation": 0}, "initial_deviation: expected a number above 0"),
    ],
)
def test_bad_settings_are_refused(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        GANMixture(**setting)
