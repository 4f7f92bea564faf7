"""Meta-trains a learned optimizer and tests it: `python scripts/train.py problem=seesaw`."""

from typing import Any

from l2o.training.script import script


@script("train")
def main(config: dict[str, Any]) -> float:
    # Imported late, so that a mistake in the config is told at once.
    from l2o.training.train import train

    return train(config)["val/score"]


if __name__ == "__main__":
    main()
