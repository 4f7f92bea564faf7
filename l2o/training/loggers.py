"""Where the numbers of a run go while it trains: `metrics.csv`, and from there W&B."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from l2o.io import checks
from l2o.io.errors import UserError
from l2o.io.settings import construct

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

MODES = ("online", "offline", "disabled", "shared", "run", "dryrun")
"""Of W&B; the last two are old names of the first two."""
LONGEST, FORBIDDEN = 128, "/\\#?%:"
"""What W&B asks of the name of a project."""


@dataclass(frozen=True)
class WandbSettings:
    """How a run is recorded in Weights & Biases.

    Attributes:
        project: The project there; null: `WANDB_PROJECT`, or `l2o`.
        entity: The user or team; null: `WANDB_ENTITY`, or the account's.
        group: What the run is shown together with; null: `WANDB_RUN_GROUP`, or its problem and
            variant.
        name: Of the run; null: `WANDB_NAME`, or problem, variant and seed.
        offline: Whether it is only written to the disk; null: `WANDB_MODE`, or if no account is
            set up.
        wait_seconds: How long the server may take, in the beginning and at the end.
    """

    project: str | None
    entity: str | None
    group: str | None
    name: str | None
    offline: bool | None
    wait_seconds: float

    def __post_init__(self) -> None:
        for name in ("project", "entity", "group", "name"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value.strip()):
                raise checks.refusal(name, "a name or null", value)
        project = self.project or ""
        if len(project) > LONGEST or set(project) & set(FORBIDDEN):
            expected = f"a name of at most {LONGEST} letters without {' '.join(FORBIDDEN)}"
            raise checks.refusal("project", expected, project)
        if self.offline is not None and not isinstance(self.offline, bool):
            raise checks.refusal("offline", "true, false or null", self.offline)
        checks.positive("wait_seconds", self.wait_seconds)
        mode = os.environ.get("WANDB_MODE", "online")
        if mode not in MODES:
            # The message begins with the group's name.
            expected = f"{', '.join(MODES)} in the environment's WANDB_MODE"
            raise UserError(f"offline: expected one of {expected}, got {mode!r}")


@dataclass(frozen=True)
class LoggerSettings:
    """Where numbers go.

    Attributes:
        csv: Whether into `metrics.csv`.
        wandb: How W&B gets them, if it does.
    """

    csv: bool
    wandb: WandbSettings | None

    def __post_init__(self) -> None:
        checks.flag("csv", self.csv)
        if self.wandb is not None and not self.csv:
            raise checks.refusal("csv", "true, because W&B is fed from metrics.csv", self.csv)

    @classmethod
    def from_settings(cls, settings: object) -> LoggerSettings:
        """What the `logger` group describes; raises UserError if a value is not allowed."""
        given = checks.mapping("logger", settings)
        if given.get("wandb") is not None:
            given["wandb"] = construct(WandbSettings, given["wandb"], "logger.wandb")
        return construct(cls, given, "logger")

    def loggers(self, directory: Path) -> list[Logger]:
        """Those of Lightning, for a run in a directory."""
        if not self.csv:
            return []
        # Imported here: it takes longer than to check all settings.
        from pytorch_lightning.loggers import CSVLogger

        return [CSVLogger(directory.parent, directory.name, version="", flush_logs_every_n_steps=1)]
