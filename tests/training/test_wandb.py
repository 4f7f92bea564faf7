"""Weights & Biases: what is recorded, under which name, and that no fault of it is training's."""

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from wandb.wandb_agent import Agent

from l2o import UserError
from l2o.cli.config import CONFIGS, plain
from l2o.training.run import TrainingRun
from l2o.training.train import train
from tests.cli.test_scripts import run, started, wait_for_rows
from tests.training.stopping import RECIPE, results, stopped
from tests.training.test_configs import SMALL, composed
from tests.training.wandb_records import Record, Server, offline_records, serving

WANDB = ["logger=wandb", "logger.wandb.wait_seconds=60"]
IMPATIENT = ["logger=wandb", "logger.wandb.wait_seconds=3"]

pytestmark = pytest.mark.usefixtures("without_plots")


@pytest.fixture(autouse=True)
def _no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    """A made-up one."""
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)


def _rows(directory: Path) -> list[dict[str, float]]:
    with (directory / "metrics.csv").open() as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]


def _check_whole(record: Record, directory: Path) -> None:
    """That a record holds all that a finished run has left."""
    assert record.rows == _rows(directory)
    metrics = json.loads((directory / "metrics.json").read_text())
    assert {key: record.summary[key] for key in metrics} == metrics
    assert metrics["val/score"] == min(row.get("val/score", 1e99) for row in record.rows)
    assert record.config == yaml.safe_load((directory / "config.yaml").read_text())
    (artifact,) = record.artifacts
    assert (artifact.type, artifact.name) == ("model", f"checkpoint-{record.run.run_id}")
    (content,) = artifact.manifest.contents
    best = directory / "checkpoints" / "best.ckpt"
    assert (content.path, content.size) == ("best.ckpt", best.stat().st_size)


def test_an_offline_record_read_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], whole: dict[str, Any]
) -> None:
    train(composed(tmp_path / "run", *RECIPE, *WANDB))
    (folder,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    told = f"W&B: no account is set up here, so the run is recorded offline; `wandb sync {folder}`"
    assert told in capsys.readouterr().out
    (record,) = offline_records(tmp_path / "run")
    _check_whole(record, tmp_path / "run")
    assert record.run.project == "l2o"
    assert record.run.run_group == "problem_variant"
    assert record.run.display_name == "problem_variant_seed0"
    assert record.status == 0
    assert results(tmp_path / "run") == whole


def test_the_environment_decides_what_the_settings_leave_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"PROJECT": "atlas", "ENTITY": "team", "NAME": "first", "RUN_GROUP": "pair"}
    given |= {"TAGS": "a,b c", "NOTES": "as told", "JOB_TYPE": "try", "RUN_ID": "id1"}
    given |= {"DIR": str(tmp_path / "it's here"), "MODE": "offline", "HOST": "farm"}
    for name, value in given.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    train(composed(tmp_path / "run", *WANDB, "logger.wandb.name=second"))
    (record,) = offline_records(tmp_path / "it's here")
    told = capsys.readouterr().out
    word = told.partition("wandb sync ")[2].partition("` uploads")[0]
    (where,) = shlex.split(word)
    assert Path(where).parent == tmp_path / "it's here" / "wandb"
    assert "no account" not in told, "it was asked to be offline"
    found = record.run
    assert (found.project, found.entity, found.run_group) == ("atlas", "team", "pair")
    assert (found.display_name, list(found.tags)) == ("second", ["a", "b c"])
    assert (found.notes, found.job_type, found.run_id) == ("as told", "try", "id1")
    assert found.host == "farm"


