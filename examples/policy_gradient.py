"""Ascent alone: a policy that maximizes its expected reward.

    python examples/policy_gradient.py

A bandit with ten arms. The action that is taken has no gradient (argmax and samples have none);
the logarithm of its probability has, and E[r ∇log π] is the gradient of the expected reward
(Williams 1992).
"""

from pathlib import Path

import torch
from matplotlib.figure import Figure

import l2o

PICTURE = Path(__file__).parents[1] / "docs" / "examples" / "policy_gradient.png"


def main(steps: int = 300, picture: Path = PICTURE) -> float:
    """Trains from a uniform policy; returns the expected reward at the end, at most 1."""
    torch.manual_seed(0)
    rewards = torch.linspace(0, 1, 10)
    policy = torch.nn.Linear(1, 10, bias=False)
    opt = l2o.optim.Adam(policy.parameters(), lr=0.05, role="max")
    history = []

    def closure() -> l2o.modules.Stated:
        actions = torch.distributions.Categorical(logits=policy(torch.ones(64, 1)))
        taken = actions.sample()
        earned = rewards[taken] + 0.1 * torch.randn(64)
        advantage = earned - earned.mean()
        return l2o.zero_sum((advantage * actions.log_prob(taken)).mean())

    for _ in range(steps):
        opt.step(closure)
        with torch.no_grad():
            history.append((policy.weight[:, 0].softmax(0) * rewards).sum().item())
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(history)
    axes.axhline(1.0, color="grey", lw=0.8)
    axes.set(xlabel="step", ylabel="expected reward", ylim=(0, 1.05))
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)
    return history[-1]


if __name__ == "__main__":
    print(f"expected reward {main():.3f}, of 1")
