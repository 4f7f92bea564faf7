"""A comparison from its config to its files."""

import csv
import inspect
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir

from l2o import UserError
from l2o.cli.compare import compare
from l2o.cli.config import CONFIGS, plain
from l2o.evaluation import EvaluationSettings, Measurements, measure, sample_set
from l2o.evaluation.comparison import Result
from l2o.evaluation.metrics import settling_iteration
from l2o.optimizers import OracleCalls, hand_designed
from l2o.optimizers.hand_designed import AGRAAL, GDA, OGDA, Anderson, HandDesigned
from l2o.problems import MatrixGame, Saddle
from l2o.reporting.comparison import _columns, _ranked, _shown
from l2o.training.train import train
from tests.helpers import small_twin
from tests.training.test_configs import composed as training

TINY = [
    "validation.instances=2",
    "validation.starts=2",
    "evaluation.instances=3",
    "evaluation.starts=2",
    "evaluation.iterations=60",
]


def composed(directory: Path, *overrides: str) -> dict[str, Any]:
    """The config of a small comparison."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return plain(compose("compare", [*TINY, f"run_dir={directory}", *overrides]))


def test_writes_tables_plots_and_every_grid(tmp_path: Path) -> None:
    only = ["ogda", "agraal", "lead", "gmres", "follow_the_ridge"]
    metrics = compare(composed(tmp_path, "problem=seesaw", f"only=[{','.join(only)}]"))
    assert json.loads((tmp_path / "metrics.json").read_text()).keys() == metrics.keys()
    rows = list(csv.DictReader((tmp_path / "table.csv").open()))
    assert {row["optimizer"] for row in rows} == {"ogda", "agraal", "lead"}
    for row in rows:
        assert float(row["sr1"]) == metrics[f"{row['optimizer']}/sr1"]
        assert "distance_50" in row
        assert "distance_100" not in row, "not reached in 60 iterations"
    markdown = (tmp_path / "table.md").read_text()
    assert "Not run: gmres. GMRES: expected a game whose field is affine" in markdown
    assert "Not run: follow_the_ridge. Follow-the-Ridge: expected an invertible" in markdown
    assert len([line for line in markdown.splitlines() if line.startswith("| ogda |")]) == 1
    grid = list(csv.DictReader((tmp_path / "tuning" / "ogda.csv").open()))
    assert len(grid) >= 15
    assert float(grid[0]["step_size"]) == float(rows_of(rows, "ogda").split("=")[1].rstrip("*"))
    assert sorted(path.stem for path in (tmp_path / "tuning").iterdir()) == ["lead", "ogda"]
    for name in ("config.yaml", "versions.json"):
        assert (tmp_path / name).is_file()
    plots = sorted(path.stem for path in (tmp_path / "plots").iterdir())
    assert plots == ["front", "iterations", "oracle_calls"]


def rows_of(rows: list[dict[str, str]], name: str) -> str:
    """The settings in one optimizer's row."""
    return next(row["settings"] for row in rows if row["optimizer"] == name)


def test_learned_optimizers_run_on_the_same_test_set(tmp_path: Path) -> None:
    """A trained checkpoint, twice, beside one method; its numbers are those of its own test."""
    train(training(tmp_path / "run", "evaluation.iterations=60", "variant.state_std=0"))
    path = tmp_path / "run" / "checkpoints" / "best.ckpt"
    size = ["evaluation.instances=2", "evaluation.starts=2"]
    config = composed(tmp_path / "out", "only=[ogda]", f"checkpoints=[{path},{path}]", *size)
    metrics = compare(config)
    tested = json.loads((tmp_path / "run" / "metrics.json").read_text())
    for name in ("TwinL2O_seed0", "TwinL2O_seed0_2"):
        assert metrics[f"{name}/sr1"] == tested["test/sr1"]
        assert metrics[f"{name}/diverged"] == tested["test/diverged"]
        assert metrics[f"{name}/calls_per_iteration"] == 2
    assert "| TwinL2O_seed0 | learned |" in (tmp_path / "out" / "table.md").read_text()


