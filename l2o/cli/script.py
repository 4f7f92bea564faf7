"""What the scripts share: their main function, and one line for every mistake of the user's."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, suppress
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)
from yaml import MarkedYAMLError

from l2o.cli.arguments import readable
from l2o.cli.config import CONFIGS, check_complete, plain
from l2o.cli.help import help_text
from l2o.cli.streams import make_tolerant
from l2o.cli.sweep import concluded
from l2o.io.directory import FAILURE
from l2o.io.errors import UserError
from l2o.io.files import replace_file
from l2o.training.interruption import Interrupted, Interruption

TOO_LARGE = ("can't allocate memory", "Storage size calculation overflowed")
"""Parts of the messages that PyTorch has for tensors that exceed memory or 64 bits."""


def script(
    config_name: str,
) -> Callable[[Callable[[dict[str, Any]], object]], Callable[[], None]]:
    """Turns a function of a config into the main function of a Hydra script.

    The function receives the composed config as plain data. A mistake of the user's ends the
    script with status 2 and one line on the error output; in a sweep it ends only its own job.

    Args:
        config_name: The file in `conf/` that the script composes.
    """

    def decorate(job: Callable[[dict[str, Any]], object]) -> Callable[[], None]:
        def run(config: DictConfig) -> object:
            check_complete(config, config_name)
            # Paths are relative to where the command was typed, also with hydra.job.chdir=true.
            with chdir(HydraConfig.get().runtime.cwd):
                return job(plain(config))

        def guarded(config: DictConfig) -> object:
            make_tolerant()  # also in the workers of a sweep
            try:
                if HydraConfig.get().mode is RunMode.MULTIRUN:
                    return _recorded(run, config)
                with one_line_errors():
                    return run(config)
            finally:
                _remove_empty_directory()

        def main() -> None:
            # Hydra would print its own account of an error, several lines long.
            os.environ["HYDRA_FULL_ERROR"] = "1"
            # Lightning, too, imports Matplotlib, which fails for an unknown backend.
            os.environ["MPLBACKEND"] = "agg"
            make_tolerant()
            with Interruption().listening(), one_line_errors(), concluded():
                given = readable(sys.argv[1:], config_name)
                if given.help:
                    print(help_text(config_name, given.settings, given.folder))
                    return
                sys.argv[1:] = [*given.settings, *given.flags]
                with _making_directories():
                    hydra.main(str(CONFIGS), config_name, "1.3")(guarded)()

        return main

    return decorate


def _recorded(run: Callable[[DictConfig], object], config: DictConfig) -> object:
    """Runs a job of a sweep; one that fails is told in one line and recorded, and goes no further.

    Returns:
        What the job returns; None if it failed, which sweepers take for a failure or nothing.
    """
    job = HydraConfig.get()
    directory, overrides = Path(job.runtime.output_dir), list(job.overrides.task)
    (directory / FAILURE).unlink(missing_ok=True)
    try:
        return run(config)
    except Exception as error:
        line, trace = one_line(error), None
        if line is None:
            line, trace = f"{type(error).__name__}: {_first_line(error)}", traceback.format_exc()
    # Unresolved, if they cannot be resolved: that may be what failed.
    settings = _resolved(config) or OmegaConf.to_container(config)
    failure = {"error": line, "overrides": overrides, "traceback": trace, "settings": settings}
    content = json.dumps(failure, indent=2, default=str) + "\n"
    replace_file(directory / FAILURE, content.encode())
    print(f"job {job.job.num} failed ({' '.join(overrides)}): {line}", file=sys.stderr, flush=True)
    return None


def _resolved(config: DictConfig) -> dict[str, Any] | None:
    try:
        return plain(config)
    except (OmegaConfBaseException, UserError):
        return None


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends the script with one line on the error output and a status.

    The status is 2 for a user's mistake, 130 for Ctrl-C and 143 for SIGTERM.
    """
    try:
        yield
    except Interrupted as interrupted:
        print(f"interrupted by {interrupted.signal.name}", file=sys.stderr)
        sys.exit(interrupted.status)
    except Exception as error:
        message = one_line(error)
        if message is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)


def one_line(error: Exception) -> str | None:
    """What to tell of an error that the user can mend; None for every other."""
    if isinstance(error, UserError | HydraException | OmegaConfBaseException):
        return " ".join(_message(error).splitlines())
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{mark.name}: cannot be read as YAML, line {mark.line + 1}: {error.problem}"
    if isinstance(error, OSError) and error.strerror is not None:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    too_large = isinstance(error, RuntimeError) and any(w in str(error) for w in TOO_LARGE)
    if isinstance(error, MemoryError) or too_large:
        return f"not enough memory; choose smaller sizes ({_first_line(error)[:200]})"
    return None


def _message(error: Exception) -> str:
    """What was expected, what arrived, what to do."""
    if isinstance(error, MissingConfigException) and error.options:
        group, _, name = (error.missing_cfg_file or "").rpartition("/")
        more = "; pip install 'l2o[sweep]' or 'l2o[ray]' adds others"
        return (
            f"{group}: expected one of {', '.join(error.options)}, got '{name}'"
            f"{more if group.startswith('hydra/') else ''}"
        )
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    key, parent = getattr(cause, "full_key", None), getattr(cause, "parent_node", None)
    if isinstance(cause, ConfigKeyError | ConfigAttributeError) and isinstance(parent, DictConfig):
        where, _, name = str(key).rpartition(".")
        names = ", ".join(sorted(str(name) for name in parent))
        return f"{key}: no such setting '{name}'; {where or 'the config'} has {names}"
    if isinstance(cause, MissingMandatoryValue):
        return f"{key}: a value is missing; add {key}=VALUE"
    if isinstance(cause, OmegaConfBaseException) and key:
        # A run's directory is named after settings, one of which is at fault then.
        typed = f"; given {' '.join(sys.argv[1:])}" if str(key).startswith("hydra.") else ""
        return f"{key}: {_first_line(cause)}{typed}"
    return " ".join(str(error).split())


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


@contextmanager
def _making_directories() -> Iterator[None]:
    """Says what to do if Hydra cannot create the directory of a run."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UserError("the working directory does not exist any more; cd to another") from None
    try:
        yield
    except OSError as error:
        if error.filename is None:
            raise
        raise UserError(
            f"{error.filename}: {error.strerror}; choose a place that can be written, with "
            "hydra.run.dir=FOLDER (hydra.sweep.dir of a multirun)"
        ) from None


def _remove_empty_directory() -> None:
    """Removes the empty directory of a run that was refused or resumed elsewhere."""
    directory = Path(HydraConfig.get().runtime.output_dir)
    with suppress(OSError):
        directory.rmdir()
        # Below where the command was typed it was made for this run, as outputs/evaluate is.
        if Path(HydraConfig.get().runtime.cwd) in directory.parent.parents:
            directory.parent.rmdir()
