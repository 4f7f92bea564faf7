"""Reproduces a figure or table of the paper: `python scripts/reproduce.py target=table1`."""

import sys
from typing import Any

from l2o.training.script import script


@script("reproduce")
def main(config: dict[str, Any]) -> float:
    from l2o.reproduction.reproduce import reproduce

    failed = reproduce(config)
    if failed:
        sys.exit(f"error: {failed} jobs failed; run the same command again to try only them")
    return 0.0


if __name__ == "__main__":
    main()
