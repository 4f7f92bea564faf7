"""The secant memory: orthonormal, true to an affine field, and its step the least-squares one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from l2o.io.seeds import generator
from l2o.optimizers.learned.structured.secants import Secants

BATCH = 3


class Pairs:
    """Moves at random, and the changes of an affine field along them."""

    def __init__(self, seed: int, size: int, count: int) -> None:
        source = generator(seed, "pairs")
        self.jacobian = torch.randn(BATCH, size, size, generator=source).double()
        self.moves = torch.randn(count, BATCH, size, generator=source).double()
        # Lengths over eight orders of magnitude, as in a run that converges.
        self.moves *= 10 ** (-8 * torch.rand(count, BATCH, 1, generator=source).double())
        self.field = torch.randn(BATCH, size, generator=source).double()

    def along(self, moves: Tensor) -> Tensor:
        """J p for each p of (…, B, d)."""
        return torch.einsum("bij,...bj->...bi", self.jacobian, moves)

    def remembered(self, memory: int) -> Secants:
        secants = Secants.empty(self.field, memory)
        for move in self.moves:
            secants = secants.pushed(move, self.along(move), move)
        return secants


sizes = st.integers(1, 8)
seeds = st.integers(0, 10_000)


def deviation(secants: Secants) -> float:
    """How far the nonzero changes are from orthonormal."""
    gram = secants.changes @ secants.changes.mT
    kept = (secants.changes != 0).any(2).to(gram)
    return (gram - torch.diag_embed(kept)).abs().max().item()


@given(seeds, sizes, st.integers(1, 12), st.integers(1, 6))
def test_changes_are_orthonormal_and_belong_to_their_moves(
    seed: int, size: int, count: int, memory: int
) -> None:
    """QᵀQ = I and J p = q, to the rounding that a move as long as p allows."""
    pairs = Pairs(seed, size, count)
    secants = pairs.remembered(memory)
    assert secants.changes.shape == (BATCH, min(memory, size), size)
    assert deviation(secants) <= 1e-10
    moves = secants.moves.transpose(0, 1)
    error = (pairs.along(moves) - secants.changes.transpose(0, 1)).norm(dim=2)
    assert (error <= 1e-10 * (1 + moves.norm(dim=2))).all()


@given(seeds, st.integers(2, 8), st.integers(1, 6))
def test_step_is_the_least_squares_one(seed: int, size: int, count: int) -> None:
    """a = S w with w = argmin ‖G + Y w‖ over the raw pairs, as many as are remembered."""
    count = min(count, size - 1)
    pairs = Pairs(seed, size, count)
    pairs.moves /= pairs.moves.norm(dim=2, keepdim=True)  # else `lstsq` is the less exact
    raw = pairs.moves.permute(1, 2, 0)
    changes = pairs.jacobian @ raw
    weights = torch.linalg.lstsq(changes, -pairs.field.unsqueeze(2)).solution
    step, rest = pairs.remembered(count).solve(pairs.field)
    conditions = torch.linalg.cond(changes).amax().item() * torch.linalg.cond(raw).amax().item()
    expected = (raw @ weights).squeeze(2)
    torch.testing.assert_close(step, expected, rtol=1e-12 * conditions, atol=1e-12 * conditions)
    left = pairs.field + (changes @ weights).squeeze(2)
    torch.testing.assert_close(rest, left, rtol=0, atol=1e-12 * conditions)
    torch.testing.assert_close(rest, pairs.field + pairs.along(step), rtol=0, atol=1e-9)


def test_a_full_memory_solves_an_affine_field() -> None:
    pairs = Pairs(1, 6, 6)
    step, rest = pairs.remembered(6).solve(pairs.field)
    assert rest.abs().max() < 1e-12
    torch.testing.assert_close(pairs.along(step), -pairs.field, rtol=0, atol=1e-8)


def test_the_newest_come_first_and_the_oldest_go() -> None:
    """Along the axes nothing is to be orthogonalized: with J = 2I, p = e/2 and q = e."""
    axes = torch.eye(4).double()
    secants = Secants.empty(axes[:1], 2)
    for axis in axes[:3]:
        secants = secants.pushed(3 * axis[None], 6 * axis[None], axis[None])
    assert torch.equal(secants.changes[0], axes[[2, 1]])
    assert torch.equal(secants.moves[0], axes[[2, 1]] / 2)


def test_without_a_memory() -> None:
    pairs = Pairs(0, 5, 3)
    secants = pairs.remembered(0)
    step, rest = secants.solve(pairs.field)
    assert secants.moves.shape == (BATCH, 0, 5)
    assert (step == 0).all()
    assert torch.equal(rest, pairs.field)


def test_there_are_no_more_pairs_than_coordinates() -> None:
    assert Secants.empty(torch.zeros(2, 3), 10).moves.shape == (2, 3, 3)


def test_a_memory_is_emptied_for_some_instances() -> None:
    secants = Pairs(0, 5, 4).remembered(3)
    emptied = secants.without(torch.tensor([[False], [True], [False]]))
    for before, after in zip(secants, emptied, strict=True):
        assert (after[1] == 0).all()
        assert torch.equal(after[[0, 2]], before[[0, 2]])
    assert (emptied.solve(torch.ones(BATCH, 5).double())[0][1] == 0).all()


@pytest.mark.parametrize("kind", ["repeated", "spanned", "still", "flat"])
def test_a_change_that_teaches_nothing_is_not_stored(kind: str) -> None:
    """It takes a place all the same, so that old pairs go: they may be out of date."""
    pairs = Pairs(0, 5, 2)
    known = pairs.remembered(4)
    move = {
        "repeated": pairs.moves[0],
        "spanned": 2 * pairs.moves[0] - pairs.moves[1],
        "still": torch.zeros(BATCH, 5).double(),
        "flat": pairs.moves[0],
    }[kind]
    change = torch.zeros_like(move) if kind == "flat" else pairs.along(move)
    after = known.pushed(move, change, move)
    assert (after.changes[:, 0] == 0).all()
    assert (after.moves[:, 0] == 0).all()
    assert torch.equal(after.changes[:, 1:], known.changes[:, :-1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-16, 1e-8, 1.0, 1e12])
def test_the_scale_of_f_does_not_matter(dtype: torch.dtype, scale: float) -> None:
    """q stays of length 1, however short the changes are: their squares must not underflow.

    Rows that are shorter, or no longer orthogonal, would pull a run away from the solution that
    it has found.
    """
    pairs = Pairs(2, 6, 4)
    pairs.moves /= pairs.moves.norm(dim=2, keepdim=True)
    secants = Secants.empty(pairs.field.to(dtype), 4)
    for move in pairs.moves.to(dtype):
        change = scale * pairs.along(move.double())
        secants = secants.pushed(move, change.to(dtype), move)
    assert (secants.changes != 0).any(2).all()
    assert deviation(secants) < 10 * torch.finfo(dtype).eps
    torch.testing.assert_close(secants.changes, pairs.remembered(4).changes.to(dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("far", [0.0, 1.0, 100.0])
def test_moves_that_carry_rounding_alone_are_not_stored(dtype: torch.dtype, far: float) -> None:
    """Moves of half and of twice ε(|z| + √ε)."""
    rounding = torch.finfo(dtype).eps
    axis = torch.tensor([[1.0, 0.0, 0.0]], dtype=dtype)
    move = torch.tensor([[0.5], [2.0]], dtype=dtype) * rounding * (far + rounding**0.5) * axis
    secants = Secants.empty(move, 2).pushed(move, 3 * move, far * axis.expand(2, -1))
    assert (secants.changes != 0).any(2)[:, 0].tolist() == [False, True]


def test_an_instance_that_is_not_finite_changes_no_other() -> None:
    pairs = Pairs(0, 5, 3)
    healthy = pairs.remembered(3)
    move, change = pairs.moves[0].clone(), pairs.along(pairs.moves[0])
    expected = healthy.pushed(move, change, move).solve(pairs.field)
    for poison in (torch.nan, torch.inf, 1e300):
        change[1] = poison
        found = healthy.pushed(move, change, move).solve(pairs.field)
        for one, other in zip(found, expected, strict=True):
            assert torch.equal(one[[0, 2]], other[[0, 2]])
