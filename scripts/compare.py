"""Compares optimizers: `python scripts/compare.py problem=seesaw 'checkpoints=[PATH]'`."""

from l2o.cli.commands import compare

if __name__ == "__main__":
    compare()
