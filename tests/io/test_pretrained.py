"""Optimizers that come with the package."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import l2o
from l2o.cli.export import figures
from l2o.evaluation import EvaluationSettings
from l2o.io.pretrained import WEIGHTS, Pretrained, read_weights, write_weights
from l2o.io.settings import build
from l2o.optimizers import StructuredTwin
from l2o.problems import Problem

NAMES = list(l2o.pretrained())


def test_there_are_an_untrained_one_and_two_trained_ones() -> None:
    assert {f"structured_twin/{n}" for n in ("untrained", "seesaw", "universal")} <= set(NAMES)


def test_together_they_are_small() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*")) < 2**20


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("problem", ["seesaw_range7", "matrix_game"])
def test_it_reaches_its_recorded_figures(name: str, problem: str) -> None:
    recorded = l2o.pretrained()[name].results[problem]
    size = dict(recorded["evaluation"])
    seed = size.pop("seed")
    instances = build(recorded["problem"], Problem, "problem")
    found = figures(l2o.load(name).double(), instances, EvaluationSettings(**size), seed)
    # Another processor rounds differently, which may tip a trajectory or two of 2000.
    assert found["sr1"] == pytest.approx(recorded["sr1"], abs=2e-3)
    assert found["sr2"] == pytest.approx(recorded["sr2"], abs=2e-3)
    assert found["calls"] == pytest.approx(recorded["calls"], abs=1)


def test_the_untrained_one_is_the_variant_before_training() -> None:
    loaded = l2o.load("structured_twin/untrained").state_dict()
    fresh = StructuredTwin().state_dict()
    assert loaded.keys() == fresh.keys()
    assert all(torch.equal(loaded[key], fresh[key]) for key in fresh)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    optimizer = StructuredTwin(hidden_size=3, seed=5)
    config = {"variant": {"_target_": "l2o.optimizers.StructuredTwin", "hidden_size": 3}}
    write_weights(optimizer, Pretrained(config, {"p": {"sr1": 1.0}}), tmp_path / "a.safetensors")
    weights, read = read_weights(tmp_path / "a.safetensors")
    assert read == config
    state = optimizer.state_dict()
    assert all(torch.equal(weights[key], state[key]) for key in state)


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(l2o.UserError, match=r"structured_twin/untrained"):
        l2o.load("structured_twin/nothing")


def test_a_name_cannot_leave_the_folder(tmp_path: Path) -> None:
    write_weights(StructuredTwin(), Pretrained({}, {}), tmp_path / "outside.safetensors")
    with pytest.raises(l2o.UserError, match="no such file"):
        l2o.load(f"../../../../../..{tmp_path}/outside")


def test_another_file_of_tensors_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "b.safetensors")
    with pytest.raises(l2o.UserError, match="not a file of weights"):
        read_weights(tmp_path / "b.safetensors")
