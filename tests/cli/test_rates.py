"""The sweep over mixtures, from its config to its files."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from l2o import UserError
from l2o.cli.config import CONFIGS, plain
from l2o.cli.rates import rates

SMALL = ["mixtures=3", "games=2", "problem.dimension=2"]


def composed(directory: Path, *overrides: str) -> dict[str, Any]:
    """The config of a small sweep."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return plain(compose("rates", [*SMALL, f"run_dir={directory}", *overrides]))


def test_writes_a_table_and_a_plot(tmp_path: Path) -> None:
    metrics = rates(composed(tmp_path, "only=[gda,ogda,follow_the_ridge]"))
    assert metrics["gda/rate_c1.00"] > 1 - 1e-6, "descent-ascent cannot solve a bilinear game"
    assert metrics["ogda/rate_c1.00"] < 1
    assert math.isnan(metrics["follow_the_ridge/rate_c1.00"]), "∇²yy f is singular there"
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written["follow_the_ridge/rate_c1.00"] is None
    rows = list(csv.DictReader((tmp_path / "rates.csv").open()))
    assert len(rows) == 3 * 3 * 2
    assert {row["c"] for row in rows} == {"0", "0.5", "1"}
    for name in ("plots/rates.png", "config.yaml", "versions.json"):
        assert (tmp_path / name).is_file()


def test_all_methods_of_the_config_have_a_rate(tmp_path: Path) -> None:
    config = composed(tmp_path, "problem.dimension=1", "games=1", "mixtures=2")
    metrics = rates(config)
    assert {key.split("/")[0] for key in metrics} == set(config["only"])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("only=[agraal]", "AGRAAL: expected a method whose iteration is one linear map"),
        ("only=[newton]", "only: no method 'newton'"),
        ("problem=saddle", "problem: expected problem=quadratic_game, got Saddle"),
        ("mixtures=1", "mixtures: expected a whole number of at least 2, got 1"),
        ("games=0", "games: expected a whole number of at least 1, got 0"),
        ("problem.c=[0,2]", r"problem\.c: expected a range within \[0, 1\]"),
    ],
)
def test_bad_settings_are_refused(tmp_path: Path, override: str, words: str) -> None:
    # Another problem has no dimension to be small in.
    small = [] if override == "problem=saddle" else SMALL
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = plain(compose("rates", [*small, f"run_dir={tmp_path / 'out'}", override]))
    with pytest.raises(UserError, match=words):
        rates(config)
    assert not (tmp_path / "out").exists()
