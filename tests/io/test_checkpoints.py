"""Loading: nothing in a file is run, and every bad file gets one clear line."""

import os
import pickle
import random
import re
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

import l2o
from l2o import UserError
from l2o.optimizers import TwinL2O

VARIANT = {"_target_": "l2o.optimizers.TwinL2O", "hidden_size": 4, "seed": 3}


def _content(variant: Any = None) -> dict[str, Any]:
    twin = TwinL2O(hidden_size=4, seed=3)
    weights = {f"optimizer.{name}": value for name, value in twin.state_dict().items()}
    return {"state_dict": weights, "l2o": {"config": {"variant": variant or VARIANT}}}


def _save(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path


def test_a_checkpoint_alone_gives_the_optimizer(tmp_path: Path) -> None:
    content = _content()
    content["state_dict"]["optimizer.minimizer.head"] += 1
    loaded = l2o.load(_save(content, tmp_path / "a.ckpt"))
    assert isinstance(loaded, TwinL2O)
    original = TwinL2O(hidden_size=4, seed=3)
    assert torch.equal(loaded.minimizer.head, original.minimizer.head + 1)
    assert torch.equal(loaded.maximizer.upper, original.maximizer.upper)


class Malicious:
    """What it would do when unpickled as usual: leave a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    path = _save({**_content(), "payload": Malicious(trace)}, tmp_path / "a.ckpt")
    with pytest.raises(UserError, match="holds more than tensors and plain data"):
        l2o.load(path)
    assert not trace.exists()
    pickle.loads(pickle.dumps(Malicious(trace)))
    assert trace.exists(), "the payload does not work, so that the test shows nothing"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("os.system", "not part of l2o"),
        ("tests.helpers.Cubic", "not part of l2o"),
        ("l2o.io.checkpoints.torch.load", "cannot find"),
        (
            "l2o.io.checkpoints.Path",
            "expected a LearnedOptimizer, but l2o.io.checkpoints.Path is none",
        ),
        ("l2o.problems.Seesaw", "expected a LearnedOptimizer"),
        ("l2o.optimizers.Optimizer", "expected a LearnedOptimizer"),
        ("l2o.optimizers.Missing", "cannot find"),
        (None, "expected the dotted path of a class, got None"),
        (["l2o"], "expected the dotted path of a class"),
    ],
)
def test_only_classes_of_l2o_are_built(tmp_path: Path, target: Any, words: str) -> None:
    path = _save(_content({"_target_": target}), tmp_path / "a.ckpt")
    with pytest.raises(UserError, match=words):
        l2o.load(path)


def test_other_classes_need_to_be_trusted(tmp_path: Path) -> None:
    variant = {**VARIANT, "_target_": "tests.io.test_checkpoints.Own"}
    path = _save(_content(variant), tmp_path / "a.ckpt")
    with pytest.raises(UserError, match=r"not part of l2o.*trust_classes=true"):
        l2o.load(path)
    assert type(l2o.load(path, trust_classes=True)).__name__ == "Own"


class Own(TwinL2O):
    """A learned optimizer of the user's."""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hidden_size": 5}, "its weights do not fit the optimizer"),
        ({"hidden_size": 0}, "variant.hidden_size: expected a whole number of at least 1, got 0"),
        ({"depth": 3}, r"variant\.depth: no such setting, got 3; variant has hidden_size, seed"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    path = _save(_content({**VARIANT, **change}), tmp_path / "a.ckpt")
    with pytest.raises(UserError, match=words):
        l2o.load(path)


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": {}},
        {"l2o": {"config": {}}, "state_dict": {}},
        {"l2o": None, "state_dict": {}},
        [1, 2],
        torch.zeros(3),
    ],
)
def test_a_foreign_file_is_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(UserError, match="not a checkpoint written by l2o"):
        l2o.load(_save(content, tmp_path / "a.ckpt"))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    whole = _save(_content(), tmp_path / "a.ckpt").read_bytes()
    broken = tmp_path / "broken.ckpt"
    for size in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        broken.write_bytes(whole[:size])
        with pytest.raises(UserError, match=r"broken\.ckpt: (damaged|holds more)"):
            l2o.load(broken)
    broken.write_text("no checkpoint\n" * 100)
    with pytest.raises(UserError):
        l2o.load(broken)


