"""Learning under a constraint: a Lagrange multiplier that cannot become negative.

    python examples/fair_classifier.py

Minimize the loss of a tumour classifier (scikit-learn's breast_cancer) subject to a rate of false
negatives of at most 1 % on the training data: min over the model, max over λ ≥ 0 of
loss + λ·(rate − 0.01). The rate has no gradient; a logistic bound of it stands in for the model's
part, as in the proxy Lagrangian of Cotter et al. (2019).
"""

from pathlib import Path

import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as loss_of
from torch.nn.functional import softplus

import l2o

PICTURE = Path(__file__).parents[1] / "docs" / "examples" / "fair_classifier.png"
LIMIT = 0.01


def main(steps: int = 1500, picture: Path = PICTURE) -> dict[str, float]:
    """Trains; returns the multiplier, and the rates of false negatives with and without it."""
    content = load_breast_cancer()
    inputs = torch.tensor(content.data, dtype=torch.float32)
    inputs = (inputs - inputs.mean(0)) / inputs.std(0)
    malignant = torch.tensor(content.target == 0, dtype=torch.float32)
    found, history = {}, []
    for name, constrained in (("without", False), ("with", True)):
        torch.manual_seed(0)
        model, multiplier = nn.Linear(30, 1), nn.Parameter(torch.zeros(()))
        opt = l2o.optim.Minimax(
            [
                {"params": model.parameters(), "role": "min", "lr": 0.05},
                {"params": [multiplier], "role": "max", "lr": 0.5, "constraint": "nonneg"},
            ],
            l2o.optimizers.AlternatingGDA(),
        )
        for _ in range(steps):

            def closure(model=model, multiplier=multiplier, constrained=constrained):
                scores = model(inputs).squeeze(1)
                sick = scores[malignant == 1]
                rate = (sick < 0).float().mean()
                bound = softplus(-sick).mean() / torch.log(torch.tensor(2.0))
                loss = loss_of(scores, malignant)
                if not constrained:
                    return l2o.general_sum(min=loss, max=0 * multiplier)
                return l2o.general_sum(
                    min=loss + multiplier.detach() * (bound - LIMIT),
                    max=-multiplier * (rate - LIMIT),
                )

            opt.step(closure)
            if constrained:
                history.append(multiplier.item())
        with torch.no_grad():
            missed = (model(inputs).squeeze(1)[malignant == 1] < 0).float().mean().item()
        found[name] = missed
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.plot(history)
    axes.set(xlabel="step", ylabel="multiplier λ ≥ 0")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)
    return {**found, "multiplier": history[-1]}


if __name__ == "__main__":
    print(main())
