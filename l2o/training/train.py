"""Meta-training from a config to results on disk."""

from __future__ import annotations

from typing import Any

from l2o.training.run import TrainingRun


def train(config: dict[str, Any]) -> dict[str, float]:
    """Meta-trains, tests the best checkpoint, and writes results into `run_dir`.

    With `resume`, goes on with a run that was stopped, as if it had not been.

    Args:
        config: A composed config of `conf/train.yaml`, as plain data.

    Returns:
        The metrics, as in `metrics.json`: `val/score` of the best epoch, `test/…`, `time/…`.

    Raises:
        UserError: If the config cannot work, raised before any long work; if too many instances
            diverge; or if the disk is full or the directory gone.
        SystemExit: If a signal asked the run to end, once it is saved.
    """
    run = TrainingRun.from_config(config)
    # Imported here: Lightning takes longer than to check all settings.
    from l2o.training.fit import fit

    return fit(run)
