"""Makes weights for the package: `python scripts/export.py checkpoint=PATH name=NAME`."""

from typing import Any

from l2o.training.script import script


@script("export")
def main(config: dict[str, Any]) -> float:
    from l2o.evaluation.export import export

    return min(result["sr1"] for result in export(config).values())


if __name__ == "__main__":
    main()
