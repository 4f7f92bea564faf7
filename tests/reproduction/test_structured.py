"""The section on the structured twin, from made-up results."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from l2o.reproduction.jobs import Job, jobs_of
from l2o.reproduction.structured import dominates, structured
from tests.reproduction.made_up import written

HEADS = ["optimizer", "settings", "sr1", "calls_to_1e-06", "distance_after_100_calls"]


def compared(directory: Path, rows: list[tuple[str, str, float, str, float]]) -> Job:
    """A comparison on the matrix game with this table and an empty plot."""
    job = written(directory, "compare", {}, {"problem": "matrix_game", "noise": 0.1, "seed": 0})
    with (job.directory / "table.csv").open("w") as file:
        csv.writer(file).writerows([HEADS, *rows])
    (job.directory / "plots").mkdir()
    for plot in ("front", "oracle_calls"):
        (job.directory / "plots" / f"{plot}.png").write_bytes(b"")
    return job


def run(directory: Path, sr1: float, score: float, **settings: object) -> Job:
    """A training run with a validation score."""
    metrics = {f"test/{key}": 1.0 for key in ("sr2", "diverged", "distance_median")}
    metrics |= {"test/sr1": sr1, "val/score": score, "time/fit_s": 20.0}
    return written(directory, "train", metrics, settings)


def test_a_training_is_named_by_what_was_changed(tmp_path: Path) -> None:
    base = {"experiment": "structured_seesaw", "seed": 0}
    jobs = [
        run(tmp_path, 1.0, 12.0, **base),
        run(tmp_path, 0.5, 16.0, **{**base, "seed": 1}),
        run(tmp_path, 0.25, 99.0, **base, **{"variant.memory": 0}),
    ]
    text = structured(jobs, tmp_path)
    assert "| seesaw | 75.0 (50–100) |" in text
    assert "| seesaw, memory=0 | 25.0 |" in text
    assert "| seesaw | 12.0, 16.0 | 20.0, 20.0 |" in text


def test_a_comparison_tells_who_dominates_the_learned(tmp_path: Path) -> None:
    rows = [
        ("better", "tuned", 1.0, "10", 2.0),
        ("structured_twin/a", "learned", 0.9, "20", 11.9),
        ("structured_twin/b", "learned", 0.8, "5", 11.9),
    ]
    job = compared(tmp_path, rows)
    text = structured([job], tmp_path / "results")
    assert "### matrix game, noise = 0.1" in text
    assert "`structured_twin/a`: dominated by better; nearer at equal calls: 1, 0, 0." in text
    assert "`structured_twin/b`: not dominated; nearer at equal calls: 1, 0, 0." in text
    assert (tmp_path / "results" / "front_matrix_game_noise_0.1.png").is_file()


def test_where_nobody_is_precise_the_way_is_shown(tmp_path: Path) -> None:
    text = structured([compared(tmp_path, [("a", "tuned", 0.0, "inf", 1.0)])], tmp_path / "results")
    assert "](results/oracle_calls_matrix_game_noise_0.1.png)" in text
    assert "front_" not in text


def test_domination_needs_both() -> None:
    def row(sr1: float, calls: str) -> dict[str, str]:
        return {"sr1": str(sr1), "calls_to_1e-06": calls}

    assert dominates(row(1.0, "10"), row(0.9, "20"))
    assert dominates(row(1.0, "10"), row(0.9, ""))
    assert not dominates(row(1.0, "20"), row(0.9, "10"))
    assert not dominates(row(1.0, "10"), row(1.0, "20"))


def test_only_the_best_hand_designed_and_all_learned_are_shown(tmp_path: Path) -> None:
    rows = [(f"method{i}", "tuned", 1.0, "10", 2.0) for i in range(30)]
    rows.append(("structured_twin/a", "learned", 0.1, "", 11.9))
    text = structured([compared(tmp_path, rows)], tmp_path)
    assert "| method11 |" in text
    assert "| method12 |" not in text
    assert "| structured_twin/a |" in text


def test_sweeps_of_one_script_in_a_row_are_one_phase(tmp_path: Path) -> None:
    sweep = {"seed": [0, 1]}
    scripts = ("train", "train", "compare", "train")
    jobs = jobs_of("a", [{"script": s, "sweep": sweep} for s in scripts], tmp_path)
    assert [job.phase for job in jobs] == [0, 0, 0, 0, 1, 1, 2, 2]
    assert len({job.directory for job in jobs}) == len(jobs)
    assert json.dumps([job.settings for job in jobs[:2]]) == '[{"seed": 0}, {"seed": 1}]'
