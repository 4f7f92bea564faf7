"""The evaluation of a checkpoint, plain and safeguarded."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir

from l2o import UserError
from l2o.cli.config import CONFIGS, plain
from l2o.cli.evaluate import evaluate
from l2o.training.train import train
from tests.training.test_configs import composed as training


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("run")
    train(training(directory, "problem=matrix_game"))
    return directory / "checkpoints" / "best.ckpt"


def composed(directory: Path, checkpoint: Path, *overrides: str) -> dict[str, Any]:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        settings = [f"checkpoint={checkpoint}", f"run_dir={directory}", *overrides]
        return plain(compose("evaluate", settings))


def test_a_safeguard_wraps_the_optimizer(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With hardly any region to trust, no proposal is taken."""
    guard = ["safeguard=halpern", "safeguard.step_size=10", "safeguard.trust=1e-12"]
    without = evaluate(composed(tmp_path / "plain", checkpoint))
    assert "fallback" not in capsys.readouterr().out
    metrics = evaluate(composed(tmp_path / "out", checkpoint, *guard))
    assert metrics["test/fallback"] == 1
    printed = capsys.readouterr().out
    assert "TwinL2O+halpern on MatrixGame" in printed
    assert "100.00 %" in next(line for line in printed.splitlines() if "fallback" in line)
    assert metrics["test/distance_mean"] != without["test/distance_mean"]
    assert "test/fallback" not in without
    assert json.loads((tmp_path / "out/metrics.json").read_text())["test/fallback"] == 1
    used = yaml.safe_load((tmp_path / "out/config.yaml").read_text())
    assert used["safeguard"]["step_size"] == 10


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("safeguard.step_size=0", r"^safeguard\.step_size: expected a number above 0, got 0$"),
        ("safeguard.slack=-1", r"^safeguard\.slack: expected a finite number of at least 0"),
        ("safeguard.trust=inf", r"^safeguard\.trust: expected a finite number"),
        ("+safeguard.c=1", r"^safeguard\.c: no such setting, got 1; safeguard has .*slack, trust$"),
        ("safeguard._target_=l2o.problems.Saddle", r"^safeguard\._target_: expected an? Optimizer"),
    ],
)
def test_bad_settings_are_refused_by_name(
    tmp_path: Path, checkpoint: Path, override: str, words: str
) -> None:
    with pytest.raises(UserError, match=words) as refusal:
        evaluate(composed(tmp_path / "out", checkpoint, "safeguard=halpern", override))
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "out").exists()
