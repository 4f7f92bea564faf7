"""Tests a learned optimizer: `python scripts/evaluate.py checkpoint=PATH`."""

from typing import Any

from l2o.training.script import script


@script("evaluate")
def main(config: dict[str, Any]) -> float:
    from l2o.evaluation.run import evaluate

    metrics = evaluate(config)
    return metrics.get("test/distance_median", metrics.get("test/gradient_norm_median", 0.0))


if __name__ == "__main__":
    main()
