"""What settings ask for is compared with the memory that there is, before any of it is taken."""

from pathlib import Path

import pytest
import torch
from torch import nn

from l2o import UserError
from l2o.io import memory
from l2o.io.memory import available, build_module, check, numbers_in
from l2o.optimizers import KBeam, LearnedOptimizer, TwinL2O
from l2o.problems import MatrixGame

GB = 10**9
TWIN = {"_target_": "l2o.optimizers.TwinL2O", "hidden_size": 3}


def in_group(monkeypatch: pytest.MonkeyPatch, root: Path, line: str, **limits: object) -> None:
    """Puts this process into a control group; limits are by file, folders parted by `__`."""
    (root / "own").write_text(f"9:cpu:/elsewhere\n{line}\n")
    for name, limit in limits.items():
        path = root.joinpath(
            *name.split("__")[:-1], name.split("__")[-1].replace("memory_", "memory.")
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{limit}\n")
    monkeypatch.setattr(memory, "OWN_GROUPS", root / "own")
    monkeypatch.setattr(memory, "GROUPS", root)


def test_a_limit_of_the_second_version_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of a group around it too; `max` is none."""
    in_group(monkeypatch, tmp_path, "0::/job/step", job__memory_max=GB, job__step__memory_max="max")
    assert available() == GB


def test_a_limit_of_the_first_version_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a container sees its own group as the root of all."""
    name = "memory__memory_limit_in_bytes"
    in_group(monkeypatch, tmp_path, "4:hugetlb,memory:/not/seen/here", **{name: 2 * GB})
    assert available() == 2 * GB


def test_without_a_limit_it_is_the_machine_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_group(monkeypatch, tmp_path, "0::/", memory_max=2**63)
    machine = available()
    monkeypatch.setattr(memory, "OWN_GROUPS", tmp_path / "missing")
    assert machine == available() > 10**8


def test_a_refusal_names_the_largest_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_group(monkeypatch, tmp_path, "0::/", memory_max=GB)
    problem = {"_target_": "l2o.problems.MatrixGame", "m": 7, "n": 50000, "a": [0, 10**9]}
    check(GB // 4, problem=problem)
    words = (
        r"^problem\.n=50000, size=8, problem\.m=7: not enough memory; .* 1 GB, there are 1 GB\)$"
    )
    with pytest.raises(UserError, match=words):
        check(GB // 4 + 1, problem=problem, size=8, flag=True)


def test_numbers_are_counted_without_memory() -> None:
    """Weights, buffers, what else a module holds, and states; 24·H² weights are two LSTMs'."""
    twin = TwinL2O(hidden_size=3)
    twin.more = torch.zeros(5)
    weights = sum(p.numel() for p in twin.parameters())
    assert numbers_in(lambda: twin) == weights + 5 + sum(b.numel() for b in twin.buffers())
    assert 24 * 10**10 < numbers_in(lambda: TwinL2O(hidden_size=10**5)) < 25 * 10**10
    assert numbers_in(lambda: TwinL2O(hidden_size=10**12)) >= 2**60
    problem, source = MatrixGame(m=2, n=3), torch.Generator()
    game = problem.sample(4, source, device="meta")
    start = problem.sample_start(4, source, device="meta")
    assert numbers_in(lambda: KBeam(beams=10**9).init(game, start)) == 4 * (3 * 10**9 + 1)


class Own(nn.Module):
    """A module of the user's, which reads its own weights."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.ones(1).item()


def test_only_classes_of_the_package_are_tried_first() -> None:
    own = build_module({"_target_": "tests.io.test_memory.Own"}, nn.Module, "own")
    assert own.scale == 1
    assert isinstance(build_module(TWIN, LearnedOptimizer, "variant"), TwinL2O)
    with pytest.raises(UserError, match=r"^variant\.hidden_size=1000000: not enough memory"):
        build_module({**TWIN, "hidden_size": 10**6, "seed": 10**9}, LearnedOptimizer, "variant")
