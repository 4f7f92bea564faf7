"""The commands, one a script in `scripts/`, also installed as `l2o-NAME`.

Each imports what it runs late, so that a mistake in the config is told at once.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any

NEEDED = ("hydra", "matplotlib", "pytorch_lightning", "rich", "wandb", "yaml")
if MISSING := ", ".join(name for name in NEEDED if find_spec(name) is None):
    print(
        f"error: {MISSING} cannot be found; install them: pip install 'l2o[train]'", file=sys.stderr
    )
    sys.exit(2)

from l2o.cli.script import script  # noqa: E402


@script("train")
def train(config: dict[str, Any]) -> dict[str, float]:
    """Meta-trains a learned optimizer and tests it."""
    from l2o.training.train import train

    return train(config)


@script("evaluate")
def evaluate(config: dict[str, Any]) -> float:
    """Tests a learned optimizer."""
    from l2o.cli.evaluate import evaluate

    metrics = evaluate(config)
    return metrics.get("test/distance_median", metrics.get("test/gradient_norm_median", 0.0))


@script("compare")
def compare(config: dict[str, Any]) -> float:
    """Compares optimizers, hand-designed ones tuned."""
    from l2o.cli.compare import compare

    metrics = compare(config)
    return max((value for key, value in metrics.items() if key.endswith("/sr1")), default=0.0)


@script("rates")
def rates(config: dict[str, Any]) -> float:
    """Finds exact rates on quadratic games, cooperative to adversarial."""
    from l2o.cli.rates import rates

    return min(rates(config).values())


@script("operations")
def operations(config: dict[str, Any]) -> float:
    """Counts multiply-accumulates."""
    from l2o.cli.operations import operations

    return sum(operations(config).values())


@script("export")
def export(config: dict[str, Any]) -> float:
    """Makes weights for the package."""
    from l2o.cli.export import export

    return min(float(result["sr1"]) for result in export(config).values())


@script("summarize")
def summarize(config: dict[str, Any]) -> float:
    """Collects runs into one table and plot."""
    from l2o.cli.summarize import summarize

    return float(len(summarize(config)))


@script("reproduce")
def reproduce(config: dict[str, Any]) -> float:
    """Reproduces a figure or table of the paper."""
    from l2o.reproduction.reproduce import reproduce

    failed = reproduce(config)
    if failed:
        sys.exit(f"error: {failed} jobs failed; run the same command again to try only them")
    return 0.0
