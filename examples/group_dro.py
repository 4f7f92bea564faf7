"""Group DRO on real digits: the worst class counts, some of them rare.

    python examples/group_dro.py

min over the network, max over weights of the classes in the simplex: Σ_k w_k · loss of class k
(Sagawa et al. 2020). Of the classes 5 to 9 only 15 images each are there to learn from.
"""

from pathlib import Path

import torch
from digits import digits
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import l2o

PICTURE = Path(__file__).parents[1] / "docs" / "examples" / "group_dro.png"


def class_losses(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """The mean loss of each class, (10,)."""
    losses = cross_entropy(model(images), labels, reduction="none")
    classes = torch.nn.functional.one_hot(labels, 10).float()
    return (losses @ classes) / classes.sum(0).clamp(min=1)


def main(steps: int = 400, picture: Path = PICTURE) -> dict[str, float]:
    """Trains on the mean and on the worst class; returns the worst class's test accuracy."""
    images, labels = digits()
    rare = torch.cat([(labels == k).nonzero()[: 15 if k > 4 else None, 0] for k in range(10)])
    images, labels = images[rare], labels[rare]
    test, answers = digits(test=True)
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes, worst = figure.subplots(), {}
    for place, (name, robust) in enumerate({"mean": False, "worst class": True}.items()):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        weights = nn.Parameter(torch.full((10,), 0.1))
        groups = [{"params": model.parameters(), "role": "min", "lr": 2e-3, "weight_decay": 0.1}]
        if robust:
            simplex = {"params": [weights], "role": "max", "lr": 0.01, "constraint": "simplex"}
            groups.append(simplex)
        opt = l2o.optim.Adam(groups)

        def closure(model: nn.Module = model, weights: Tensor = weights, robust: bool = robust):
            losses = class_losses(model, images, labels)
            return l2o.zero_sum(
                (weights * losses).sum() if robust else cross_entropy(model(images), labels)
            )

        for _ in range(steps):
            opt.step(closure)
        with torch.no_grad():
            right = (model(test).argmax(1) == answers).float()
        by_class = [right[answers == k].mean().item() for k in range(10)]
        worst[name] = min(by_class)
        axes.bar([k + 0.4 * place - 0.2 for k in range(10)], by_class, 0.38, label=name)
    axes.set(xlabel="class (5 to 9 are rare)", ylabel="test accuracy", xticks=range(10))
    axes.legend(frameon=False, loc="lower left")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)
    return worst


if __name__ == "__main__":
    print(main())
