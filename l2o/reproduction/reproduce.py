"""Reproduces a target of the config: runs what is not finished, then writes the report."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from l2o.io import checks
from l2o.reporting.console import console
from l2o.reporting.progress import ProgressLine
from l2o.reproduction.jobs import Job, jobs_of, run_all
from l2o.reproduction.report import write_report


def reproduce(config: Mapping[str, Any]) -> int:
    """Runs the jobs of one target, or of all, and reports every target that is finished.

    Args:
        config: A composed config of `conf/reproduce.yaml`, as plain data.

    Returns:
        How many jobs failed.

    Raises:
        UserError: If the config cannot work; raised before any long work.
    """
    targets = checks.mapping("targets", config["targets"])
    chosen = checks.choice("target", config["target"], [*targets, "all"])
    given = config["workers"]
    workers = checks.count("workers", os.cpu_count() or 1 if given is None else given)
    directory = checks.path("directory", config["directory"]).resolve()
    report = checks.path("report", config["report"])
    jobs = {name: jobs_of(name, sweeps, directory) for name, sweeps in targets.items()}
    wanted = [job for name in jobs if chosen in (name, "all") for job in jobs[name]]
    waiting = [job for job in wanted if not job.finished]

    with ProgressLine(f"reproducing {chosen}", len(wanted), "jobs") as line:
        if len(waiting) < len(wanted):
            line.note("finished before")
            line.advance(len(wanted) - len(waiting))

        def ended(job: Job) -> None:
            line.note(f"{job.directory.parent.parent.name}: {job.directory.name}")
            line.advance()

        failed = []
        for phase in sorted({job.phase for job in waiting}):
            failed += run_all([job for job in waiting if job.phase == phase], workers, ended)
    out = console()
    for job in failed:
        out.print(f"failed: see {job.directory / 'log.txt'}", soft_wrap=True)
    write_report(jobs, report)
    out.print(f"report in {report}.md", soft_wrap=True)
    return len(failed)