def test_the_safeguard_is_one_more_row(tmp_path: Path) -> None:
    """On matrices far larger than those of its training, the twin leaves and the guarded stays."""
    train(training(tmp_path / "run", "problem=matrix_game"))
    path = tmp_path / "run" / "checkpoints" / "best.ckpt"
    game = ["problem=matrix_game", "problem.p=1", "problem.low=-8", "problem.high=8"]
    run = [*game, "only=[ogda]", f"checkpoints=[{path}]"]
    plain = compare(composed(tmp_path / "plain", *run))
    metrics = compare(
        composed(tmp_path / "out", *run, "safeguard=halpern", "safeguard.step_size=10")
    )
    timed = "_s"
    assert all(metrics[key] == value for key, value in plain.items() if not key.endswith(timed))
    guarded = "TwinL2O_seed0+halpern"
    assert metrics[f"{guarded}/distance_50"] < metrics["TwinL2O_seed0/distance_50"]
    assert 0 < metrics[f"{guarded}/fallback"] <= 1
    assert metrics[f"{guarded}/calls_per_iteration"] == 4
    rows = {row["optimizer"]: row for row in csv.DictReader((tmp_path / "out/table.csv").open())}
    assert float(rows[guarded]["fallback"]) == metrics[f"{guarded}/fallback"]
    assert rows["ogda"]["fallback"] == rows["TwinL2O_seed0"]["fallback"] == ""
    markdown = (tmp_path / "out" / "table.md").read_text().splitlines()
    lines = {line.split("|")[1].strip(): line for line in markdown if line.startswith("| ")}
    assert lines["optimizer"].endswith("| fallback |")
    assert lines[guarded].endswith(f"| {100 * metrics[f'{guarded}/fallback']:.2f} % |")
    assert lines["ogda"].endswith("|  |")
    assert "fallback" not in (tmp_path / "plain" / "table.md").read_text()


def test_the_tuned_method_is_measured_on_the_test_set(tmp_path: Path) -> None:
    metrics = compare(composed(tmp_path, "problem=saddle", "only=[ogda]"))
    rows = list(csv.DictReader((tmp_path / "table.csv").open()))
    step = float(rows[0]["settings"].split("=")[1])
    instances, start = sample_set(Saddle(), EvaluationSettings(3, 2, 60), 0, "test", torch.double)
    measured = measure(OGDA(step), instances, start, 60)
    assert metrics["ogda/distance_50"] == measured.joint[50].quantile(0.5).item()


def test_validation_and_test_sets_differ_and_are_the_same_in_every_float_type() -> None:
    size = EvaluationSettings(4, 3, 1)
    test, start = sample_set(Saddle(), size, 0, "test", torch.double)
    validation, _ = sample_set(Saddle(), size, 0, "validation", torch.double)
    single, single_start = sample_set(Saddle(), size, 0, "test")
    assert not torch.equal(test.theta["a"], validation.theta["a"])
    assert torch.equal(test.theta["a"].float(), single.theta["a"])
    assert torch.equal(start.y.float(), single_start.y)


def test_settling_is_staying_below() -> None:
    """Below 1 at once, not for good; from iteration 2 on; never; at the last only."""
    inf = math.inf
    x = torch.tensor([[0.5, 2, 2, 2], [2, 2, 2, 2], [0.5, 0.5, 2, 2], [0.1, 0.5, inf, 0.5]])
    measured = Measurements(x, torch.zeros(4, 4), torch.zeros(4, dtype=torch.bool), "distance")
    assert settling_iteration(measured, 1.0).tolist() == [2, 2, inf, 3]


