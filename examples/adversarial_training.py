"""Adversarial training on real digits: a classifier against perturbations within a box.

    python examples/adversarial_training.py

The max player is a perturbation of each image of a minibatch, |δ| ≤ 0.15, begun anew each time.
"""

from functools import partial
from pathlib import Path

import torch
from digits import digits
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import l2o

PICTURE = Path(__file__).parents[1] / "docs" / "examples" / "adversarial_training.png"
RADIUS, ATTACK_STEPS = 0.15, 20


def attacked(model: nn.Module, images: Tensor, labels: Tensor, steps: int) -> Tensor:
    """Images moved within the box by ascent on the loss: projected signed gradients."""
    delta = torch.zeros_like(images)
    for _ in range(steps):
        delta.requires_grad_()
        (slope,) = torch.autograd.grad(cross_entropy(model(images + delta), labels), delta)
        delta = (delta.detach() + RADIUS / 5 * slope.sign()).clamp(-RADIUS, RADIUS)
    return images + delta.detach()


def value(model: nn.Module, images: Tensor, delta: Tensor, labels: Tensor) -> l2o.modules.Stated:
    """What the model minimizes and the perturbations maximize."""
    return l2o.zero_sum(cross_entropy(model(images + delta), labels))


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images that are classified correctly."""
    with torch.no_grad():
        return (model(images).argmax(1) == labels).float().mean().item()


def main(epochs: int = 15, picture: Path = PICTURE) -> dict[str, tuple[float, float]]:
    """Trains with and without; returns clean accuracy and accuracy under attack, on test images."""
    (images, labels), (test, answers) = digits(), digits(test=True)
    found = {}
    for name, radius in (("plain", 0.0), ("adversarial", RADIUS)):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
        delta = nn.Parameter(torch.zeros(64, 1, 8, 8))
        box = ("box", -radius, radius)
        opt = l2o.optim.Adam(
            [
                {"params": model.parameters(), "role": "min", "lr": 2e-3},
                {"params": [delta], "role": "max", "lr": 0.05, "constraint": box},
            ],
            alternating=True,
            critic_steps=3,
        )
        for _ in range(epochs):
            for rows in torch.randperm(len(images)).split(64)[:-1]:
                batch, target = images[rows], labels[rows]
                delta.data.zero_()
                opt.step(partial(value, model, batch, delta, target))
        moved = attacked(model, test, answers, ATTACK_STEPS)
        found[name] = accuracy(model, test, answers), accuracy(model, moved, answers)
    figure = Figure(figsize=(5, 3.6), layout="constrained")
    axes = figure.subplots()
    for place, values in enumerate(found.values()):
        axes.bar([place - 0.2, place + 0.2], values, 0.36, color=["#1f5fa8", "#d1662b"])
    axes.set(xticks=[0, 1], xticklabels=list(found), ylabel="test accuracy: clean, attacked")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)
    return found


if __name__ == "__main__":
    print(main())
