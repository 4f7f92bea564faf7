"""Collects runs into one table and plot: `python scripts/summarize.py 'directories=[outputs]'`."""

from l2o.cli.commands import summarize

if __name__ == "__main__":
    summarize()
