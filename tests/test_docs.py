"""The code on the pages of docs/, run."""

import re
from pathlib import Path

import pytest
import torch

from l2o import UserError

PAGE = Path(__file__).parents[1] / "docs" / "optim.md"
RAISED = {"RuntimeError": RuntimeError, "UserError": UserError}


def test_every_block_of_the_page_on_optim() -> None:
    """One after the other, each with what those before have defined; some must fail."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) > 10
    torch.manual_seed(0)
    names: dict[str, object] = {}
    failed = set()
    for block in blocks:
        told = re.match(r"# .*raises (\w+)", block)
        if told:
            failed.add(told[1])
            with pytest.raises(RAISED[told[1]]):
                exec(block, names)
        else:
            exec(block, names)
    assert failed == set(RAISED)


def test_its_links_lead_somewhere() -> None:
    paths = re.findall(r"\]\((?!http)(.*?)\)", PAGE.read_text())
    assert all((PAGE.parent / path).is_file() for path in paths)
    for path in re.findall(r"(?:examples|scripts)/\w+\.py", PAGE.read_text()):
        assert (PAGE.parents[1] / path).is_file()
