"""K-beam: alternating descent-ascent as K = 1, its steps by hand, and what more beams do."""

import math

import pytest
import torch

from l2o.io.seeds import generator
from l2o.optimizers.hand_designed import AlternatingGDA, KBeam
from l2o.problems import Instances, Seesaw
from tests.optimizers.hand_designed.games import smooth_game
from tests.optimizers.hand_designed.helpers import path, run, split


def symmetric_seesaw(count: int) -> Instances:
    """a = b = 1."""
    return Seesaw(a=[1.0, 1.0], b=[1.0, 1.0]).sample(count, generator(0)).to(torch.double)


def test_one_beam_is_alternating_descent_ascent() -> None:
    game, z = smooth_game()
    found = path(KBeam(beams=1, step_size=0.1, decay=0.0, box=math.inf), game, z, 20)
    torch.testing.assert_close(found, path(AlternatingGDA(0.1), game, z, 20))


def test_steps_by_hand() -> None:
    """x⁺ = x − η_t∇ₓf(x, y^j), y^i += η_t∇_y f(x⁺, y^i), j = argmax f(x, y^j), η_t = .1/√t.

    Three candidates, in the box [−0.3, 0.3], that some coordinates reach.
    """
    method = KBeam(beams=3, step_size=0.1, decay=0.5, box=0.3)
    game, z = smooth_game()
    state = method.init(game.instances, split(game.instances, z[None]))
    (x, y), beams = game.split(z), list(state.beams[0])
    torch.testing.assert_close(beams[0], y)
    expected, chosen = [], []
    for t in range(1, 5):
        step = 0.1 / math.sqrt(t)
        x = (x - step * game.gradient(torch.cat((x, y)))[:2]).clamp(-0.3, 0.3)
        slopes = [game.gradient(torch.cat((x, beam)))[2:] for beam in beams]
        beams = [(b + step * s).clamp(-0.3, 0.3) for b, s in zip(beams, slopes, strict=True)]
        values = [game.objective(torch.cat((x, beam))).item() for beam in beams]
        chosen.append(values.index(max(values)))
        y = beams[chosen[-1]]
        expected.append(torch.cat((x, y)))
    assert any(chosen), "another candidate than the iterate's y was the best"
    torch.testing.assert_close(path(method, game, z, 4), expected)


def test_the_best_candidate_is_reported() -> None:
    instances, method = symmetric_seesaw(100), KBeam(beams=5)
    z = torch.rand(100, 2, generator=generator(0, "start")).double() - 0.5
    iterate, state = split(instances, z), None
    state = method.init(instances, iterate)
    for _ in range(20):
        iterate, state = method.step(instances, iterate, state)
        values = [instances.costs(iterate.x, beam).f for beam in state.beams.unbind(1)]
        assert torch.equal(instances.costs(*iterate).f, torch.stack(values).amax(0))


def test_everything_stays_in_the_box() -> None:
    instances = symmetric_seesaw(50)
    z = torch.rand(50, 2, generator=generator(0, "start")).double() - 0.5
    found = run(KBeam(beams=3, step_size=1.0, box=0.2), instances, z, 50)[1:]
    assert found.abs().amax() <= 0.2


def test_more_beams_come_closer_on_the_seesaw() -> None:
    """a = b = 1, 1000 steps: with one beam mean and median of |x| are about .25.

    With two the median falls to .0014, with ten to .0015. The mean falls less, to .06 and .007,
    for of starts uniform on the box a few lie so close to ½ that the slope cos(πx) is lost.
    """
    instances = symmetric_seesaw(300)
    z = torch.rand(300, 2, generator=generator(0, "start")).double() - 0.5
    x = {k: run(KBeam(beams=k), instances, z, 1000)[-1, :, 0].abs() for k in (1, 2, 10)}
    assert x[1].mean().item() == pytest.approx(0.23, abs=0.03)
    assert x[2].mean() < x[1].mean() / 2
    assert x[10].mean() < x[1].mean() / 10
    assert x[10].median() < x[1].median() / 100
