"""In Lightning: one optimizer, by hand and automatically, counted once a step, gone on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.utils.data import DataLoader, TensorDataset

import l2o
from l2o import optim
from l2o.optim import Minimax

STEPS = 6


class GAN(LightningModule):
    """By hand; the closure is called by Lightning's own optimizer."""

    def __init__(self, name: str = "ExtraAdam", **settings: Any) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.name, self.settings = name, settings
        torch.manual_seed(0)
        self.generator = nn.Sequential(
            nn.Linear(3, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2)
        )
        self.noise = torch.randn(8, 3)
        self.critic = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))

    def costs(self, real: Tensor) -> Any:
        fake = self.critic(self.generator(self.noise))
        d_loss = softplus(-self.critic(real)).mean() + softplus(fake).mean()
        return l2o.general_sum(min=softplus(-fake).mean(), max=d_loss)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> None:
        costs = self.optimizers().step(lambda: self.costs(batch[0]))
        self.log_dict({"generator": costs.f, "critic": costs.g})
        self.lr_schedulers().step()

    def configure_optimizers(self) -> Any:
        groups = [
            {"params": self.generator.parameters(), "role": "min", "lr": 1e-2},
            {"params": self.critic.parameters(), "role": "max"},
        ]
        opt = getattr(optim, self.name)(groups, **self.settings)
        return [opt], [torch.optim.lr_scheduler.ExponentialLR(opt, 0.9)]


class Adversarial(LightningModule):
    """Automatic: Lightning calls zero_grad and backward, as PyTorch's own convention has it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network, self.delta = nn.Linear(2, 1), nn.Parameter(torch.zeros(2))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        output = self.network(batch[0] + self.delta)
        return (output - 1).square().mean() - self.delta.square().sum()

    def configure_optimizers(self) -> Minimax:
        groups = [
            {"params": self.network.parameters(), "role": "min", "lr": 1e-2},
            {"params": [self.delta], "role": "max", "lr": 1e-2},
        ]
        return optim.ExtraAdam(groups)


def data() -> DataLoader[Any]:
    points = torch.randn(STEPS * 8, 2, generator=torch.Generator().manual_seed(0))
    return DataLoader(TensorDataset(points), batch_size=8)


def trainer(where: Path, **settings: Any) -> Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    choice = {"max_epochs": 1, "enable_checkpointing": False, **settings}
    return Trainer(accelerator="cpu", devices=1, default_root_dir=where, **quiet, **choice)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("ExtraAdam", {}), ("Adam", {"alternating": True}), ("LEADAdam", {"average": "uniform"})],
)
def test_by_hand_it_is_the_plain_loop(tmp_path: Path, name: str, settings: dict[str, Any]) -> None:
    model, plain = GAN(name, **settings), GAN(name, **settings)
    fit = trainer(tmp_path)
    fit.fit(model, data())
    assert fit.global_step == STEPS
    assert set(fit.callback_metrics) == {"generator", "critic"}
    (opt,), (scheduler,) = plain.configure_optimizers()
    for (batch,) in data():
        opt.step(lambda batch=batch: plain.costs(batch))
        scheduler.step()
    for found, expected in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(found, expected)
    assert model.generator[1].num_batches_tracked == STEPS


def test_it_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    """Which Lightning wrote in the middle: parameters, moments, averages and the schedule."""
    settings = {"average": 0.5}
    whole = GAN(**settings)
    saving = ModelCheckpoint(tmp_path, every_n_train_steps=2, save_top_k=-1)
    trainer(tmp_path, enable_checkpointing=True, callbacks=[saving]).fit(whole, data())
    (middle,) = tmp_path.glob("*step=4*.ckpt")

    again, saved = GAN(**settings), torch.load(middle, weights_only=True)
    again.load_state_dict(saved["state_dict"])
    (opt,), (scheduler,) = again.configure_optimizers()
    opt.load_state_dict(saved["optimizer_states"][0])
    scheduler.load_state_dict(saved["lr_schedulers"][0])
    for (batch,) in list(data())[4:]:
        opt.step(lambda batch=batch: again.costs(batch))
        scheduler.step()
    for found, expected in zip(
        again.state_dict().values(), whole.state_dict().values(), strict=True
    ):
        assert torch.equal(found, expected)
    with opt.averaged(), whole.optimizers(use_pl_optimizer=False).averaged():
        for found, expected in zip(again.parameters(), whole.parameters(), strict=True):
            assert torch.equal(found, expected)


def test_automatic_optimization_is_the_same_game(tmp_path: Path) -> None:
    model, plain = Adversarial(), Adversarial()
    fit = trainer(tmp_path)
    fit.fit(model, data())
    assert fit.global_step == STEPS
    opt = plain.configure_optimizers()
    for batch in data():
        opt.step(lambda batch=batch: l2o.zero_sum(plain.training_step(batch, 0)))
    for found, expected in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(found, expected)
    assert model.delta.abs().min() > 0


@pytest.mark.parametrize("automatic", [False, True])
def test_in_mixed_precision(tmp_path: Path, automatic: bool) -> None:
    """Lightning keeps autocast, and with it casts of parameters, around the whole step."""
    model = Adversarial() if automatic else GAN()
    exact = Adversarial() if automatic else GAN()
    trainer(tmp_path, precision="bf16-mixed").fit(model, data())
    trainer(tmp_path).fit(exact, data())
    before = Adversarial() if automatic else GAN()

    def moved(one: nn.Module) -> Tensor:
        pairs = zip(one.parameters(), before.parameters(), strict=True)
        return torch.cat([(end - start).detach().flatten() for end, start in pairs])

    difference = moved(model) - moved(exact)
    assert 0 < difference.norm() < 0.2 * moved(exact).norm()
