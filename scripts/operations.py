"""Counts multiply-accumulates: `python scripts/operations.py problem=matrix_game only=[ogda]`."""

from typing import Any

from l2o.training.script import script


@script("operations")
def main(config: dict[str, Any]) -> float:
    from l2o.evaluation.operations import operations

    return sum(operations(config).values())


if __name__ == "__main__":
    main()
