"""Who may import what: imports go down only, and the core needs PyTorch and safetensors alone."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import l2o

PACKAGE = Path(l2o.__file__).parent
ROOMS = (  # each imports only those before it
    *(
        "io",
        "norms",
        "resolvent",
        "games",
        "closures",
        "replay",
        "modules",
        "problems",
        "optimizers",
    ),
    *("unroll", "testing", "optim", "evaluation", "reporting", "training", "reproduction", "cli"),
)
CORE = ROOMS[: ROOMS.index("evaluation") + 1]
LIGHT = {"torch", "safetensors", "filelock"}
"""What the core may import; PyTorch itself needs filelock."""
HEAVY = {"pytorch_lightning", "lightning_fabric", "hydra", "omegaconf", "wandb", "optuna"}
UPPER = ("training", "cli")
"""The rooms that may import what is heavy."""


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(tree: ast.AST) -> Iterator[str]:
    """The modules that code imports when it runs, not those that only name its types."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole path"
            names = [f"l2o.{alias.name}" for alias in node.names]
            yield from names if node.module == "l2o" else [node.module or ""]
        yield from _imports(node)


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def test_every_room_has_its_place() -> None:
    assert {_room(path) for path in FILES} == set(ROOMS)


def _refused(room: str, module: str) -> bool:
    """Whether a file in a room must not import a module."""
    first, _, rest = module.partition(".")
    if first == "l2o":
        return rest.split(".")[0] not in ROOMS[: ROOMS.index(room) + 1]
    if first in sys.stdlib_module_names:
        return False
    return first not in LIGHT if room in CORE else first in HEAVY and room not in UPPER


def test_imports_go_down() -> None:
    found = {path: list(_imports(ast.parse(path.read_text()))) for path in FILES}
    assert sum(map(len, found.values())) > 500
    wrong = [
        f"{path}: {module}"
        for path, modules in found.items()
        for module in modules
        if _refused(_room(path), module)
    ]
    assert not wrong, "\n".join(wrong)


def test_importing_it_imports_nothing_until_it_is_used() -> None:
    """So that a command line that is refused is answered before PyTorch is there."""
    code = "import sys, l2o, l2o.cli.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_its_names_are_there_whatever_was_imported_before() -> None:
    """`l2o.unroll` is a function and the file that it is in."""
    code = "import l2o, l2o.unroll, l2o.evaluation.measure; l2o.unroll.__call__"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert all(getattr(l2o, name) for name in l2o.__all__)
    assert set(l2o.__all__) <= set(dir(l2o))
    with pytest.raises(AttributeError, match="module 'l2o' has no attribute 'unrol'"):
        l2o.unrol  # noqa: B018
