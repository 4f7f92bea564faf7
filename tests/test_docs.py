"""The code on the pages of docs/, run, and their commands and links."""

import re
import tomllib
from pathlib import Path

import pytest

from l2o import UserError, optimizers

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {path.relative_to(DOCS).as_posix(): path.read_text() for path in DOCS.rglob("*.md")}
WITH_CODE = [page for page, text in PAGES.items() if "```python\n" in text]
RAISED = {"RuntimeError": RuntimeError, "UserError": UserError}


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGES[page], re.DOTALL)


@pytest.mark.parametrize("page", WITH_CODE)
def test_every_block_of_a_page(page: str) -> None:
    """One after the other, each with what those before have defined; some must fail."""
    names: dict[str, object] = {}
    for block in _blocks(page, "python"):
        # A run's checkpoint is loaded as one that comes with the package is.
        block = block.replace("outputs/…/best.ckpt", "structured_twin/untrained")
        told = re.match(r"# .*raises (\w+)", block)
        if told:
            with pytest.raises(RAISED[told[1]]):
                exec(block, names)
        else:
            exec(block, names)


def test_the_page_on_optim_has_loops_that_fail() -> None:
    assert len(_blocks("optim.md", "python")) > 10
    told = [re.match(r"# .*raises (\w+)", block) for block in _blocks("optim.md", "python")]
    assert {found[1] for found in told if found} == set(RAISED)


@pytest.mark.parametrize("page", PAGES)
def test_its_links_lead_somewhere(page: str) -> None:
    for path in re.findall(r"\]\((?!http)([^)#]+)", PAGES[page]):
        assert (DOCS / page).parent.joinpath(path).is_file(), path
    for path in re.findall(r"(?:examples|scripts)/\w+\.py", PAGES[page]):
        assert (ROOT / path).is_file(), path


def test_every_page_is_in_the_navigation() -> None:
    listed = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(PAGES)


def test_commands_can_be_pasted_into_any_shell_and_are_installed() -> None:
    """zsh reads an unquoted bracket as a pattern, and a comment as arguments."""
    lines = [
        line for page in PAGES for block in _blocks(page, "bash") for line in block.split("\n")
    ]
    assert len(lines) > 20
    for line in lines:
        bare = re.sub(r"'[^']*'|\"[^\"]*\"|\|\| \{ .* \}", "", line)
        assert not set("[]()*?#") & set(bare), line
    installed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    named = {name for text in PAGES.values() for name in re.findall(r"\b(l2o-[a-z]+)\b", text)}
    assert named <= set(installed)


def test_every_method_has_an_entry() -> None:
    """All hand-designed and learned optimizers, each with what its docstring says."""
    kinds = (optimizers.HandDesigned, optimizers.LearnedOptimizer)
    methods = [
        name
        for name in optimizers.__all__
        if isinstance(kind := getattr(optimizers, name), type)
        and issubclass(kind, kinds)
        and kind not in kinds
    ]
    entries = re.findall(r"^::: l2o\.optimizers\.(\w+)$", PAGES["methods.md"], re.MULTILINE)
    assert sorted(entries) == sorted(methods)
    for name in methods:
        assert f"| [`{name}`](#l2o.optimizers.{name}) |" in PAGES["methods.md"]
