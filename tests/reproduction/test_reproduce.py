"""A reproduction from its config to its report."""

import json
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from l2o import UserError
from l2o.cli.config import CONFIGS, plain
from l2o.reproduction.jobs import Job, jobs_of
from l2o.reproduction.report import SECTIONS, write_report
from l2o.reproduction.reproduce import reproduce
from l2o.training.train import Job as TrainingJob
from tests.training.test_configs import SMALL


def composed(*overrides: str) -> dict[str, Any]:
    """The config of a reproduction."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return plain(compose("reproduce", list(overrides)))


def finished(directory: Path) -> dict[str, list[Job]]:
    """All jobs of the config, each with made-up results that depend on its seed alone."""
    targets = composed("target=all")["targets"]
    jobs = {name: jobs_of(name, sweeps, directory) for name, sweeps in targets.items()}
    for job in (job for group in jobs.values() for job in group):
        job.directory.mkdir(parents=True)
        if job.script == "compare":
            (job.directory / "metrics.json").write_text("{}")
            (job.directory / "table.csv").write_text(
                "optimizer,settings,distance_1000,sr1,sr2,diverged,calls_to_1e-06\n"
                "ogda,step_size=0.1*,1e-30,1.0,1.0,0.0,65\n"
                "TwinL2O_seed0,learned,6e-05,0.995,1.0,0.0,inf\n"
            )
            (job.directory / "plots").mkdir()
            for plot in ("iterations", "front"):
                (job.directory / "plots" / f"{plot}.png").touch()
            continue
        if job.script == "operations":
            names = ("kbeam_1", "kbeam_2", "kbeam_5", "kbeam_10", "TwinL2O")
            counts = {f"{name}/{key}": 4e6 for name in names for key in ("products", "elementwise")}
            (job.directory / "metrics.json").write_text(json.dumps(counts))
            continue
        success = 0.5 + 0.125 * int(job.settings["seed"])
        metrics: dict[str, float | None] = {"val/score": 20.0, "time/fit_s": 30.0}
        metrics |= {"test/sr1": success, "test/sr2": 1.0, "test/diverged": 0.0}
        metrics |= {"test/distance_median": None if job.settings["seed"] == 1 else 1e-3}
        (job.directory / "metrics.json").write_text(json.dumps(metrics))
    return jobs


def test_every_target_has_a_section() -> None:
    assert set(composed("target=all")["targets"]) == set(SECTIONS)


def test_every_training_job_is_one_that_can_run() -> None:
    """Its settings compose, and are accepted."""
    targets = composed("target=all")["targets"]
    seen = 0
    for name, sweeps in targets.items():
        for job in jobs_of(name, sweeps, Path("/out")):
            if job.script == "train" and job.settings["seed"] == 0:
                overrides = [f"{key}={value}" for key, value in job.settings.items()]
                with initialize_config_dir(str(CONFIGS), version_base="1.3"):
                    chosen = ["chosen.problem=problem", "chosen.variant=variant"]
                    config = compose("train", [*overrides, *chosen, "run_dir=/out"])
                TrainingJob.from_config(plain(config))
                seen += 1
    assert seen == 11 + 4 + 3 + 1 + 14 + 4 + 8 + 6


def test_the_report_tells_what_was_found(tmp_path: Path) -> None:
    write_report(finished(tmp_path / "runs"), tmp_path / "docs" / "results")
    text = (tmp_path / "docs" / "results.md").read_text()
    # Seeds 0 to 4 at 50, 62.5, …, 100 %: the mean is 75
    assert "| [0, 5], [0, 2] | 22.8 | 75.0 (50–100) | 62.6 | 75.0 (50–100) |" in text
    assert "Twin-L2O reaches the paper's SR1 and SR2, within a point, on ranges 3, 4, 6, 7." in text
    assert "raises SR1 by more than a point on ranges none and lowers it on none" in text
    assert "| `twin_shared_both` | 62.5 (50–75) | 100.0 (100–100) | 0.0 (0–0) |" in text
    assert "1.0e-03, inf, 1.0e-03" in text
    assert "none has a higher SR1 than `twin`" in text
    assert "| kbeam_5 | 8.11 | 8.00 | 4.00 | 4.00 | 0.99 |" in text
    assert "| TwinL2O_seed0 | learned | 6.0e-05 | 99.5 % | 100.0 % | 0.0 % | — |" in text
    assert "has the SR1 99.5 %; of the 1 others 1 end closer to a solution" in text
    for plot in ("table1", "figure2_matrix_game", "figure3_unseen"):
        assert (tmp_path / "docs" / "results" / f"{plot}.png").is_file()
        assert f"](results/{plot}.png)" in text


def test_a_target_that_is_not_finished_is_said_to_be(tmp_path: Path) -> None:
    jobs = finished(tmp_path / "runs")
    (jobs["a6"][0].directory / "metrics.json").unlink()
    write_report(jobs, tmp_path / "results")
    text = (tmp_path / "results.md").read_text()
    assert "## a6\n\n11 of 12 runs are finished." in text
    assert "Appendix A6: the reward" not in text
    assert "| **Appendix A6**: Eq. 39 is ineffective | ineffective | not run |" in text


def test_some_targets_tell_what_is_finished(tmp_path: Path) -> None:
    jobs = finished(tmp_path / "runs")
    for job in jobs["paper_protocol"][1:]:
        (job.directory / "metrics.json").unlink()
    write_report(jobs, tmp_path / "results")
    text = (tmp_path / "results.md").read_text()
    assert "| `rotated_saddle`, curriculum `none` | 50.0 | 100.0 | 0.0 |" in text
    assert "`seesaw_range1`, curriculum" not in text
    assert "1 of 12 runs are finished." in text
    assert "## paper_protocol" not in text


def test_finished_jobs_are_not_run_again(tmp_path: Path) -> None:
    size = dict(override.split("=") for override in SMALL)
    sweep = {key: [value] for key, value in size.items()} | {"seed": [0, 1]}
    config = composed("target=table1") | {
        "target": "own",
        "targets": {"own": [{"script": "train", "sweep": sweep}]},
        "directory": str(tmp_path / "runs"),
        "report": str(tmp_path / "results"),
    }
    assert reproduce(config) == 0
    files = sorted((tmp_path / "runs").rglob("metrics.json"))
    assert len(files) == 2
    before = [path.stat().st_mtime_ns for path in files]
    files[1].unlink()
    assert reproduce(config) == 0
    assert files[0].stat().st_mtime_ns == before[0], "left as it was"
    assert files[1].is_file(), "run again"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (
            "target=table2",
            "target: expected one of structured, figure1, figure2, figure3, table1, a5, a6, "
            "matrix_game, paper_protocol, all, got 'table2'",
        ),
        ("workers=-1", "workers: expected a whole number of at least 1, got -1"),
    ],
)
def test_bad_settings_are_refused(override: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        reproduce(composed("target=table1", override))
