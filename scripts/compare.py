"""Compares optimizers: `python scripts/compare.py problem=seesaw checkpoints=[PATH]`."""

from typing import Any

from l2o.training.script import script


@script("compare")
def main(config: dict[str, Any]) -> float:
    from l2o.evaluation.compare import compare

    metrics = compare(config)
    return max((value for key, value in metrics.items() if key.endswith("/sr1")), default=0.0)


if __name__ == "__main__":
    main()
