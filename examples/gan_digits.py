"""A convolutional GAN on real digits of 8×8 pixels, with an average of the generator.

python examples/gan_digits.py
"""

from pathlib import Path

import torch
from digits import digits
from matplotlib.figure import Figure
from torch import nn
from torch.nn.functional import softplus

import l2o

PICTURE = Path(__file__).parents[1] / "docs" / "examples" / "gan_digits.png"


def networks(width: int = 32) -> tuple[nn.Module, nn.Module]:
    """A generator of two transposed convolutions, and a critic of two convolutions."""
    generator = nn.Sequential(
        nn.Linear(32, 4 * width * 4),
        nn.BatchNorm1d(4 * width * 4),
        nn.ReLU(),
        nn.Unflatten(1, (4 * width, 2, 2)),
        nn.ConvTranspose2d(4 * width, width, 4, 2, 1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, 1, 4, 2, 1),
        nn.Sigmoid(),
    )
    critic = nn.Sequential(
        nn.Conv2d(1, width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 4 * width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(4 * width * 4, 1),
    )
    return generator, critic


def main(steps: int = 3000, picture: Path = PICTURE) -> float:
    """Trains; returns the energy distance of averaged samples to test images."""
    torch.manual_seed(0)
    images, _ = digits()
    held_out, _ = digits(test=True)
    generator, critic = networks()
    groups = [
        {"params": generator.parameters(), "role": "min", "lr": 5e-4},
        {"params": critic.parameters(), "role": "max", "lr": 1e-3},
    ]
    opt = l2o.optim.Adam(groups, betas=(0.5, 0.9), alternating=True, average=0.995)

    def closure() -> l2o.modules.Stated:
        real = images[torch.randint(len(images), (64,))]
        fake = critic(generator(torch.randn(64, 32)))
        d_loss = softplus(-critic(real)).mean() + softplus(fake).mean()
        return l2o.general_sum(min=softplus(-fake).mean(), max=d_loss)

    for _ in range(steps):
        opt.step(closure)
    with opt.averaged(), torch.no_grad():
        made = generator.eval()(torch.randn(len(held_out), 32))
    u, v = made.flatten(1), held_out.flatten(1)
    distance = 2 * torch.cdist(u, v).mean() - torch.cdist(u, u).mean() - torch.cdist(v, v).mean()
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for panel, name, shown in ((left, "real", held_out), (right, "made", made)):
        rows = shown[:64].view(8, 8, 8, 8).transpose(1, 2).reshape(64, 64)
        panel.imshow(rows, cmap="gray_r")
        panel.set(title=name, xticks=[], yticks=[])
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)
    return distance.item()


if __name__ == "__main__":
    print(f"energy distance to test images: {main():.3f}")
