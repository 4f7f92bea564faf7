"""Where the numbers of a run go while it trains: `metrics.csv`, Weights & Biases, or nowhere."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from l2o import checks
from l2o.errors import UserError
from l2o.settings import construct

LONGEST, FORBIDDEN = 128, "/\\#?%:"
"""What Weights & Biases asks of the name of a project."""


def build_loggers(settings: Mapping[str, Any], directory: Path, config: Any) -> list[Logger]:
    """The loggers that the `logger` group describes.

    Args:
        settings: `csv` (true or false) and `wandb` (its settings, or null).
        directory: Of the run.
        config: The resolved config, shown in Weights & Biases.
    """
    loggers: list[Logger] = []
    if settings["csv"]:
        loggers.append(
            CSVLogger(directory.parent, directory.name, version="", flush_logs_every_n_steps=1)
        )
    if settings["wandb"] and is_first_process():
        loggers.append(_wandb_logger(settings["wandb"], directory, config))
    return loggers


def check_loggers(settings: object) -> None:
    """Raises UserError if the `logger` group is not what `build_loggers` takes."""
    construct(_check_loggers, settings, "logger")


def _check_loggers(csv: object, wandb: object) -> None:
    checks.flag("csv", csv)
    if wandb is not None:
        construct(_check_wandb, wandb, "wandb")


def _check_wandb(
    project: object, entity: object, group: object, name: object, offline: object
) -> None:
    texts = {"project": project, "entity": entity, "group": group, "name": name}
    for key, value in texts.items():
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise checks.refusal(key, "a name or null", value)
    if isinstance(project, str) and (len(project) > LONGEST or set(project) & set(FORBIDDEN)):
        expected = f"a name of at most {LONGEST} letters without {' '.join(FORBIDDEN)}"
        raise checks.refusal("project", expected, project)
    if offline is not None:
        checks.flag("offline", offline)


def is_first_process() -> bool:
    """Whether this is the only process, or the first of several, which alone writes files."""
    return bool(getattr(rank_zero_only, "rank", 0) == 0)


def upload_results(
    loggers: list[Logger], metrics: Mapping[str, float], directory: Path, checkpoint: Path
) -> None:
    """Sends final metrics, plots and the best checkpoint to Weights & Biases, if it is used."""
    for logger in loggers:
        if not isinstance(logger, WandbLogger):
            continue
        import wandb

        run = logger.experiment
        run.summary.update(dict(metrics))
        plots = sorted((directory / "plots").glob("*.png"))
        run.log({f"plots/{path.stem}": wandb.Image(str(path)) for path in plots})
        artifact = wandb.Artifact(f"checkpoint-{run.id}", type="model", metadata=dict(metrics))
        artifact.add_file(str(checkpoint))
        run.log_artifact(artifact)
        run.finish()


def _wandb_logger(settings: Mapping[str, Any], directory: Path, config: Any) -> WandbLogger:
    import wandb

    logging.getLogger("wandb").setLevel(logging.ERROR)
    try:
        offline = settings["offline"]
        if offline is None:
            offline = not wandb.login(prompt=False, verify=False)
            if offline:
                print(
                    "W&B: no account is set up here, so the run is recorded offline; "
                    f"`wandb sync {directory}/wandb/offline-run-*` uploads it later"
                )
        # Begun here rather than by Lightning, which would pass on options that W&B warns of.
        run = wandb.init(
            project=settings["project"],
            entity=settings["entity"],
            group=settings["group"],
            name=settings["name"],
            dir=directory,
            config=config,
            mode="offline" if offline else "online",
            settings=wandb.Settings(silent=True),
        )
    except wandb.Error as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise UserError(f"logger.wandb: {reason}; or add logger.wandb.offline=true") from None
    return WandbLogger(experiment=run)
