"""Training end to end: what it writes, that it repeats, and that it descends the meta-loss."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import l2o
from l2o.cli.evaluate import evaluate
from l2o.training.module import MetaTraining
from l2o.training.run import TrainingRun
from l2o.training.train import train
from tests.training.test_configs import composed


def _weights(directory: Path, name: str = "best") -> dict[str, torch.Tensor]:
    path = directory / "checkpoints" / f"{name}.ckpt"
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content["state_dict"]


def test_a_run_leaves_all_its_results(tmp_path: Path) -> None:
    metrics = train(composed(tmp_path, "protocol.epochs=3", "protocol.validation.every=2"))
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    plots = {f"plots/{name}.png" for name in ("convergence", "training", "success")}
    checkpoints = {"checkpoints/best.ckpt", "checkpoints/last.ckpt"}
    texts = {".lock", "config.yaml", "metrics.csv", "metrics.json", "versions.json"}
    assert files == plots | checkpoints | texts

    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written == pytest.approx(metrics)
    assert set(written) >= {
        *("test/sr1", "test/sr2", "test/distance_median", "test/distance_mean"),
        *("test/diverged", "time/fit_s", "val/score"),
    }
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert [bool(row["val/score"]) for row in rows] == [False, True, False]
    assert all(float(row["train/meta_loss"]) for row in rows)
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["epoch"] == 2 or last["global_step"] == 6


def test_seeds_repeat_a_run_bit_for_bit(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    runs = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        config = composed(tmp_path / name, f"seed={seed}", "protocol.epochs=2")
        metrics = train(config)
        results = {key: value for key, value in metrics.items() if not key.startswith("time/")}
        runs.append((results, _weights(tmp_path / name)))
    assert torch.equal(torch.get_rng_state(), before), "the global generator was touched"
    assert runs[0][0] == runs[1][0]
    for name, tensor in runs[0][1].items():
        assert torch.equal(tensor, runs[1][1][name])
        assert not torch.equal(tensor, runs[2][1][name])


def test_a_checkpoint_alone_repeats_the_test(tmp_path: Path) -> None:
    metrics = train(composed(tmp_path / "run", "problem.a=[0.5,2]", "seed=4"))
    found = evaluate(_evaluation(tmp_path / "again", tmp_path / "run/checkpoints/best.ckpt"))
    for key, value in found.items():
        if key.startswith("test/"):
            assert value == metrics[key], key
    assert (tmp_path / "again/plots/convergence.png").exists()
    written = json.loads((tmp_path / "again/metrics.json").read_text())
    assert written["test/sr1"] == found["test/sr1"]


def test_evaluation_elsewhere(tmp_path: Path) -> None:
    train(composed(tmp_path / "run"))
    checkpoint = tmp_path / "run/checkpoints/best.ckpt"
    narrow = evaluate(_evaluation(tmp_path / "a", checkpoint))
    wide = evaluate(
        _evaluation(tmp_path / "b", checkpoint, problem={"start_x": [2.1, 2.4], "b": None})
    )
    assert wide["test/distance_mean"] != narrow["test/distance_mean"]
    game = {"_target_": "l2o.problems.MatrixGame", "m": 3, "n": 2, "a": None}
    evaluate(_evaluation(tmp_path / "c", checkpoint, problem=game))
    with pytest.raises(l2o.UserError, match=r"problem\.m: no such setting, got 3"):
        evaluate(_evaluation(tmp_path / "d", checkpoint, problem={"m": 3}))
    with pytest.raises(l2o.UserError, match="either checkpoint=PATH or both"):
        evaluate(_evaluation(tmp_path / "d", None))
    assert not (tmp_path / "d").exists()


def test_a_users_class_in_a_checkpoint_must_be_trusted(tmp_path: Path) -> None:
    own = ["problem=custom", "problem._target_=tests.helpers.Cubic", "+problem.c=[0.5,1]"]
    train(composed(tmp_path / "run", *own))
    settings = _evaluation(tmp_path / "a", tmp_path / "run/checkpoints/best.ckpt")
    with pytest.raises(l2o.UserError, match=r"Cubic is not part of l2o.*trust_classes=true"):
        evaluate(settings)
    evaluate({**settings, "trust_classes": True})


def _evaluation(directory: Path, checkpoint: Path | None, **changes: Any) -> dict[str, Any]:
    released = {"released_min": None, "released_max": None, "released_state_std": 0.01}
    settings = {"checkpoint": checkpoint and str(checkpoint), "trust_classes": False, **released}
    return {
        **settings, "problem": {}, "seed": None, "evaluation": {}, "run_dir": str(directory)
    } | changes  # fmt: skip


def test_first_meta_update_by_hand(tmp_path: Path) -> None:
    """After one window, Adam's first step moves each weight by lr · g/(|g| + ε)."""
    tricks = ["variant.warmup_iterations=0", "protocol.horizon=2"]
    run = TrainingRun.from_config(composed(tmp_path, *tricks))
    twin = run.optimizer
    weights = {name: value.clone() for name, value in twin.named_parameters()}
    data = run.data
    data.setup("fit")
    window = next(iter(data.train_dataloader()))
    module = run.module
    module.training_step(window, 0).backward()
    rate = run.protocol.learning_rate
    gradients = {name: p.grad for name, p in twin.named_parameters()}

    train(composed(tmp_path / "run", *tricks))
    trained = _weights(tmp_path / "run")
    for name, before in weights.items():
        g = gradients[name]
        step = rate * g / (g.abs() + 1e-8)
        torch.testing.assert_close(
            trained[f"optimizer.{name}"] - before, -step, atol=2e-7, rtol=1e-3
        )


