"""Calls from Python that cannot work are answered like settings: in one line, before any work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import l2o
from l2o import Detach, HalpernSafeguard, Iterate, UserError, unroll
from l2o.evaluation.measure import measure
from l2o.evaluation.tuning import tune
from l2o.games import join
from l2o.io.seeds import generator
from l2o.optimizers import GDA, OGDA, AdaptiveOGDA, Optimizer, StructuredTwin, TwinL2O
from l2o.problems import MatrixGame, Noisy, Saddle, Seesaw

PROBLEM = MatrixGame(m=2, n=3)
GAME = PROBLEM.sample(4, generator(0))
START = PROBLEM.sample_start(4, generator(0))
X, Y = START
Z = join(START)
TWIN = TwinL2O(hidden_size=3)
OPTIMIZERS: list[Optimizer[Any]] = [GDA(), TWIN, StructuredTwin(), HalpernSafeguard(GDA())]


def source() -> torch.Generator:
    return torch.Generator().manual_seed(0)


STARTS: dict[str, tuple[Any, str]] = {
    "a count": (4, r"start: expected a pair of tensors \(x, y\), .* got 4"),
    "one tensor": (X, r"start: expected a pair of tensors"),
    "three": ((X, Y, Y), r"start: expected a pair of tensors"),
    "lists": (([0.0], [0.0]), r"start: expected a pair of tensors .* got \(\[0.0\], \[0.0\]\)"),
    "turned": ((Y, X), r"start: .* x of shape \(4, 2\) and y of shape \(4, 3\), got \(4, 3\) and"),
    "fewer": ((X[:3], Y[:3]), r"start: expected a point for each of 4 instances, .* got \(3, 2\)"),
    "vectors": ((X[0], Y[0]), r"start: .* got \(2,\) and \(3,\)"),
    "whole numbers": (
        (X.long(), Y.long()),
        r"start: expected x and y of one float type.* got torch.int64 on",
    ),
    "complex": ((X.cfloat(), Y.cfloat()), r"start: expected x and y of one float type"),
    "mixed": ((X, Y.double()), r"start: expected x and y of one float type .* and torch.float64"),
    "double": ((X.double(), Y.double()), r"start: expected points of the .* type, torch.float32"),
    "meta": (
        (X.to("meta"), Y.to("meta")),
        r"start: expected points .*float32 on cpu, got torch.float32 on meta",
    ),
}


@pytest.mark.parametrize("name", STARTS)
def test_starts_that_do_not_fit(name: str) -> None:
    given, words = STARTS[name]
    for optimizer in OPTIMIZERS:
        for call in (
            lambda o, s: o.init(GAME, s),
            lambda o, s: unroll(o, GAME, s, 3),
            lambda o, s: measure(o, GAME, s, 3),
        ):
            with pytest.raises(UserError, match=words):
                call(optimizer, given)


def test_a_plain_pair_is_a_point() -> None:
    pair: Any = (X, Y)
    for optimizer in OPTIMIZERS:
        assert torch.equal(unroll(optimizer, GAME, pair, 2).x, unroll(optimizer, GAME, START, 2).x)


CALLS: dict[str, tuple[Callable[[], Any], str]] = {
    # what is unrolled
    "class": (lambda: unroll(GDA, GAME, START, 3), r"optimizer: .* the class GDA; write GDA\(…\)"),
    "no optimizer": (lambda: unroll(None, GAME, START, 3), r"optimizer: .* got None"),
    "problem": (
        lambda: unroll(GDA(), PROBLEM, START, 3),
        r"game: expected a game, as problem.sample\(count, generator\) gives, got a MatrixGame",
    ),
    "swapped": (lambda: unroll(GAME, GDA(), START, 3), r"optimizer: expected an optimizer, got a"),
    "double weights": (
        lambda: unroll(TwinL2O(hidden_size=3).double(), GAME, START, 3),
        r"optimizer's type, torch.float64 on cpu, got torch.float32 on cpu; use optimizer.to",
    ),
    "guarded": (
        lambda: unroll(HalpernSafeguard(StructuredTwin().double()), GAME, START, 3),
        r"optimizer's type, torch.float64",
    ),
    "negative": (lambda: unroll(GDA(), GAME, START, -1), r"iterations: .* at least 0, got -1"),
    "half": (lambda: unroll(GDA(), GAME, START, 2.5), r"iterations: expected a whole number"),
    "true": (lambda: unroll(GDA(), GAME, START, True), r"iterations: .* got True"),
    "first": (lambda: unroll(GDA(), GAME, START, 3, first=-2), r"first: .* got -2"),
    "policy": (
        lambda: unroll(GDA(), GAME, START, 3, detach="all"),
        r"detach: expected one of none, inputs, greedy, got 'all'",
    ),
    "seed": (lambda: unroll(GDA(), GAME, START, 3, generator=0), r"generator: .* got 0"),
    "state": (
        lambda: unroll(GDA(), GAME, START, 3, state=3),
        r"state: .* on 4 instances, .* got 3",
    ),
    "state of others": (
        lambda: unroll(OGDA(), GAME, START, 3, state=OGDA().init(GAME.select([0]), _first())),
        r"state: expected that of an optimizer on 4 instances",
    ),
    # measured and tuned
    "measured class": (lambda: measure(GDA, GAME, START, 3), r"optimizer: .* write GDA\(…\)"),
    "measured problem": (lambda: measure(GDA(), PROBLEM, START, 3), r"game: expected a game"),
    "measured seed": (lambda: measure(GDA(), GAME, START, 3, generator=1), r"generator: .* got 1"),
    "measured count": (lambda: measure(GDA(), GAME, START, "3"), r"iterations: .* got '3'"),
    "tuned class": (lambda: tune(GDA, GAME, START, 3), r"optimizer: .* the class GDA"),
    "tuned twin": (lambda: tune(TWIN, GAME, START, 3), r"method: expected a hand-designed method"),
    "guarded class": (lambda: HalpernSafeguard(GDA), r"optimizer: .* got the class GDA"),
    # sampled
    "no count": (lambda: PROBLEM.sample(0, source()), r"count: .* at least 1, got 0"),
    "half a count": (lambda: PROBLEM.sample(2.0, source()), r"count: .* got 2.0"),
    "sampled by seed": (
        lambda: PROBLEM.sample(3, 0),
        r"generator: expected a CPU generator.* got 0",
    ),
    "no generator": (lambda: PROBLEM.sample_start(3, None), r"generator: .* got None"),
    "whole type": (lambda: PROBLEM.sample(3, source(), dtype=torch.int), r"dtype: .* torch.int32"),
    "type's name": (lambda: PROBLEM.sample(3, source(), dtype="float64"), r"dtype: .* 'float64'"),
    "python's": (lambda: PROBLEM.sample_start(3, source(), dtype=float), r"dtype: .* class float"),
    "device": (lambda: PROBLEM.sample(3, source(), device="gpu"), r"device: expected .* got 'gpu'"),
    "device's number": (lambda: PROBLEM.sample_start(3, source(), device=1.5), r"device: .* 1.5"),
    "noise of a game": (lambda: Noisy(GAME, 0.1), r"problem: expected a problem, got an Instances"),
    # selected
    "position": (lambda: GAME.select(1), r"select: .* positions below 4, .* got 1 \(it selects"),
    "beyond": (lambda: GAME.select([0, 4]), r"select: expected positions below 4.* got \[0, 4\]"),
    "beyond, tensor": (lambda: GAME.select(torch.tensor([9])), r"select: .* got tensor\(\[9\]\)"),
    "fractions": (lambda: GAME.select(torch.tensor([0.5])), r"select: expected positions below 4"),
    "mask": (lambda: GAME.select(torch.ones(3) > 0), r"select: .* a mask of as many"),
    "matrix": (lambda: GAME.select(torch.zeros(2, 2).long()), r"select: .*\(it selects \(2, 2\)\)"),
    "number": (lambda: GAME.select(0.5), r"select: .* got 0.5"),
    "times": (lambda: GAME.repeat(0), r"times: .* got 0"),
    "other family": (
        lambda: GAME.concatenate(Seesaw().sample(2, source())),
        r"concatenate: .* of a MatrixGame with m=2 and n=3 in .*, got an Instances",
    ),
    "other type": (
        lambda: GAME.concatenate(GAME.to(torch.double)),
        r"concatenate: .* in torch.float32 on cpu, too",
    ),
    "a point": (lambda: GAME.concatenate(X), r"concatenate: expected instances of a MatrixGame"),
    "to": (lambda: GAME.to(torch.long), r"dtype: expected a float type .* got torch.int64"),
    "to nowhere": (lambda: GAME.to("nowhere"), r"device: .* got 'nowhere'"),
    "to nothing": (lambda: GAME.to(None), r"device: .* got None"),
    "to a device of another machine": (
        lambda: GAME.to("mtia"),
        r"device: expected .* that PyTorch has here \(.*\), got 'mtia'",
    ),
    # asked for derivatives
    "field of x": (lambda: GAME.field(X), r"z: expected a tensor of shape \(4, 5\), got \(4, 2\)"),
    "field of a pair": (
        lambda: GAME.field(START),
        r"z: expected a tensor of shape .*, got Iterate",
    ),
    "field of fewer": (lambda: GAME.field_y(X[:3], Y[:3]), r"x: .* \(4, 2\), got \(3, 2\)"),
    "product": (lambda: GAME.jvp(Z, Z[:1]), r"w: .* of shape \(4, 5\), got \(1, 5\)"),
    "transposed": (lambda: GAME.vjp(Z, X), r"w: .* got \(4, 2\)"),
    "coupling": (lambda: GAME.coupling_x(X, Y, X), r"v: .* \(4, 3\), got \(4, 2\)"),
    "couplings": (lambda: GAME.coupling(Z, X), r"w: .* got \(4, 2\)"),
    "step": (lambda: GAME.resolvent(Z, -1), r"step: expected a number above 0, got -1"),
    "costs": (lambda: GAME.costs(X[:1], Y), r"x: .* \(4, 2\), got \(1, 2\)"),
    "distance": (lambda: GAME.distance(X, X), r"distance: .* y of shape \(…, 4, 3\), got \(4, 2\)"),
    # watched
    "record": (lambda: unroll(GDA(), GAME, START, 3, record="no"), r"record: .* got 'no'"),
    "watch": (lambda: unroll(GDA(), GAME, START, 3, watch=5), r"watch: expected a function"),
    # loaded
    "load": (lambda: l2o.load(None), r"path: expected the path of a checkpoint.* got None"),
    "load nothing": (lambda: l2o.load(""), r"path: expected a path, got ''"),
    "load a directory": (
        lambda: l2o.load("."),
        r"\.: expected a file, got a directory; .*best.ckpt",
    ),
    "load a long name": (lambda: l2o.load("a" * 5000), r"path: .* names of at most 255 bytes"),
    "load with trust": (lambda: l2o.load("a", trust_classes="b"), r"trust_classes: .* got 'b'"),
    "load a config": (lambda: l2o.load({"a": 1}), r"path: .* got \{'a': 1\}"),
}


def _first() -> Iterate:
    return Iterate(X[:1], Y[:1])


@pytest.mark.parametrize("name", CALLS)
def test_calls_that_cannot_work(name: str) -> None:
    call, words = CALLS[name]
    with pytest.raises(UserError, match=words) as raised:
        call()
    assert "\n" not in str(raised.value)


def test_policies_by_name_are_those_policies() -> None:
    by_name: Any = "greedy"
    twin = TwinL2O(hidden_size=3)
    slopes = []
    for detach in (by_name, Detach.GREEDY, Detach.INPUTS):
        twin.zero_grad()
        unroll(twin, GAME, START, 3, detach=detach).x.square().sum().backward()
        slopes.append(twin.minimizer.upper.grad.clone())
    assert torch.equal(slopes[0], slopes[1])
    assert not torch.equal(slopes[0], slopes[2])


def test_nothing_iterated_is_the_start() -> None:
    trajectory = unroll(GDA(), GAME, START, 0)
    assert torch.equal(trajectory.x, X.unsqueeze(0))
    assert len(measure(GDA(), GAME, START, 0).joint) == 1


@pytest.mark.parametrize("method", [GDA(), AdaptiveOGDA()])
def test_what_was_right_stays_right(method: Optimizer[Any]) -> None:
    """States go on, also those of a problem without parameters of a float type."""

    class Bare(Saddle):
        def sample_parameters(self, count: int, generator: torch.Generator) -> dict[str, Any]:
            ones = torch.ones(count, 1, dtype=torch.long)
            return {"a": ones, "b": ones}

    game = Bare().sample(3, source(), dtype=torch.double)
    start = Bare().sample_start(3, source(), dtype=torch.double)
    whole, part = unroll(method, game, start, 4), unroll(method, game, start, 2)
    rest = unroll(method, game, part.last, 2, state=part.state, first=2)
    assert torch.equal(whole.x[-1], rest.x[-1])


@pytest.mark.parametrize("default", [torch.float32, torch.float64])
def test_numbers_do_not_depend_on_the_default_float_type(default: torch.dtype) -> None:
    """Instances, weights and runs are those of single precision unless another one is named."""
    from tests.helpers import PROBLEMS

    def drawn() -> list[torch.Tensor]:
        found = list(TwinL2O(hidden_size=3, warmup_iterations=2).parameters())
        found += list(StructuredTwin(hidden_size=3).parameters())
        for problem in PROBLEMS.values():
            noisy = Noisy(problem, 0.1).sample(3, source())
            found += [*problem.sample_start(3, source()), *noisy.at(2).theta.values()]
        found += [*l2o.load("structured_twin/universal").parameters()]
        return [
            *found,
            unroll(TWIN, GAME, START, 3).x,
            unroll(l2o.optimizers.KBeam(), GAME, START, 3).y,
        ]

    expected = drawn()
    before = torch.get_default_dtype()
    torch.set_default_dtype(default)
    try:
        found = drawn()
    finally:
        torch.set_default_dtype(before)
    assert all(torch.equal(*pair) for pair in zip(expected, found, strict=True))


def test_counts_of_numpy_must_be_whole_numbers() -> None:
    with pytest.raises(UserError, match="iterations: expected a whole number"):
        unroll(GDA(), GAME, START, np.float64(3))
