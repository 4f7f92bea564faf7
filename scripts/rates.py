"""Exact rates on quadratic games, cooperative to adversarial: `python scripts/rates.py`."""

from typing import Any

from l2o.training.script import script


@script("rates")
def main(config: dict[str, Any]) -> float:
    from l2o.evaluation.rates import rates

    return min(rates(config).values())


if __name__ == "__main__":
    main()
