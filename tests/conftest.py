"""Settings of all tests."""

import pytest
import torch
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Whatever a test draws from the global generator, it draws the same each time."""
    torch.manual_seed(0)
