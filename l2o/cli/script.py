"""What the scripts share: their main function, and one line for every mistake of the user's."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from l2o.cli.config import CONFIGS, check_arguments, check_complete, plain
from l2o.cli.streams import make_tolerant
from l2o.cli.sweep import concluded
from l2o.io.directory import FAILURE
from l2o.io.errors import UserError
from l2o.io.files import replace_file
from l2o.training.interruption import Interrupted, Interruption

TOO_LARGE = ("can't allocate memory", "Storage size calculation overflowed")
"""What PyTorch says of tensors beyond the memory or beyond 64 bits."""


def script(
    config_name: str,
) -> Callable[[Callable[[dict[str, Any]], float]], Callable[[], None]]:
    """Turns a function of a config into the main function of a Hydra script.

    The function receives the composed config as plain data. A mistake of the user's ends the
    script with status 2 and one line on the error output; in a sweep it ends only its own job.

    Args:
        config_name: The file in `conf/` that the script composes.
    """

    def decorate(job: Callable[[dict[str, Any]], float]) -> Callable[[], None]:
        def run(config: DictConfig) -> float:
            check_complete(config, config_name)
            return job(plain(config))

        def guarded(config: DictConfig) -> float | None:
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
            # Plots are files. Lightning, too, imports Matplotlib, which refuses unknown backends.
            os.environ["MPLBACKEND"] = "agg"
            make_tolerant()
            with Interruption().listening(), one_line_errors(), concluded():
                check_arguments(sys.argv[1:])
                hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=config_name)(
                    guarded
                )()

        return main

    return decorate


def _recorded(run: Callable[[DictConfig], float], config: DictConfig) -> float | None:
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
    if isinstance(error, OSError) and error.strerror is not None:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    too_large = isinstance(error, RuntimeError) and any(w in str(error) for w in TOO_LARGE)
    if isinstance(error, MemoryError) or too_large:
        return f"not enough memory; choose smaller sizes ({_first_line(error)[:200]})"
    return None


def _message(error: Exception) -> str:
    """One line: what was expected, what arrived, what to do."""
    if isinstance(error, MissingConfigException) and error.options:
        group, _, name = (error.missing_cfg_file or "").rpartition("/")
        return f"{group}: expected one of {', '.join(error.options)}, got '{name}'"
    if isinstance(error, OverrideParseException):
        return f"{error.override}: expected KEY=VALUE, could not read it ({_first_line(error)})"
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    key, parent = getattr(cause, "full_key", None), getattr(cause, "parent_node", None)
    if "is not in struct" in str(cause) and isinstance(parent, DictConfig):
        where, _, name = str(key).rpartition(".")
        names = ", ".join(sorted(str(name) for name in parent))
        return f"{key}: no such setting '{name}'; {where or 'the config'} has {names}"
    if isinstance(cause, MissingMandatoryValue):
        return f"{key}: a value is missing; add {key}=VALUE"
    if isinstance(cause, OmegaConfBaseException) and key:
        # A run's directory is named after settings, one of which is at fault then.
        typed = f"; given {' '.join(sys.argv[1:])}" if str(key).startswith("hydra.") else ""
        return f"{key}: {_first_line(cause)}{typed}"
    return _first_line(error)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def _remove_empty_directory() -> None:
    """A run that was refused, or went on elsewhere, leaves no directory behind."""
    directory = Path(HydraConfig.get().runtime.output_dir)
    with suppress(OSError):
        directory.rmdir()
        directory.parent.rmdir()
