"""Exact rates on quadratic games, cooperative to adversarial: `python scripts/rates.py`."""

from l2o.cli.commands import rates

if __name__ == "__main__":
    rates()