@pytest.mark.parametrize("variable", ["WANDB_MODE=disabled", "WANDB_DISABLED=true"])
def test_what_is_disabled_is_not_recorded(
    tmp_path: Path,
    variable: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(*variable.split("="))
    train(composed(tmp_path, *WANDB))
    assert f"W&B: {variable} in the environment, so the run is not recorded" in (
        capsys.readouterr().out
    )
    assert not (tmp_path / "wandb").exists()


def test_silence_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    train(composed(tmp_path, *WANDB, "logger.wandb.offline=true"))
    assert "W&B" not in capsys.readouterr().out
    assert len(offline_records(tmp_path)) == 1


@pytest.mark.usefixtures("account")
def test_a_home_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/proc")
    server = Server()
    with serving(server) as address:
        monkeypatch.setenv("WANDB_BASE_URL", address)
        train(composed(tmp_path / "online", *WANDB))
    assert any(name.startswith("checkpoint-") for name in server.uploaded)
    train(composed(tmp_path / "offline", *WANDB, "logger.wandb.offline=true"))
    (record,) = offline_records(tmp_path / "offline")
    _check_whole(record, tmp_path / "offline")


def test_names_in_a_multirun(tmp_path: Path) -> None:
    """Of the choices that are in force, also in an experiment, and kept when a run goes on."""
    own = ["problem._target_=tests.helpers.Cubic", "+problem.c=[0.5,1]", "problem.n=2"]
    small = [*SMALL, "experiment=a6", "reward=objective", "evaluation.iterations=5", *WANDB]
    both = ["--multirun", "problem=custom", "variant=twin_log_inputs", "seed=0,3"]
    done = run("train", tmp_path, *both, *small, *own, "hydra.sweep.dir=several")
    assert done.returncode == 0, done.stderr
    for job, seed in enumerate((0, 3)):
        (record,) = offline_records(tmp_path / "several" / str(job))
        assert record.run.run_group == "custom_twin_log_inputs"
        assert record.run.display_name == f"custom_twin_log_inputs_seed{seed}"
        assert record.config["chosen"] == {"problem": "custom", "variant": "twin_log_inputs"}
        assert list(record.run.tags) == ["multirun several"]
        plots = {key.split("/")[1] for row in record.history for key in row if "plots" in key}
        assert plots == {"convergence", "training"}


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("silent", "no answer within 3 s"),
        ("refusing", "no answer within 3 s"),
        ("broken", "Failed to get|no answer within 3 s"),
        ("deaf", "Fatal error while uploading data|no answer within 3 s"),
    ],
)
def test_a_faulty_server_leaves_the_results_as_they_are(
    tmp_path: Path,
    whole: dict[str, Any],
    fault: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(Server(fault)) as address:
        nobody = "http://127.0.0.1:9"
        monkeypatch.setenv("WANDB_BASE_URL", nobody if fault == "refusing" else address)
        train(composed(tmp_path / "run", *RECIPE, *IMPATIENT))
    (told,) = (line for line in capsys.readouterr().out.splitlines() if "so the run is" in line)
    assert any(word in told for word in words.split("|")), told
    assert results(tmp_path / "run") == whole
    record = offline_records(tmp_path / "run")[-1]
    assert f"recorded offline; `wandb sync {tmp_path / 'run' / 'wandb' / 'offline-run-'}" in told
    _check_whole(record, tmp_path / "run")


def test_what_wandb_thinks_of_an_entity_does_not_stop_training(tmp_path: Path) -> None:
    assert "test/sr1" in train(composed(tmp_path, *WANDB, "logger.wandb.entity='a b'"))


def test_a_process_that_dies_is_replaced(
    tmp_path: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from l2o.training.wandb_recorder import Recorder

    killed = []

    def kill(self: Recorder, *_: Any) -> None:
        process = self._process
        if not killed and process is not None:
            process.kill()
            process.wait()
            killed.append(process.pid)

    monkeypatch.setattr(Recorder, "on_train_epoch_start", kill)
    train(composed(tmp_path, *RECIPE, *WANDB))
    assert len(killed) == 1
    _check_whole(offline_records(tmp_path)[-1], tmp_path)
    assert results(tmp_path) == whole


@pytest.mark.usefixtures("account")
def test_a_hung_server_holds_up_no_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = ["protocol.epochs=100000", "hydra.run.dir=run", "logger=wandb"]
    with serving(Server("silent")) as address:
        monkeypatch.setenv("WANDB_BASE_URL", address)
        patient = "logger.wandb.wait_seconds=30"
        with started("train", tmp_path, *SMALL, *long, patient) as process:
            wait_for_rows(process, tmp_path / "run" / "metrics.csv", 3)
            process.send_signal(signal.SIGTERM)
            _, told = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "interrupted by SIGTERM; to go on" in told
    identity = json.loads((tmp_path / "run" / "wandb" / "run.json").read_text())
    assert identity["id"]


def test_training_does_not_load_wandb() -> None:
    """Which has threads, and handlers for signals and for the end of Python."""
    code = "import sys, l2o.training.fit; print('wandb' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False True\n", done.stderr


def test_a_run_that_goes_on_is_the_same_run(
    tmp_path: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stopped(monkeypatch, 8, composed(tmp_path, *RECIPE, *WANDB)) == 143
    _wait_for_process(tmp_path)
    train(composed(tmp_path, f"resume={tmp_path}"))
    assert results(tmp_path) == whole
    first, second = offline_records(tmp_path)
    assert first.run.run_id == second.run.run_id
    assert first.run.display_name == second.run.display_name
    assert first.status == 1
    _check_whole(second, tmp_path)
    # What is sent again is the same, at the same step, and so writes over itself.
    assert 0 < len(first.rows) < len(second.rows)
    assert first.rows == second.rows[: len(first.rows)]
    assert [row["_step"] for row in second.history[:-1]] == list(range(len(second.rows)))


@pytest.mark.usefixtures("account")
def test_a_run_that_goes_on_online_has_each_epoch_once(
    tmp_path: Path,
    whole: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = Server()
    with serving(server) as address:
        monkeypatch.setenv("WANDB_BASE_URL", address)
        assert stopped(monkeypatch, 8, composed(tmp_path, *RECIPE, *WANDB)) == 143
        _wait_for_process(tmp_path)
        before = len(server.rows)
        train(composed(tmp_path, f"resume={tmp_path}"))
    assert results(tmp_path) == whole
    identity = json.loads((tmp_path / "wandb" / "run.json").read_text())
    assert capsys.readouterr().out.count(f"W&B: {address}/me/l2o/runs/{identity['id']}") >= 1
    assert before == 2
    epochs = [row["epoch"] for row in server.rows if "train/meta_loss" in row]
    assert epochs == [0, 1, 2, 3]
    assert {run["name"] for run in server.runs} == {identity["id"]}
    assert f"checkpoint-{identity['id']}" in server.uploaded


def _wait_for_process(directory: Path) -> None:
    """Until the process that records a run has begun and ended; it holds a lock."""
    while not (directory / "wandb" / ".lock").exists():
        time.sleep(0.1)
    command = ["flock", str(directory / "wandb" / ".lock"), "true"]
    subprocess.run(command, check=True, timeout=100)


def test_begun_without_and_gone_on_with_wandb(tmp_path: Path) -> None:
    """Another way to log can be chosen; the names are still those of the run."""
    small = [*SMALL, "problem=seesaw_range2", "seed=5", "protocol.epochs=60", "hydra.run.dir=run"]
    with started("train", tmp_path, *small, "protocol.validation.every=30") as process:
        wait_for_rows(process, tmp_path / "run" / "metrics.csv", 3)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    done = run("train", tmp_path, "resume=run", *WANDB)
    assert done.returncode == 0, done.stderr
    (record,) = offline_records(tmp_path / "run")
    assert record.run.display_name == "seesaw_range2_twin_seed5"
    assert [row["epoch"] for row in record.rows] == list(range(60))


def _extremes(parameter: dict[str, Any]) -> list[Any]:
    if "values" in parameter:
        return list(parameter["values"])
    return [parameter["min"], parameter["max"]]


def test_every_value_of_the_sweep_is_accepted(tmp_path: Path) -> None:
    sweep = yaml.safe_load((CONFIGS / "wandb_sweep.yaml").read_text())
    assert sweep["metric"] == {"name": "val/score", "goal": "minimize"}
    always = [part for part in sweep["command"] if "=" in part]
    for key, parameter in sweep["parameters"].items():
        for value in _extremes(parameter):
            overrides = [*always, f"run_dir={tmp_path}", f"{key}={value}"]
            with initialize_config_dir(str(CONFIGS), version_base="1.3"):
                config = plain(compose("train", overrides))
            part: Any = TrainingRun.from_config(config).config
            for name in key.split("."):
                part = part[name]
            assert part == value, key


def test_an_agent_of_the_sweep_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By wandb's own agent, short of what it asks its server."""
    sweep = yaml.safe_load((CONFIGS / "wandb_sweep.yaml").read_text())
    values = {key: _extremes(parameter)[0] for key, parameter in sweep["parameters"].items()}
    small = [setting for setting in SMALL if setting.split("=")[0] not in values]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    for name, value in {"SWEEP_ID": "sweep1", "RUN_ID": "", "DIR": ".", "PROJECT": "l2o"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    monkeypatch.setenv("WANDB_SWEEP_PARAM_PATH", "")
    agent = Agent(api=None, queue=None)
    agent._sweep_command = [*sweep["command"], *WANDB[1:], *small, "hydra.run.dir=run"]
    arguments = {key: {"value": value} for key, value in values.items()}
    answer = agent._process_command(
        {"type": "run", "run_id": "run1", "program": sweep["program"], "args": arguments}
    )
    assert "exception" not in answer
    assert agent._run_processes["run1"].wait(timeout=200) == 0
    (record,) = offline_records(tmp_path / "run")
    assert (record.run.run_id, record.run.sweep_id) == ("run1", "sweep1")
    assert record.run.run_group == "seesaw_range7_twin"
    assert record.rows == _rows(tmp_path / "run")
    for key, value in values.items():
        part: Any = record.config
        for name in key.split("."):
            part = part[name]
        assert part == value, key


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("logger.csv=false", "logger.csv: expected true, because W&B is fed from metrics.csv"),
        ("logger.wandb.project='a/b'", "logger.wandb.project: expected a name of at most 128"),
        ("logger.wandb.offline=often", "logger.wandb.offline: expected true, false or null"),
        ("logger.wandb.wait_seconds=0", "logger.wandb.wait_seconds: expected a number above 0"),
    ],
)
def test_mistakes_are_found_before_training(tmp_path: Path, setting: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        train(composed(tmp_path, "logger=wandb", setting))
    assert not any(tmp_path.iterdir())


def test_a_mistake_in_the_environment_is_found_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "ofline")
    words = "logger.wandb.offline: .* in the environment's WANDB_MODE, got 'ofline'"
    with pytest.raises(UserError, match=words):
        train(composed(tmp_path, "logger=wandb"))
