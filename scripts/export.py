"""Makes weights for the package: `python scripts/export.py checkpoint=PATH name=NAME`."""

from l2o.cli.commands import export

if __name__ == "__main__":
    export()