def test_ranking_is_by_success_then_by_oracle_calls() -> None:
    def result(name: str, distances: list[float], cost: float) -> Result:
        x = torch.tensor(distances).unsqueeze(1)
        still = torch.zeros(1, dtype=torch.bool)
        measured = Measurements(x, torch.zeros_like(x), still, "distance")
        return Result.of(name, measured, OracleCalls(cost))

    fast = [1.0, *[1e-9] * 9]
    results = [
        result("fails", [1.0] * 10, 1),
        result("expensive", fast, 3),
        result("cheap", fast, 1),
        result("inaccurate", [1.0, *[1e-3] * 9], 1),
    ]
    names = [result.name for result in _ranked(results)]
    assert names == ["cheap", "expensive", "inaccurate", "fails"]


def test_distances_after_equal_oracle_calls() -> None:
    """Of T = 200 iterations: each at distance T − t, two calls apiece after three before."""
    x = torch.arange(200.0, -1, -1).unsqueeze(1)
    measured = Measurements(x, torch.zeros_like(x), torch.zeros(1, dtype=torch.bool), "distance")
    numbers = Result.of("some", measured, OracleCalls(2, start=3)).numbers
    assert numbers["distance_after_100_calls"] == 200 - 48, "the 49th would take the 101st call"
    assert numbers["distance_after_300_calls"] == 200 - 148
    assert "distance_after_1000_calls" not in numbers, "beyond the last iteration"
    late = Result.of("late", measured, OracleCalls(1, start=150)).numbers
    assert late["distance_after_100_calls"] == 200, "not begun"


def test_what_is_printed_and_in_which_order() -> None:
    """Calls to distances if one gets there, else distances; what is missing keeps its place."""

    def result(far: float, cost: float) -> Result:
        x = torch.full((201, 1), far)
        still = torch.zeros(1, dtype=torch.bool)
        measured = Measurements(x, torch.zeros_like(x), still, "distance")
        return Result.of("some", measured, OracleCalls(cost))

    cheap, dear, lost = result(1e-9, 1), result(1e-9, 5), result(1.0, 5)
    assert "distance_after_300_calls" not in cheap.numbers
    assert _columns([cheap, dear]) == list(dear.numbers)
    shares = ["sr1", "sr2", "diverged"]
    reached = [*shares, "calls_to_1e-02", "calls_to_1e-04", "calls_to_1e-06"]
    assert _shown([cheap, lost]) == reached
    assert _shown([lost]) == [*shares, *(f"distance_after_{n}_calls" for n in (100, 300, 1000))]


def test_memory_is_the_state_shared_out_among_coordinates() -> None:
    """On three and two coordinates; with memory for at most five columns."""
    size = EvaluationSettings(2, 3, 1)
    instances, start = sample_set(MatrixGame(m=3, n=2), size, 0, "test", torch.double)
    twin = small_twin(hidden_size=4)
    for optimizer, memory in (
        (GDA(), 0),
        (OGDA(), 1),
        (AGRAAL(), 3 + 2 / 5),
        (Anderson(OGDA(), memory=20), 1 + 2 * 5 + 3 + 2 / 5),
        (twin, 4 * 4 + 1 / 5),
    ):
        assert measure(optimizer, instances, start, 2).memory == pytest.approx(memory)


def test_the_config_lists_every_hand_designed_method(tmp_path: Path) -> None:
    listed = {entry["_target_"] for entry in composed(tmp_path)["methods"].values()}
    classes = {
        f"l2o.optimizers.{c.__name__}"
        for c in vars(hand_designed).values()
        if inspect.isclass(c) and issubclass(c, HandDesigned) and c is not HandDesigned
    }
    assert listed == classes


@pytest.mark.parametrize(
    "comparison", ["figure2_seesaw", "figure2_rotated_saddle", "figure2_matrix_game"]
)
def test_every_comparison_runs(tmp_path: Path, comparison: str) -> None:
    metrics = compare(composed(tmp_path, f"comparison={comparison}", "evaluation.iterations=5"))
    assert {"gda/sr1", "ogda/sr1", "extragradient/sr1", "agraal/sr1"} <= metrics.keys()


