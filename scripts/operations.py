"""Counts multiply-accumulates: `python scripts/operations.py problem=matrix_game 'only=[ogda]'`."""

from l2o.cli.commands import operations

if __name__ == "__main__":
    operations()
