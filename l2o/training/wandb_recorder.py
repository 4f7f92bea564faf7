"""Weights & Biases beside training, which it can neither stop nor slow down.

All that talks to W&B is a process of its own (`wandb_process.py`) that reads the run's directory.
Training never imports wandb and never waits for that process, but at its end, and then for
`wait_seconds` at most. Whatever happens to the process, the directory still has everything, so
that another one can record the run anew, offline.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from pytorch_lightning import Callback, LightningModule, Trainer

from l2o.io.files import replace_file
from l2o.training.loggers import WandbSettings
from l2o.training.run import TrainingRun

POLITE = ("nice", "-n", "10")
"""Training comes first, where processors are few."""
OFFLINE_S = 60.0
"""For writing a record to the disk, which takes two or three."""
PROJECT = "l2o"
"""Where runs are listed if neither the settings nor the environment name a project."""
LONGEST_TAG = 64
"""For W&B."""
REASON = "ended because: "
"""What a line of the process's log begins with that says why it ended."""
PROGRAM = Path(__file__).with_name("wandb_process.py")


@contextmanager
def recorded(run: TrainingRun, first: bool) -> Iterator[list[Callback]]:
    """Records a run in W&B while in the context, if its settings say so.

    Args:
        run: The run.
        first: Whether this is the first of the run's processes, which alone records.

    Returns:
        The callbacks that training needs for it.
    """
    if run.logger.wandb is None or not first:
        yield []
        return
    if refusal := _disabled():
        print(f"W&B: {refusal} in the environment, so the run is not recorded")
        yield []
        return
    recorder = Recorder(run, run.logger.wandb)
    try:
        yield [recorder]
        recorder.wait()
    finally:
        recorder.leave()


class Recorder(Callback):
    """The process that records a run, seen from training.

    Args:
        run: The run.
        settings: How.
    """

    def __init__(self, run: TrainingRun, settings: WandbSettings) -> None:
        folder = run.directory / "wandb"
        self._log = folder / "recorder.log"
        self._request: dict[str, Any] = {
            "wait_seconds": settings.wait_seconds,
            "offline": _offline(settings),
            "directory": str(run.directory),
            "command": sys.argv,
            "reason": None,
        }
        self._retried = False
        self._process: subprocess.Popen[bytes] | None = None
        try:
            folder.mkdir(exist_ok=True)
            self._request |= _identity(run, settings, folder / "run.json")
            self._start()
        except (OSError, ValueError) as error:
            print(f"W&B: cannot be begun ({error}), so the run is not recorded")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._relay()
        if self._process is not None and self._process.poll() is not None:
            self._try_again(_reason(self._log, self._process.returncode))

    def wait(self) -> None:
        """Lets the rest be recorded, online or else offline, each for a limited time."""
        while self._process is not None:
            self.leave()
            try:
                status = self._process.wait(self._request["wait_seconds"])
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._try_again(f"no answer within {self._request['wait_seconds']:g} s")
                continue
            self._relay()
            if status == 0:
                return
            self._try_again(_reason(self._log, status))

    def leave(self) -> None:
        """Tells the process that training has ended; it goes on alone, for a limited time."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def _start(self) -> None:
        command = [*POLITE, sys.executable, "-P", str(PROGRAM), json.dumps(self._request)]
        # What it keeps for a while it would keep in the user's home, which may not be writable.
        own = {"WANDB_DATA_DIR": str(self._log.parent)}
        utf8 = {"PYTHONIOENCODING": "utf-8:backslashreplace"}
        with self._log.open("wb") as log:
            # In a session of its own, where a Ctrl-C in the terminal does not reach it.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**own, **os.environ, **utf8},
                start_new_session=True,
            )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)

    def _try_again(self, reason: str) -> None:
        """Has another process record the run offline from its beginning; gives up after that."""
        self._process = None
        if self._retried:
            print(f"W&B: {reason}, so the run is not recorded; more in {self._log}")
            return
        self._retried = True
        self._request |= {"offline": True, "reason": reason, "wait_seconds": OFFLINE_S}
        try:
            self._start()
        except OSError as error:
            print(f"W&B: {reason}, so the run is not recorded ({error.strerror})")

    def _relay(self) -> None:
        """Prints what the process has to say, if anything."""
        if self._process is not None and self._process.stdout is not None:
            print((self._process.stdout.read() or b"").decode(), end="", flush=True)


def _disabled() -> str | None:
    """The variable that says that nothing is to be recorded, if one does."""
    if os.environ.get("WANDB_MODE") == "disabled":
        return "WANDB_MODE=disabled"
    value = os.environ.get("WANDB_DISABLED", "")
    return f"WANDB_DISABLED={value}" if value.lower() in ("1", "true", "yes", "on") else None


def _offline(settings: WandbSettings) -> bool | None:
    """Whether to write to the disk only; None where that depends on the account."""
    if settings.offline is None and os.environ.get("WANDB_MODE") in ("offline", "dryrun"):
        return True
    return settings.offline


def _identity(run: TrainingRun, settings: WandbSettings, path: Path) -> dict[str, Any]:
    """What the run is called, the same whenever it goes on."""
    given, group = os.environ.get, f"{run.names.problem}_{run.names.variant}"
    if not path.exists():
        # An agent of a sweep has chosen the id.
        identity = {"id": given("WANDB_RUN_ID") or secrets.token_hex(4), "tags": _tags()}
        replace_file(path, json.dumps(identity).encode())
    return {
        "project": settings.project or given("WANDB_PROJECT") or PROJECT,
        "entity": settings.entity,
        "group": settings.group or given("WANDB_RUN_GROUP") or group,
        "name": settings.name or given("WANDB_NAME") or f"{group}_seed{run.seed}",
        **json.loads(path.read_text(encoding="utf-8")),
    }


def _tags() -> list[str]:
    """Those of the environment, and what the jobs of one multirun have in common."""
    tags = [tag for tag in os.environ.get("WANDB_TAGS", "").split(",") if tag]
    if HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN:
        tags.append(f"multirun {Path(HydraConfig.get().sweep.dir).name}"[:LONGEST_TAG])
    return tags


def _reason(log: Path, status: int) -> str:
    """Why a process ended: what it said last, if it ended by itself."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    said = [line.removeprefix(REASON) for line in lines if line.startswith(REASON)]
    return said[-1] if status == 1 and said else f"its process ended with status {status}"
