"""Multiply-accumulates against counts by hand, and the script's config to its files."""

import json
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from l2o import UserError
from l2o.cli.config import CONFIGS, plain
from l2o.cli.operations import count_operations, operations
from l2o.io.seeds import generator
from l2o.optimizers import TwinL2O
from l2o.optimizers.hand_designed import GDA, KBeam
from l2o.problems import MatrixGame, Problem, Saddle, Seesaw

TRAJECTORIES, ITERATIONS = 3, 7


def counted(optimizer: Any, problem: Problem, iterations: int = ITERATIONS) -> tuple[int, int]:
    """The counts on three instances."""
    source = generator(0)
    instances, start = problem.sample(3, source), problem.sample_start(3, source)
    return count_operations(optimizer, instances, start, iterations)


def composed(directory: Path, *overrides: str) -> dict[str, Any]:
    """The config of a small count."""
    small = ["evaluation.starts=2", "evaluation.iterations=3", "variant.hidden_size=4"]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return plain(compose("operations", [*small, f"run_dir={directory}", *overrides]))


@pytest.mark.parametrize("hidden", [1, 5])
def test_matrix_products_of_the_lstms(hidden: int) -> None:
    """Two layers of 4H rows, their inputs being 2 gradients or H, an own h of H and 2 biases."""
    lower, upper = 4 * hidden * (2 + hidden + 2), 4 * hidden * (hidden + hidden + 2)
    products, _ = counted(TwinL2O(hidden_size=hidden), Seesaw())
    assert products == TRAJECTORIES * ITERATIONS * 2 * (lower + upper + hidden)


def test_a_matrix_game_has_two_products_an_iteration() -> None:
    """A y and Aᵀx, nothing else."""
    products, _ = counted(GDA(), MatrixGame(m=4, n=5))
    assert products == TRAJECTORIES * ITERATIONS * 2 * 4 * 5


def test_elementwise_operations_of_one_more_step() -> None:
    """GDA on a x² − b y²: 2a·x and 2b·y, then the step η and its addition.

    2·a, ·x, 2·b, ·y; η·G and the addition of two coordinates each.
    """
    saddle = Saddle()
    less, more = (counted(GDA(), saddle, steps)[1] for steps in (10, 11))
    assert more - less == TRAJECTORIES * (4 + 2 + 2)


def test_every_beam_costs_the_same() -> None:
    """What K-beam computes grows by equal amounts with K."""
    one, two, three = (
        counted(KBeam(beams=k), Seesaw(), 500)[1] / (500 * TRAJECTORIES) for k in (1, 2, 3)
    )
    assert two - one == pytest.approx(three - two, abs=0.01)
    assert two > one


def test_from_a_config_to_its_files(tmp_path: Path) -> None:
    metrics = operations(composed(tmp_path, "only=[ogda]"))
    assert set(metrics) == {
        f"{name}/{key}" for name in ("ogda", "TwinL2O") for key in ("products", "elementwise")
    }
    assert metrics["ogda/products"] == 0
    # 2 starts, 3 iterations, two LSTMs with H = 4
    assert metrics["TwinL2O/products"] == 2 * 3 * 2 * (16 * 8 + 16 * 10 + 4)
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    assert (tmp_path / "config.yaml").is_file()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("only=[newton]", "only: no method 'newton'; choose from gda"),
        ("evaluation.starts=0", r"evaluation\.starts: expected a whole number of at least 1"),
        ("variant.hidden_size=0", r"variant\.hidden_size: expected a whole number of at least 1"),
    ],
)
def test_bad_settings_are_refused(tmp_path: Path, override: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        operations(composed(tmp_path / "out", override))
    assert not (tmp_path / "out").exists(), "refused before anything was written"
