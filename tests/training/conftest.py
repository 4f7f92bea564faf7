"""What several tests of training compare with."""

from typing import Any

import pytest

from l2o.training.train import train
from tests.training.stopping import PLOTS, RECIPE, blank, results
from tests.training.test_configs import composed


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of the run that is never stopped."""
    directory = tmp_path_factory.mktemp("whole")
    train(composed(directory, *RECIPE))
    return results(directory)


@pytest.fixture
def without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes most of the time of a small run."""
    for module, name in PLOTS:
        monkeypatch.setattr(module, name, blank)
