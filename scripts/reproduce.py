"""Reproduces a figure or table of the paper: `python scripts/reproduce.py target=table1`."""

from l2o.cli.commands import reproduce

if __name__ == "__main__":
    reproduce()
