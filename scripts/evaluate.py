"""Tests a learned optimizer: `python scripts/evaluate.py checkpoint=PATH`."""

from l2o.cli.commands import evaluate

if __name__ == "__main__":
    evaluate()
