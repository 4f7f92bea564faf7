"""Jobs: what a sweep expands to, that finished ones stay, and that failures end nothing."""

import json
from pathlib import Path

import pytest

from l2o import UserError
from l2o.reproduction.jobs import Job, jobs_of, run_all
from tests.training.test_configs import SMALL

SWEEP = {"script": "train", "sweep": {"problem": ["saddle"], "seed": [0, 1], "variant": ["a", "b"]}}


def small(directory: Path, **settings: object) -> Job:
    """A training job of two windows."""
    size = dict(override.split("=") for override in SMALL)
    return Job("train", {**size, **settings}, directory)


def test_a_sweep_is_every_combination() -> None:
    jobs = jobs_of("figure", [SWEEP], Path("/out"))
    assert [job.settings["seed"] for job in jobs] == [0, 0, 1, 1]
    assert all(job.settings["problem"] == "saddle" for job in jobs)
    assert jobs[1].directory == Path("/out/figure/0_train/seed=0,variant=b")
    assert len({job.directory for job in jobs}) == 4


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ({"script": "delete", "sweep": {}}, r"targets\.t\.0\.script: expected one of train"),
        ({"script": "train"}, r"targets\.t\.0\.sweep: expected settings by name, got None"),
        (
            {"script": "train", "sweep": {"seed": 1}},
            r"sweep\.seed: expected a list of values, got 1",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(sweep: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        jobs_of("t", [sweep], Path("/out"))


def test_runs_and_is_finished(tmp_path: Path) -> None:
    """In a directory whose name has an equals sign and a comma; what was left there goes."""
    job = small(tmp_path / "seed=3,problem=saddle", problem="saddle", seed=3)
    job.directory.mkdir()
    (job.directory / "half").touch()
    assert not job.finished
    assert job.run()
    assert job.finished
    assert not (job.directory / "half").exists()
    assert 0 <= job.metrics["test/sr1"] <= 1
    assert "seed: 3" in (job.directory / "config.yaml").read_text()
    assert "results in" in (job.directory / "log.txt").read_text()


def test_one_that_fails_does_not_end_the_others(tmp_path: Path) -> None:
    good, bad = small(tmp_path / "good"), small(tmp_path / "bad", problem="nonsense")
    ended: list[Job] = []
    assert run_all([bad, good], 2, ended.append) == [bad]
    assert {job.directory.name for job in ended} == {"good", "bad"}
    assert good.finished
    assert not bad.finished
    assert "problem: expected one of" in (bad.directory / "log.txt").read_text()


def test_a_comparison_finds_the_checkpoint_of_the_phase_before(tmp_path: Path) -> None:
    """By a path with an equals sign, which Hydra would take for syntax."""
    trained = small(tmp_path / "variant=twin")
    assert trained.run()
    path = str(trained.directory / "checkpoints" / "best.ckpt")
    size = {"evaluation.instances": 2, "evaluation.starts": 1, "evaluation.iterations": 5}
    settings = {**size, "checkpoints": [path], "only": []}
    compared = Job("compare", settings, tmp_path / "compared", phase=1)
    assert compared.run(), (compared.directory / "log.txt").read_text()
    assert "TwinL2O_seed0/sr1" in compared.metrics


def test_metrics_are_read_as_written(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps({"test/sr1": None}))
    assert Job("train", {}, tmp_path).metrics == {"test/sr1": None}
