"""Kills training at random moments and compares: `python scripts/kill_test.py problem=seesaw`.

Every argument is a setting of `scripts/train.py`. Runs that are killed by SIGKILL and gone on with
until they end must leave the weights, metrics and history of a run that was never killed.
"""

import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from l2o.io.errors import UserError
from l2o.io.tensors import read_tensors

KILLS, SEED = 20, 0
LATEST = 0.6
"""Of the time of a whole run: so most kills come while training, several in each run."""
SMALL = ["protocol.epochs=60", "evaluation.instances=5", "checkpoint_seconds=0.2"]
TRAIN = Path(__file__).with_name("train.py")


def main() -> None:
    """Prints one line a kill and how many kills ended well; exits with 1 unless all did."""
    random_time, settings = random.Random(SEED), [*SMALL, *sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        whole = Path(folder) / "whole"
        start(whole, settings).wait()
        length, expected = time.monotonic() - began, results(whole)
        latest = length * LATEST
        print(f"never killed: {length:.1f} s; kills come after 0 to {latest:.1f} s, seed {SEED}")
        kills = identical = pending = runs = 0
        while kills < KILLS or pending:
            directory = Path(folder) / f"run{runs}"
            delay = random_time.uniform(0, latest) if kills < KILLS else None
            if killed(directory, settings, delay):
                kills, pending = kills + 1, pending + 1
                print(f"kill {kills} after {delay:.1f} s: {saved(directory)}", flush=True)
                continue
            same = results(directory) == expected
            print(f"run {runs}, killed {pending} times: {'identical' if same else 'DIFFERENT'}")
            identical += pending if same else 0
            runs, pending = runs + 1, 0
    print(f"{identical} of {KILLS} kills identical")
    sys.exit(identical != KILLS)


def start(directory: Path, settings: list[str]) -> subprocess.Popen[bytes]:
    """Starts training in a directory, or goes on with it."""
    arguments = [*settings, "resume=auto", f"hydra.run.dir={directory}"]
    return subprocess.Popen([sys.executable, TRAIN, *arguments], stdout=subprocess.DEVNULL)


def killed(directory: Path, settings: list[str], delay: float | None) -> bool:
    """Whether the run had to be killed; otherwise it has ended by itself."""
    process = start(directory, settings)
    try:
        status = process.wait(delay)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    if status != 0:
        sys.exit(f"error: training ended with status {status}")
    return False


def saved(directory: Path) -> str:
    """What a killed run left to go on from."""
    try:
        checkpoint = read_tensors(directory / "checkpoints" / "last.ckpt")
    except UserError as error:
        return f"nothing ({str(error).removeprefix(str(directory))})"
    loops = checkpoint["loops"]["fit_loop"]
    window = loops["epoch_loop.batch_progress"]["current"]["processed"]
    return f"saved in epoch {loops['epoch_progress']['current']['processed']}, window {window}"


def results(directory: Path) -> dict[str, Any]:
    """What must not depend on kills: metrics but for times, history, weights."""
    metrics = json.loads((directory / "metrics.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = {k: v for k, v in metrics.items() if not k.startswith("time/")}
    with (directory / "metrics.csv").open(encoding="utf-8") as file:
        found["rows"] = list(csv.DictReader(file))
    for name in ("best", "last"):
        weights = read_tensors(directory / "checkpoints" / f"{name}.ckpt")["state_dict"]
        found |= {f"{name}/{key}": value.numpy().tobytes() for key, value in weights.items()}
    return found


if __name__ == "__main__":
    main()