def _hostile(kind: str, path: Path) -> None:
    """Writes a small file that asks for a hundred times its size, or far more."""
    content = _content()
    head = "optimizer.minimizer.head"
    match kind:
        case "hidden size":
            content = _content({**VARIANT, "hidden_size": 10**9})
        case "hidden size and shapes":
            hidden = 10**4
            content = _content({**VARIANT, "hidden_size": hidden})
            with torch.device("meta"):
                shapes = TwinL2O(hidden_size=hidden).state_dict()
            named = {n: torch.zeros(1).expand(v.shape) for n, v in shapes.items()}
            content["state_dict"] = {f"optimizer.{n}": v for n, v in named.items()}
        case "tensor":
            content["state_dict"][head] = torch.zeros(1).expand(10**6, 10**6)
        case "warm-up":
            content = _content({**VARIANT, "warmup_iterations": 10**9})
        case "bytearray":
            content["more"] = Call(bytearray, 10**9)
        case "nested":
            content["more"] = []
            for _ in range(50):
                content["more"] = [content["more"], content["more"]]
    torch.save(content, path)
    if kind == "deflated":
        torch.save(torch.zeros(5 * 10**7), path)
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, part in parts.items():
                archive.writestr(name, part)


class Call:
    """Pickled as a call that PyTorch allows."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


ABSURD = {
    "hidden size": "its weights do not fit the optimizer",
    "hidden size and shapes": r"holds a tensor \(\d+, \d+\) larger than its data",
    "tensor": r"holds a tensor \(1000000, 1000000\) larger than its data",
    "warm-up": "its weights do not fit the optimizer",
    "bytearray": "holds more than tensors and plain data",
    "deflated": "unpacks to more than its size",
    "nested": "loaded",
}


def test_absurd_sizes_take_no_memory(tmp_path: Path) -> None:
    """Read by a process that may take 300 MB more than it has after its imports."""
    paths = [tmp_path / f"{kind}.ckpt" for kind in ABSURD]
    for kind, path in zip(ABSURD, paths, strict=True):
        _hostile(kind, path)
        assert path.stat().st_size < 10**6
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", LIMITED, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for line, words in zip(lines, ABSURD.values(), strict=True):
        assert re.search(words, line), line
        assert int(line.split()[0]) < 100, f"MB of memory: {line}"


LIMITED = """
import resource, sys
from l2o import UserError, load
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
(pages, *_) = map(int, open("/proc/self/statm").read().split())
limit = pages * resource.getpagesize() + 300 * 10**6
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in sys.argv[1:]:
    before = peak()
    try:
        load(path)
        answer = "loaded"
    except UserError as error:
        answer = str(error)
    print(peak() - before, answer)
"""


@pytest.mark.parametrize("seed", range(5))
def test_flipped_bytes_are_refused_or_loaded(tmp_path: Path, seed: int) -> None:
    whole = bytearray(_save(_content(), tmp_path / "a.ckpt").read_bytes())
    source = random.Random(seed)
    for _ in range(40):
        broken = bytearray(whole)
        for _ in range(source.choice([1, 10])):
            broken[source.randrange(len(broken))] = source.randrange(256)
        path = tmp_path / "broken.ckpt"
        path.write_bytes(broken)
        with suppress(UserError):
            l2o.load(path)


def test_another_format_is_refused(tmp_path: Path) -> None:
    content = _content()
    content["l2o"]["format"] = 2
    with pytest.raises(UserError, match="expected a checkpoint of format 1, got 2"):
        l2o.load(_save(content, tmp_path / "a.ckpt"))


def test_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.ckpt: no such file"):
        l2o.load(tmp_path / "none.ckpt")
    with pytest.raises(UserError, match="expected a file, got a directory"):
        l2o.load(tmp_path)
