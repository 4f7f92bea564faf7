"""Every example runs, a few steps of it, and leaves its picture."""

import importlib
import inspect
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py") if path.stem != "digits")


@pytest.mark.parametrize("name", NAMES)
def test_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    main = importlib.import_module(name).main
    (first, _) = inspect.signature(main).parameters
    found = main(**{first: 2 if first == "steps" else 1}, picture=tmp_path / f"{name}.png")
    assert found is not None
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    sys.modules.pop(name)


@pytest.mark.parametrize("name", NAMES)
def test_is_short_and_has_its_picture_in_the_docs(name: str) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) <= 110
    assert (EXAMPLES.parent / "docs" / "examples" / f"{name}.png").is_file()


def test_descent_with_roles_is_the_one_that_converges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    last = importlib.import_module("descent_ascent").main(picture=tmp_path / "picture.png")
    assert last["with_roles"] < 0.02
    assert all(last[name] > 1 for name in ("both_descend", "sign_twice", "accumulating"))
