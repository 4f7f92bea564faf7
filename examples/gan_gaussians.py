"""A GAN on eight Gaussians, by four methods.

python examples/gan_gaussians.py
"""

import math
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import softplus

import l2o

PICTURE = Path(__file__).parents[1] / "docs" / "examples" / "gan_gaussians.png"
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
    angle = math.pi / 4 * torch.randint(8, (count,))
    centres = math.sqrt(2) * torch.stack((angle.cos(), angle.sin()), dim=1)
    return centres + 0.035 * torch.randn(count, 2)


def network(inputs: int, outputs: int, width: int = 128) -> nn.Sequential:
    """Two hidden layers."""
    layers = [nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def main(steps: int = 3000, picture: Path = PICTURE) -> dict[str, int]:
    """Trains by each method; returns how many modes get a fifth of their fair share."""
    figure = Figure(figsize=(12, 3.2), layout="constrained")
    panels, covered = figure.subplots(1, len(METHODS)), {}
    for panel, (name, make) in zip(panels, METHODS.items(), strict=True):
        torch.manual_seed(0)
        generator, critic = network(16, 2), network(2, 1)
        opt = make(
            [
                {"params": generator.parameters(), "role": "min"},
                {"params": critic.parameters(), "role": "max"},
            ]
        )

        def closure(generator: nn.Module = generator, critic: nn.Module = critic) -> object:
            fake, real = critic(generator(torch.randn(128, 16))), critic(data(128))
            d_loss = softplus(-real).mean() + softplus(fake).mean()
            return l2o.general_sum(min=softplus(-fake).mean(), max=d_loss)

        for _ in range(steps):
            opt.step(closure)
        with torch.no_grad():
            made, true = generator(torch.randn(1000, 16)), data(1000)
        angle = math.pi / 4 * torch.arange(8)
        centres = math.sqrt(2) * torch.stack((angle.cos(), angle.sin()), dim=1)
        distance, nearest = torch.cdist(made, centres).min(1)
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
