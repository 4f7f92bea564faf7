"""A GAN on eight Gaussians, by four methods.

python examples/gan_gaussians.py

Both samples get noise that fades out (Sønderby et al. 2017): without it, modes are lost early.
"""

import math
from functools import partial
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import softplus

import l2o

PICTURE = Path(__file__).parents[1] / "docs" / "examples" / "gan_gaussians.png"
ANGLES = math.pi / 4 * torch.arange(8)
CENTRES = math.sqrt(2) * torch.stack((ANGLES.cos(), ANGLES.sin()), dim=1)
METHODS = {
    "Adam, at once": lambda groups: l2o.optim.Adam(groups, lr=1e-3, betas=(0.5, 0.9)),
    "Adam, alternating": lambda groups: l2o.optim.Adam(
        groups, lr=1e-3, betas=(0.5, 0.9), alternating=True
    ),
    "ExtraAdam": lambda groups: l2o.optim.ExtraAdam(groups, lr=1e-3, betas=(0.5, 0.9)),
    "LEADAdam, alternating": lambda groups: l2o.optim.LEADAdam(
        groups, lr=1e-3, betas=(0.5, 0.9), coupling=0.5, alternating=True
    ),
}


def data(count: int) -> Tensor:
    """Samples of eight Gaussians on a circle of radius √2."""
    return CENTRES[torch.randint(8, (count,))] + 0.035 * torch.randn(count, 2)


def network(inputs: int, outputs: int, width: int = 64) -> nn.Sequential:
    """Two hidden layers."""
    layers = [nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def costs(generator: nn.Module, critic: nn.Module, noise: float) -> object:
    """The loss that does not saturate, on noisy samples."""
    blur = noise * torch.randn(2, 256, 2)
    fake, real = critic(generator(torch.randn(256, 16)) + blur[0]), critic(data(256) + blur[1])
    d_loss = softplus(-real).mean() + softplus(fake).mean()
    return l2o.general_sum(min=softplus(-fake).mean(), max=d_loss)


def main(steps: int = 2500, picture: Path = PICTURE) -> dict[str, int]:
    """Trains by each method; returns how many modes get a fifth of their fair share."""
    figure = Figure(figsize=(12, 3.2), layout="constrained")
    panels, covered = figure.subplots(1, len(METHODS)), {}
    for panel, (name, make) in zip(panels, METHODS.items(), strict=True):
        torch.manual_seed(0)
        generator, critic = network(16, 2), network(2, 1)
        players = {"min": generator.parameters(), "max": critic.parameters()}
        opt = make([{"params": params, "role": role} for role, params in players.items()])
        for step in range(steps):
            noise = max(0.0, 1 - step / (0.8 * steps))
            opt.step(partial(costs, generator, critic, noise))
        with torch.no_grad():
            made, true = generator(torch.randn(1000, 16)), data(1000)
        distance, nearest = torch.cdist(made, CENTRES).min(1)
        hits = nearest[distance < 4 * 0.035].bincount(minlength=8)
        covered[name] = int((hits >= 1000 / 8 / 5).sum())
        panel.scatter(*true.T, s=3, color="0.7")
        panel.scatter(*made.T, s=3, color="#1f5fa8")
        panel.set(title=f"{name}: {covered[name]} of 8", xlim=(-2, 2), ylim=(-2, 2), aspect="equal")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)
    return covered


if __name__ == "__main__":
    print(main())
