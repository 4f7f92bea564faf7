"""The process that records a run in Weights & Biases: `python wandb_process.py REQUEST`.

It reads what the run leaves in its directory and imports nothing of `l2o`. When its standard
input ends, training has ended: it sends the rest, and has `wait_seconds` for that.
"""

from __future__ import annotations

import csv
import json
import math
import os
import shlex
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

import wandb
import yaml
from filelock import lock_descriptor

POLL_S = 2.0
"""Between two looks for new epochs."""
SCORE = "val/score"
REASON = "ended because: "
"""What the line begins with that says why this process ends: wandb writes into the log as well."""
LOSS = "Fatal error while uploading data"
"""What wandb writes when it gives up."""


def main() -> None:
    """Records the run that the first argument describes, in JSON."""
    request, training = json.loads(sys.argv[1]), os.getppid()
    directory, ended = Path(request["directory"]), threading.Event()
    # What W&B shows as the command.
    sys.argv = request["command"]
    watch = threading.Thread(target=_watch, args=(ended, request["wait_seconds"]), daemon=True)
    watch.start()
    with (directory / "wandb" / ".lock").open("w", encoding="utf-8") as lock:
        # The process of an earlier part of the run may still be sending.
        lock_descriptor(lock.fileno())
        try:
            run = _begin(request, training)
            _record(run, directory, ended)
            _refuse_loss(directory / "wandb" / "recorder.log")
        except Exception as error:
            traceback.print_exc()
            reason = str(error).strip().split("\n")[0].rstrip(".")
            print(f"{REASON}{reason or type(error).__name__}", file=sys.stderr, flush=True)
            os._exit(1)
    # What wandb does when Python ends may hang, and there is nothing left to do.
    os._exit(0)


def _watch(ended: threading.Event, seconds: float) -> None:
    """Tells when training has ended, and ends this process if it then takes too long."""
    sys.stdin.buffer.read()
    ended.set()
    time.sleep(seconds)
    print(f"{REASON}no answer within {seconds:g} s", file=sys.stderr, flush=True)
    os._exit(1)


def _begin(request: dict[str, Any], training: int) -> wandb.Run:
    """Begins the run, or goes on with it, and says where it is to be seen."""
    offline, reason = request["offline"], request["reason"]
    if offline is None and not wandb.login(prompt=False, verify=False):
        offline, reason = True, "no account is set up here"
    directory = Path(request["directory"])

    def stop() -> None:
        """Answers the button in the browser."""
        if os.getppid() == training:
            os.kill(training, signal.SIGTERM)

    # An agent has chosen the project and the id already, and numbers its runs by name.
    agent = "WANDB_SWEEP_ID" in os.environ
    own = {} if agent else {key: request[key] for key in ("project", "entity", "id", "name")}
    # It also names a directory, for all of its runs.
    own |= {"dir": directory} if agent else _unless_given(dir=directory)
    mode: Any = {True: "offline", False: "online", None: None}[offline]
    settings = _unless_given(program=sys.argv[0], init_timeout=request["wait_seconds"])
    run = wandb.init(
        **own,
        **_unless_given(resume="allow"),
        group=request["group"],
        tags=request["tags"],
        config=yaml.safe_load((directory / "config.yaml").read_text(encoding="utf-8")),
        mode=mode,
        settings=wandb.Settings(console="off", x_stats_pid=training, stop_fn=stop, **settings),
    )
    told = f"W&B: {run.url}"
    if run.offline:
        why = f"{reason}, so the run" if reason else "the run"
        where = shlex.quote(os.path.abspath(run.settings.sync_dir))
        told = f"W&B: {why} is recorded offline; `wandb sync {where}` uploads it later"
    # Training may have ended and read no more.
    with suppress(BrokenPipeError):
        if not run.settings.silent:
            print(told, flush=True)
    return run


def _unless_given(**settings: Any) -> dict[str, Any]:
    """Settings of W&B, but for those that a variable of the environment decides."""
    return {name: v for name, v in settings.items() if f"WANDB_{name.upper()}" not in os.environ}


def _record(run: wandb.Run, directory: Path, ended: threading.Event) -> None:
    """Sends every epoch once, and the results when training has ended."""
    run.define_metric("epoch")
    run.define_metric("*", step_metric="epoch")
    # The lowest is sent below: as `summary="min"` it would be no number, but {"min": number},
    # which a sweep cannot compare.
    run.define_metric(SCORE, step_metric="epoch", summary="none")
    # A run that goes on with one online has sent its first epochs already.
    due, last = run.step, False
    while not last:
        last = ended.wait(POLL_S)
        rows = _rows(directory / "metrics.csv")
        new = rows[due:]
        for row in new:
            run.log(row, step=due, commit=True)
            due += 1
        scores = [row[SCORE] for row in rows if math.isfinite(row.get(SCORE, math.nan))]
        if new and scores:
            run.summary[SCORE] = min(scores)
    results = directory / "metrics.json"
    if results.exists():
        _send_results(run, json.loads(results.read_text(encoding="utf-8")), directory)
    # A trial of a study that was ended early has not failed.
    ended_well = results.exists() or (directory / "pruned.json").exists()
    run.finish(exit_code=0 if ended_well else 1)


def _refuse_loss(log: Path) -> None:
    """Raises RuntimeError if the server refused something, which wandb only mentions."""
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if LOSS in line:
            raise RuntimeError(line[line.index(LOSS) :].split(".")[0])


def _send_results(run: wandb.Run, metrics: dict[str, Any], directory: Path) -> None:
    """Sends final metrics, plots and the best checkpoint."""
    plots = sorted((directory / "plots").glob("*.png"))
    run.log({f"plots/{path.stem}": wandb.Image(str(path)) for path in plots})
    run.summary.update(metrics)
    artifact = wandb.Artifact(f"checkpoint-{run.id}", type="model", metadata=metrics)
    # It will not change any more, and so need not be copied into the user's home first.
    artifact.add_file(str(directory / "checkpoints" / "best.ckpt"), policy="immutable")
    run.log_artifact(artifact)


def _rows(path: Path) -> list[dict[str, float]]:
    """The epochs so far, but for a line that is just being written."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    return [_numbers(row) for row in csv.DictReader(whole)]


def _numbers(row: dict[str, str]) -> dict[str, float]:
    return {
        key: int(text) if key in ("epoch", "step") else float(text)
        for key, text in row.items()
        if text
    }


if __name__ == "__main__":
    main()
