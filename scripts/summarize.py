"""Collects runs into one table and plot: `python scripts/summarize.py directories=[outputs]`."""

from typing import Any

from l2o.training.script import script


@script("summarize")
def main(config: dict[str, Any]) -> float:
    from l2o.evaluation.summary import summarize

    return float(len(summarize(config)))


if __name__ == "__main__":
    main()
