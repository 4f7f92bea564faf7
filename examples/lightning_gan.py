"""A GAN as a LightningModule: manual optimization, but with one optimizer.

python examples/lightning_gan.py
"""

from pathlib import Path

import torch
from matplotlib.figure import Figure
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.utils.data import DataLoader, TensorDataset

import l2o

PICTURE = Path(__file__).parents[1] / "docs" / "examples" / "lightning_gan.png"


class GAN(LightningModule):
    """A generator and a critic of points in the plane."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 2))
        self.critic = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 1))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> None:
        """One step of both players."""
        (real,) = batch

        def closure() -> l2o.modules.Stated:
            fake = self.critic(self.generator(torch.randn(len(real), 8, device=self.device)))
            d_loss = softplus(-self.critic(real)).mean() + softplus(fake).mean()
            return l2o.general_sum(min=softplus(-fake).mean(), max=d_loss)

        costs = self.optimizers(use_pl_optimizer=False).step(closure)
        self.log_dict({"generator": costs.f, "critic": costs.g}, prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """One optimizer: Lightning counts steps, saves state and runs schedulers as ever."""
        return l2o.optim.ExtraAdam(
            [
                {"params": self.generator.parameters(), "role": "min"},
                {"params": self.critic.parameters(), "role": "max"},
            ],
            lr=1e-3,
            betas=(0.5, 0.9),
        )


def main(epochs: int = 30, picture: Path = PICTURE) -> float:
    """Trains on a ring; returns the mean radius of generated points, that of the data being 1."""
    torch.manual_seed(0)
    angle = 2 * torch.pi * torch.rand(4096)
    points = torch.stack((angle.cos(), angle.sin()), dim=1) + 0.05 * torch.randn(4096, 2)
    model = GAN()
    silent = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=epochs, accelerator="cpu", enable_progress_bar=False, **silent)
    trainer.fit(model, DataLoader(TensorDataset(points), batch_size=128, shuffle=True))
    with torch.no_grad():
        made = model.generator(torch.randn(1000, 8))
    figure = Figure(figsize=(4, 4), layout="constrained")
    axes = figure.subplots()
    axes.scatter(*points[:1000].T, s=3, color="0.7", label="data")
    axes.scatter(*made.T, s=3, color="#1f5fa8", label="made")
    axes.set(aspect="equal", xlim=(-2, 2), ylim=(-2, 2))
    axes.legend(frameon=False)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)
    return made.norm(dim=1).mean().item()


if __name__ == "__main__":
    print(f"mean radius {main():.3f}, of 1")
