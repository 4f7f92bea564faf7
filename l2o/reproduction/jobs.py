"""Jobs: which runs a target is made of, where each leaves its results, and running them."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2o.io import checks
from l2o.training.command_line import quoted

SCRIPTS = ("train", "compare", "evaluate", "operations")


@dataclass(frozen=True)
class Job:
    """One run of a script.

    Attributes:
        script: `train`, `compare`, `evaluate` or `operations`.
        settings: Its overrides.
        directory: Where it leaves its results; finished once `metrics.json` is in it.
        phase: It may need results of those before.
    """

    script: str
    settings: dict[str, Any]
    directory: Path
    phase: int = 0

    @property
    def finished(self) -> bool:
        """Whether its results are there."""
        return (self.directory / "metrics.json").is_file()

    @property
    def metrics(self) -> dict[str, float | None]:
        """Its results; null where a number was not finite."""
        metrics: dict[str, float | None] = json.loads(
            (self.directory / "metrics.json").read_text(encoding="utf-8")
        )
        return metrics

    def run(self, began: Callable[[subprocess.Popen[bytes]], object] = id) -> bool:
        """Runs it in a process of its own, on one thread; returns whether it finished.

        What an interrupted run has left is removed first. Its output goes to `log.txt`.

        Args:
            began: Called with the process.
        """
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        overrides = [f"{key}={_text(value)}" for key, value in self.settings.items()]
        run = f"from l2o.cli.commands import {self.script}; {self.script}()"
        directory = f"hydra.run.dir={quoted(str(self.directory))}"
        command = [sys.executable, "-P", "-c", run, *overrides, directory]
        with (self.directory / "log.txt").open("w", encoding="utf-8") as log:
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=environment
            )
            began(process)
            status = process.wait()
        return status == 0 and self.finished


def jobs_of(name: str, sweeps: object, directory: Path) -> list[Job]:
    """All jobs of a target.

    Args:
        name: Of the target.
        sweeps: For each, `script` and `sweep`, the values of every setting.
        directory: Of the reproduction.

    Raises:
        UserError: If a sweep cannot be read.
    """
    jobs: list[Job] = []
    if not isinstance(sweeps, list):
        raise checks.refusal(f"targets.{name}", "a list of sweeps", sweeps)
    for place, described in enumerate(sweeps):
        where = f"targets.{name}.{place}"
        sweep = checks.mapping(where, described)
        script = checks.choice(f"{where}.script", sweep.get("script"), SCRIPTS)
        values = checks.mapping(f"{where}.sweep", sweep.get("sweep"))
        for key, several in values.items():
            if not isinstance(several, list):
                raise checks.refusal(f"{where}.sweep.{key}", "a list of values", several)
        for combination in itertools.product(*values.values()):
            settings = dict(zip(values, combination, strict=True))
            # Only what differs within the sweep names the directory.
            parts = [f"{key}={_text(settings[key])}" for key in values if len(values[key]) > 1]
            own = directory / name / f"{place}_{script}" / (",".join(parts) or "only")
            # Sweeps of one script in a row need nothing of each other.
            last = jobs[-1] if jobs else None
            phase = last.phase + (script != last.script) if last else 0
            jobs.append(Job(script, settings, own, phase))
    return jobs


def run_all(jobs: Sequence[Job], workers: int, on_end: Callable[[Job], object]) -> list[Job]:
    """Runs jobs, several at a time; one that fails does not end the others.

    Args:
        jobs: Those to run.
        workers: How many at a time.
        on_end: Called with each as it ends.

    Returns:
        Those that failed.
    """
    failed = []
    processes: list[subprocess.Popen[bytes]] = []
    with ThreadPoolExecutor(workers) as pool:
        running = {pool.submit(job.run, processes.append): job for job in jobs}
        try:
            for ended in as_completed(running):
                if not ended.result():
                    failed.append(running[ended])
                on_end(running[ended])
        except BaseException:
            # Interrupted: what has not begun is not begun, and what runs is asked to end.
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()
            raise
    return failed


def _text(value: Any) -> str:
    """A value as Hydra reads it."""
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    text = str(value)
    # What could be read as syntax, a path with an equals sign for instance, is quoted.
    return text if re.fullmatch(r"[\w./+-]*", text, re.ASCII) else quoted(text)
