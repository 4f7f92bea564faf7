"""Meta-trains a learned optimizer and tests it: `python scripts/train.py problem=seesaw`."""

from l2o.cli.commands import train

if __name__ == "__main__":
    train()
