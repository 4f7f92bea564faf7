"""What the test of an optimizer leaves, whatever becomes of its plots and its table."""

import json
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from matplotlib.figure import Figure

from l2o.evaluation import EvaluationSettings
from l2o.optimizers.hand_designed import OGDA
from l2o.problems import Saddle
from l2o.reporting.tables import Table
from l2o.reporting.test import run_test


def test_metrics_are_on_disk_before_the_first_plot_and_outlive_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there: list[bool] = []

    def fail(*_: Any, **__: Any) -> NoReturn:
        there.append((tmp_path / "metrics.json").exists())
        raise RuntimeError("no ink\nno paper")

    monkeypatch.setattr(Figure, "savefig", fail)
    monkeypatch.setattr(Table, "print", fail)
    test = (OGDA(), Saddle(), EvaluationSettings(2, 2, 5), 0, torch.float32)
    metrics = run_test(*test, tmp_path, "title", known={"val/score": 2.0})
    assert there == [True, True, True]
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    assert list(metrics)[:2] == ["val/score", "test/sr1"]
    assert capsys.readouterr().err.splitlines() == [
        f"warning: {tmp_path}/plots/convergence.png: left out (no ink)",
        f"warning: {tmp_path}/plots/success.png: left out (no ink)",
        "warning: table: left out (no ink)",
    ]