def test_warmup_windows_have_zero_meta_gradient_and_the_state_is_carried(tmp_path: Path) -> None:
    run = TrainingRun.from_config(composed(tmp_path, "variant.warmup_iterations=2"))
    data = run.data
    data.setup("fit")
    module = run.module
    first, second = data.train_dataloader()
    module.training_step(first, 0).backward()
    assert all((p.grad == 0).all() for p in module.parameters())
    assert (module._unroll.memory.iteration == 2).all()
    assert not torch.equal(module._unroll.iterate.x, first.start.x)
    module.training_step(second, 1).backward()
    assert any((p.grad != 0).any() for p in module.parameters())


def test_instances_are_fixed_and_starting_points_fresh(tmp_path: Path) -> None:
    run = TrainingRun.from_config(composed(tmp_path))
    data = run.data
    data.setup("fit")
    assert not torch.equal(data.start(0).x, data.start(1).x)
    assert torch.equal(data.start(1).x, data.start(1).x)
    again = run.data
    again.setup("fit")
    (found,), (same,), (validation,) = data.instances, again.instances, data.validation
    assert torch.equal(found.theta["a"], same.theta["a"])
    assert not torch.equal(found.theta["a"][:2], validation.instances.theta["a"])


def test_denormal_numbers_are_zero_in_meta_training_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would make it several times slower; the caller's arithmetic stays as it was."""
    seen = []
    step = MetaTraining.training_step

    def watched(self: MetaTraining, *arguments: Any) -> torch.Tensor:
        seen.append(bool(torch.tensor([1e-40]) * 1 == 0))
        return step(self, *arguments)

    monkeypatch.setattr(MetaTraining, "training_step", watched)
    train(composed(tmp_path))
    assert seen == [True, True], "one for each window"
    assert torch.tensor([1e-40]) * 1 > 0


def test_meta_training_learns(tmp_path: Path) -> None:
    """A few epochs of greedy meta-training bring the validation score down a hundredfold."""
    overrides = [
        *("protocol.epochs=12", "protocol.validation.every=3", "protocol.horizon=20"),
        *("protocol.window=5", "protocol.instances=32", "protocol.learning_rate=3e-3"),
        *("protocol.validation.iterations=50", "variant.hidden_size=16"),
        *("variant.warmup_iterations=2", "protocol.validation.instances=10"),
    ]
    train(composed(tmp_path, "problem=saddle", *overrides))
    with (tmp_path / "metrics.csv").open() as file:
        scores = [float(r["val/score"]) for r in csv.DictReader(file) if r["val/score"]]
    assert min(scores) < scores[0] / 100