def test_a_problem_without_solutions_is_measured_by_gradient_norms(tmp_path: Path) -> None:
    own = ["problem=custom", "problem._target_=tests.helpers.Cubic", "+problem.c=[0.5,1]"]
    metrics = compare(composed(tmp_path, *own, "only=[ogda,halpern]"))
    assert "ogda/gradient_norm_50" in metrics
    assert "ogda/sr1" not in metrics


GAN = [
    "problem=gan_mixture",
    "problem.width=4",
    "problem.batch=4",
    "problem.samples=32",
    "validation.instances=2",
    "evaluation.iterations=20",
    "budget=3",
]


def test_a_problem_with_measures_is_compared_by_them(tmp_path: Path) -> None:
    metrics = compare(composed(tmp_path, *GAN, "only=[extra_adam,alternating_adam,acgd]"))
    rows = list(csv.DictReader((tmp_path / "table.csv").open()))
    assert [row["optimizer"] for row in rows] == sorted(
        ("extra_adam", "alternating_adam"), key=lambda n: metrics[f"{n}/log_energy_distance"]
    )
    for row in rows:
        name = row["optimizer"]
        for key in ("log_energy_distance", "good_samples_low", "modes_covered_averaged"):
            assert float(row[key]) == metrics[f"{name}/{key}"]
    assert metrics["extra_adam/calls"] == 40
    assert metrics["alternating_adam/calls"] == 20
    own = "alternating_adam/log_energy_distance"
    assert metrics[f"{own}_after_20_calls"] == pytest.approx(metrics[own])
    assert "Not run: acgd. ACGD: expected a zero-sum game" in (tmp_path / "table.md").read_text()
    grid = list(csv.DictReader((tmp_path / "tuning" / "extra_adam.csv").open()))
    assert [*grid[0]] == ["step_size", "beta1", "mean", "diverged"]
    assert len(grid) == 3
    plots = sorted(path.stem for path in (tmp_path / "plots").iterdir())
    assert plots == ["iterations", "oracle_calls", "samples"]


def test_games_between_networks_choose_methods_and_sizes(tmp_path: Path) -> None:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = plain(compose("compare", [f"run_dir={tmp_path}", "problem=gan_mixture"]))
        usual = plain(compose("compare", [f"run_dir={tmp_path}"]))
    assert "alternating_lead_adam" in config["only"]
    assert set(config["only"]) <= set(config["methods"])
    assert config["evaluation"]["iterations"] == 600
    assert usual["only"] is None


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("budget=0", "budget: expected a whole number of at least 1, got 0"),
        ("only=[ogda,led]", "only: no method 'led'; choose from gda, alternating_gda"),
        ("only=[]", "only: expected at least one method or checkpoint, got none"),
        ("only=ogda", r"only: expected a list, as in 'only=\[ogda\]', got 'ogda'"),
        ("only=[gmres]", "GMRES: expected a game whose field is affine"),
        ("checkpoints=some.ckpt", r"checkpoints: expected a list, as in 'checkpoints=\[some"),
        ("checkpoints=[none.ckpt]", r"none\.ckpt: no such file"),
        ("+methods.ogda.step_size=-1", r"methods\.ogda\.step_size: expected a number above 0"),
        ("+methods.ogda.step=1", r"methods\.ogda\.step: no such setting, got 1; .* has step_size$"),
        ("methods.kbeam_5.beams=0", r"methods\.kbeam_5\.beams: expected a whole number"),
        ("methods.ogda._target_=l2o.problems.Saddle", "expected a HandDesigned, but"),
        ("safeguard=halpern", "safeguard: expected a checkpoint to guard, as in 'checkpoints="),
        ("validation.starts=0", r"validation\.starts: expected a whole number"),
        ("evaluation.iterations=0", r"iterations: expected a whole number"),
        ("seed=-1", "seed: expected a whole number"),
    ],
)
def test_bad_settings_are_refused(tmp_path: Path, override: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as refusal:
        compare(composed(tmp_path / "out", override))
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "out").exists()
