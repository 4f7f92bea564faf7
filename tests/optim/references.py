"""The methods written out from their papers, one game, derivatives by hand.

Each takes the game and z₀ and yields z₁, z₂, …; Adam's and SGD's moves are those of torch.optim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from l2o.io.seeds import generator
from tests.optim.games import A, M, N, value

Path = Iterator[Tensor]


class Dense:
    """The field G = (∇ₓf, ∇_y g) and its Jacobian, differentiated by hand."""

    def __init__(self, game: str) -> None:
        self.own = 1.0 if game == "general-sum" else 0.0

    def field(self, z: Tensor) -> Tensor:
        x, y = z[:M], z[M:]
        s = x @ A
        of_x = A @ (s.cos() * y) + 0.2 * x
        of_x[0] += 0.3 * y[1]
        of_y = -s.sin() + 0.4 * y
        of_y[1] -= 0.3 * x[0]
        of_y += 0.6 * self.own * x.sin().sum() * y
        of_y[0] += 0.1 * self.own * x[1]
        return torch.cat((of_x, of_y))

    def jacobian(self, z: Tensor) -> Tensor:
        x, y = z[:M], z[M:]
        s, found = x @ A, torch.zeros(M + N, M + N).double()
        found[:M, :M] = -A @ (s.sin() * y).diag() @ A.T + 0.2 * torch.eye(M).double()
        across = A @ s.cos().diag()
        across[0, 1] += 0.3
        found[:M, M:], found[M:, :M] = across, -across.T
        found[M:, :M] += 0.6 * self.own * torch.outer(y, x.cos())
        found[M, 1] += 0.1 * self.own
        found[M:, M:] = (0.4 + 0.6 * self.own * x.sin().sum()) * torch.eye(N).double()
        return found

    def x_slope(self, x: Tensor, y: Tensor) -> Tensor:
        return self.field(torch.cat((x, y)))[:M]

    def y_slope(self, x: Tensor, y: Tensor) -> Tensor:
        return self.field(torch.cat((x, y)))[M:]

    def xy(self, z: Tensor) -> Tensor:
        """∇²xy f, (4, 3)."""
        return self.jacobian(z)[:M, M:]

    def yx(self, z: Tensor) -> Tensor:
        """∇²yx g, (3, 4)."""
        return self.jacobian(z)[M:, :M]

    def resolvent(self, z: Tensor, step: float) -> Tensor:
        """z' with z' + αG(z') = z, by Newton's method to the last digit."""
        found = z
        for _ in range(50):
            jacobian = torch.eye(M + N).double() + step * self.jacobian(found)
            found = found - torch.linalg.solve(jacobian, found + step * self.field(found) - z)
        return found


def mover(optimizer: type[torch.optim.Optimizer], size: int, **settings: Any) -> Callable:
    """Δ of an optimizer of PyTorch for one gradient after the other."""
    w = torch.zeros(size).double().requires_grad_()
    opt = optimizer([w], **settings)

    def move(gradient: Tensor) -> Tensor:
        w.data.zero_()
        w.grad = gradient.clone()
        opt.step()
        return w.detach().clone()

    return move


def adams() -> tuple[Callable, Callable]:
    settings = {"lr": 0.05, "betas": (0.5, 0.9), "eps": 1e-3}
    return mover(torch.optim.Adam, M, **settings), mover(torch.optim.Adam, N, **settings)


def both(movers: tuple[Callable, Callable], field: Tensor) -> Tensor:
    return torch.cat((movers[0](field[:M]), movers[1](field[M:])))


def gda(game: Dense, z: Tensor) -> Path:
    while True:
        z = z - 0.1 * game.field(z)
        yield z


def alternating_gda(game: Dense, z: Tensor) -> Path:
    x, y = z[:M], z[M:]
    while True:
        x = x - 0.1 * game.x_slope(x, y)
        y = y - 0.1 * game.y_slope(x, y)
        yield torch.cat((x, y))


def ogda(game: Dense, z: Tensor) -> Path:
    past = game.field(z)
    while True:
        field = game.field(z)
        z, past = z - 0.2 * field + 0.1 * past, field
        yield z


def probe(game: Dense, z: Tensor) -> float:
    """‖ΔG‖/‖Δz‖ along a step of length 1e-2 down the field."""
    field = game.field(z)
    moved = z - 1e-2 * field / field.norm()
    return ((game.field(moved) - field).norm() / (moved - z).norm()).item()


def adaptive_ogda(game: Dense, z: Tensor) -> Path:
    constant, last, past = probe(game, z), z, game.field(z)
    while True:
        field = game.field(z)
        if not torch.equal(z, last):
            constant = max(constant, ((field - past).norm() / (z - last).norm()).item())
        last, z = z, z - 0.3 / constant * (2 * field - past)
        past = field
        yield z


def extragradient(game: Dense, z: Tensor) -> Path:
    while True:
        z = z - 0.1 * game.field(z - 0.1 * game.field(z))
        yield z


def adaptive_extragradient(game: Dense, z: Tensor) -> Path:
    constant = probe(game, z)
    while True:
        half = z - 0.5 / constant * game.field(z)
        change = game.field(half) - game.field(z)
        constant = max(constant, (change.norm() / (half - z).norm()).item())
        z = z - 0.5 / constant * game.field(half)
        yield z


def negative_momentum(game: Dense, z: Tensor) -> Path:
    x, y = z[:M], z[M:]
    dx, dy = torch.zeros_like(x), torch.zeros_like(y)
    while True:
        dx = -0.1 * game.x_slope(x, y) - 0.3 * dx
        x = x + dx
        dy = -0.1 * game.y_slope(x, y) - 0.3 * dy
        y = y + dy
        yield torch.cat((x, y))


def gd_anchoring(game: Dense, z: Tensor) -> Path:
    start, k, p = z, 0, 0.667
    while True:
        pull = (1 - p) * 2 / (k + 1) * (start - z)
        z = z - 0.5 * (1 - p) / (k + 1) ** p * game.field(z) + pull
        k += 1
        yield z


def eag(game: Dense, z: Tensor, varying: bool) -> Path:
    start, k, alpha = z, 0, 0.618 / 3 if varying else 1 / 24
    while True:
        w = z + (start - z) / (k + 2)
        z = w - alpha * game.field(w - alpha * game.field(z))
        if varying:
            s = 9 * alpha**2
            alpha *= (1 - (k + 2) ** 2 / ((k + 1) * (k + 3)) * s) / (1 - s)
        k += 1
        yield z


def feg(game: Dense, z: Tensor) -> Path:
    start, k, c = z, 0, 0.1 / 3
    while True:
        beta = 1 / (k + 1)
        w, field = z + beta * (start - z), game.field(z)
        half = w - (1 - beta) * (1 / 3 + 2 * c) * field
        z = w - game.field(half) / 3 - (1 - beta) * 2 * c * field
        k += 1
        yield z


def halpern(game: Dense, z: Tensor) -> Path:
    start, k = z, 1
    while True:
        z = start / (k + 1) + k / (k + 1) * game.resolvent(z, 0.3)
        k += 1
        yield z


def agraal(game: Dense, z: Tensor) -> Path:
    phi, average, theta, field = 1.2, z, 1.0, game.field(z)
    last = z + 1e-2 * field / field.norm()
    past = game.field(last)
    size = ((last - z).norm() / (past - field).norm()).item()
    while True:
        field = game.field(z)
        change = ((z - last).norm() / (field - past).norm()).item() ** 2
        step = min((1 / phi + 1 / phi**2) * size, phi * theta / (4 * size) * change)
        average = ((phi - 1) * z + average) / phi
        last, past, theta, size = z, field, phi * step / size, step
        z = average - step * field
        yield z


def k_beam(game: Dense, z: Tensor) -> Path:
    uniform = torch.rand(1, 2, N, generator=generator(0, "beams")).double()
    x, beams, best, t = z[:M], [z[M:], *(uniform[0] - 0.5)], 0, 1
    while True:
        step = 0.1 / t**0.5
        x = (x - step * game.x_slope(x, beams[best])).clamp(-0.5, 0.5)
        beams = [(y - step * game.y_slope(x, y)).clamp(-0.5, 0.5) for y in beams]
        best = max(range(3), key=lambda i: value(x, beams[i]).item())
        t += 1
        yield torch.cat((x, beams[best]))


def lead(game: Dense, z: Tensor) -> Path:
    move = torch.zeros_like(z)
    while True:
        across = torch.cat((game.xy(z) @ move[M:], game.yx(z) @ move[:M]))
        move = 0.2 * move - 0.1 * game.field(z) - 0.1 * across
        z = z + move
        yield z


def alternating_lead(game: Dense, z: Tensor) -> Path:
    move = torch.zeros_like(z)
    while True:
        dx = 0.2 * move[:M] - 0.1 * game.field(z)[:M] - 0.1 * game.xy(z) @ move[M:]
        z = torch.cat((z[:M] + dx, z[M:]))
        dy = 0.2 * move[M:] - 0.1 * game.field(z)[M:] - 0.1 * game.yx(z) @ dx
        z, move = torch.cat((z[:M], z[M:] + dy)), torch.cat((dx, dy))
        yield z


def symplectic(game: Dense, z: Tensor) -> Tensor:
    """AᵀG, A = ½(J − Jᵀ)."""
    jacobian = game.jacobian(z)
    return (jacobian - jacobian.T).T @ game.field(z) / 2


def sga(game: Dense, z: Tensor) -> Path:
    while True:
        z = z - 0.1 * (game.field(z) + 0.2 * symplectic(game, z))
        yield z


def consensus(game: Dense, z: Tensor) -> Path:
    while True:
        z = z - 0.1 * (game.field(z) + 0.2 * game.jacobian(z).T @ game.field(z))
        yield z


def cgd(game: Dense, z: Tensor) -> Path:
    """With ∇_y f and ∇²yx f = (∇²xy f)ᵀ, as the paper has it."""
    while True:
        across, field = game.xy(z), game.field(z)
        left = torch.eye(M).double() + 0.04 * across @ across.T
        right = torch.eye(N).double() + 0.04 * across.T @ across
        dx = -0.2 * torch.linalg.solve(left, field[:M] - 0.2 * across @ field[M:])
        dy = 0.2 * torch.linalg.solve(right, -field[M:] - 0.2 * across.T @ field[:M])
        z = z + torch.cat((dx, dy))
        yield z


def follow_the_ridge(game: Dense, z: Tensor) -> Path:
    while True:
        field, jacobian = game.field(z), game.jacobian(z)
        ridge = torch.linalg.solve(jacobian[M:, M:], jacobian[M:, :M] @ field[:M])
        z = torch.cat((z[:M] - 0.1 * field[:M], z[M:] - 0.2 * field[M:] + 0.1 * ridge))
        yield z


def anderson(step: Callable[[Tensor], Tensor], z: Tensor, memory: int) -> Path:
    """Type II, λ = 0.1: γ = argmin ‖r − ΔR γ‖² + λ²‖ΔR‖²‖γ‖², z⁺ = T(z) − ΔT γ."""
    past, best = None, (torch.inf, z)
    residuals, images = [], []
    while True:
        image = step(z)
        residual = image - z
        if residual.norm() > 10 * best[0]:
            z, past, residuals, images = best[1], None, [], []
            yield z
            continue
        best = min(best, (residual.norm().item(), image), key=lambda pair: pair[0])
        if past is not None:
            residuals = [residual - past[0], *residuals][:memory]
            images = [image - past[1], *images][:memory]
        past, z = (residual, image), image
        if residuals:
            changes = torch.stack(residuals, 1)
            ridge = 0.1 * changes.norm() * torch.eye(len(residuals)).double()
            right = torch.cat((residual, torch.zeros(len(residuals)).double()))
            weights = torch.linalg.lstsq(torch.cat((changes, ridge)), right[:, None]).solution
            z = image - (torch.stack(images, 1) @ weights)[:, 0]
        yield z


def anderson_extragradient(game: Dense, z: Tensor) -> Path:
    constant = probe(game, z)

    def step(z: Tensor) -> Tensor:
        nonlocal constant
        half = z - 0.5 / constant * game.field(z)
        change = game.field(half) - game.field(z)
        constant = max(constant, (change.norm() / (half - z).norm()).item())
        return z - 0.5 / constant * game.field(half)

    return anderson(step, z, 3)


def anderson_ogda(game: Dense, z: Tensor) -> Path:
    past = game.field(z)

    def step(z: Tensor) -> Tensor:
        nonlocal past
        field = game.field(z)
        moved, past = z - 0.2 * field + 0.1 * past, field
        return moved

    return anderson(step, z, 1)


def adam(game: Dense, z: Tensor) -> Path:
    movers = adams()
    while True:
        z = z + both(movers, game.field(z))
        yield z


def alternating_adam(game: Dense, z: Tensor, critic_steps: int = 2) -> Path:
    (of_x, of_y), x, y = adams(), z[:M], z[M:]
    while True:
        for _ in range(critic_steps):
            y = y + of_y(game.y_slope(x, y))
        x = x + of_x(game.x_slope(x, y))
        yield torch.cat((x, y))


def sgd(game: Dense, z: Tensor) -> Path:
    settings = {"lr": 0.05, "momentum": 0.5, "dampening": 0.1}
    movers = mover(torch.optim.SGD, M, **settings), mover(torch.optim.SGD, N, **settings)
    while True:
        z = z + both(movers, game.field(z))
        yield z


def alternating_sgd(game: Dense, z: Tensor) -> Path:
    x, y, u, v = z[:M], z[M:], 0, 0
    while True:
        v = game.y_slope(x, y) - 0.3 * v
        y = y - 0.05 * v
        u = game.x_slope(x, y) - 0.3 * u
        x = x - 0.05 * u
        yield torch.cat((x, y))


def optimistic_adam(game: Dense, z: Tensor) -> Path:
    movers, last = adams(), None
    while True:
        move = both(movers, game.field(z))
        z, last = z + 2 * move - (move if last is None else last), move
        yield z


def extra_adam(game: Dense, z: Tensor) -> Path:
    movers = adams()
    while True:
        half = z + both(movers, game.field(z))
        z = z + both(movers, game.field(half))
        yield z


def past_extra_adam(game: Dense, z: Tensor) -> Path:
    movers, past = adams(), game.field(z)
    while True:
        half = z + both(movers, past)
        past = game.field(half)
        z = z + both(movers, past)
        yield z


def lead_adam(game: Dense, z: Tensor) -> Path:
    movers, move = adams(), torch.zeros_like(z)
    while True:
        across = torch.cat((game.xy(z) @ move[M:], game.yx(z) @ move[:M]))
        move = both(movers, game.field(z) + 0.4 * across)
        z = z + move
        yield z


def alternating_lead_adam(game: Dense, z: Tensor) -> Path:
    (of_x, of_y), move = adams(), torch.zeros_like(z)
    while True:
        dy = of_y(game.field(z)[M:] + 0.4 * game.yx(z) @ move[:M])
        z = torch.cat((z[:M], z[M:] + dy))
        dx = of_x(game.field(z)[:M] + 0.4 * game.xy(z) @ dy)
        z, move = torch.cat((z[:M] + dx, z[M:])), torch.cat((dx, dy))
        yield z


def sga_adam(game: Dense, z: Tensor) -> Path:
    movers = adams()
    while True:
        z = z + both(movers, game.field(z) + 0.3 * symplectic(game, z))
        yield z


def consensus_adam(game: Dense, z: Tensor) -> Path:
    movers = adams()
    while True:
        z = z + both(movers, game.field(z) + 0.3 * game.jacobian(z).T @ game.field(z))
        yield z


def acgd(game: Dense, z: Tensor) -> Path:
    """With the second moments of RMSprop, corrected for their start."""
    square, t = torch.zeros_like(z), 0
    while True:
        field, across, t = game.field(z), game.xy(z), t + 1
        square = 0.9 * square + 0.1 * field**2
        sizes = 0.05 / ((square / (1 - 0.9**t)).sqrt() + 1e-3)
        a_x, a_y = sizes[:M].diag(), sizes[M:].diag()
        left = torch.eye(M).double() + a_x @ across @ a_y @ across.T
        right = torch.eye(N).double() + a_y @ across.T @ a_x @ across
        dx = -torch.linalg.solve(left, a_x @ (field[:M] - across @ a_y @ field[M:]))
        dy = torch.linalg.solve(right, a_y @ (-field[M:] - across.T @ a_x @ field[:M]))
        z = z + torch.cat((dx, dy))
        yield z


def lookahead_adam(game: Dense, z: Tensor) -> Path:
    """After every third iteration z = z̃ ← z̃ + 0.4(z − z̃); Adam's memory goes on."""
    (of_x, of_y), slow, t = adams(), z, 0
    while True:
        y = z[M:] + of_y(game.y_slope(z[:M], z[M:]))
        z, t = torch.cat((z[:M] + of_x(game.x_slope(z[:M], y)), y)), t + 1
        if t % 3 == 0:
            z = slow = slow + 0.4 * (z - slow)
        yield z


def lookahead_lead_adam(game: Dense, z: Tensor) -> Path:
    movers, move, slow, t = adams(), torch.zeros_like(z), z, 0
    while True:
        across = torch.cat((game.xy(z) @ move[M:], game.yx(z) @ move[:M]))
        move = both(movers, game.field(z) + 0.4 * across)
        z, t = z + move, t + 1
        if t % 2 == 0:
            z = slow = slow + 0.5 * (z - slow)
        yield z


def safeguarded_extra_adam(game: Dense, z: Tensor) -> Path:
    """Method 1, corrected; α = 0.3, C = 1e-3."""
    start, image, k = z, game.resolvent(z, 0.3), 1
    z = (start + image) / 2
    yield z
    image = game.resolvent(z, 0.3)
    movers = adams()
    while True:
        k += 1
        half = z + both(movers, game.field(z))
        proposal = z + both(movers, game.field(half))
        its_image = game.resolvent(proposal, 0.3)
        residual = (proposal - its_image) / 2
        energy = residual @ residual - residual @ (start - proposal) / k
        if energy <= 1e-3 / (k + 1):
            z, image = proposal, its_image
        else:
            z = start / (k + 1) + k / (k + 1) * image
            image = game.resolvent(z, 0.3)
        yield z
