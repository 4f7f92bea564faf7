"""Words for a command line: Hydra and a shell read them as they are meant."""

import io
import subprocess
import sys

import pytest
from hydra import compose, initialize_config_dir

from l2o.cli.config import CONFIGS
from l2o.training.command_line import quoted, shell_word

ODD = ["lr=0.1,seed=0", "Müller", "neu (2)", "[bold]x", "a b", "it's", 'say "hi"', "-x", "--help"]
ODD += ["a,b", "{x}", "$HOME", "${seed}", "\\${seed}", "\\\\${x}", "a\\", "a\\'b", 'a\\"b', "\\\\"]
ODD += ["100%", "#1", "~x", "a:b", "x*?", "two\nlines", "tab\t", "Ω☃", "null", "1e3", "!x", " x "]
ODD += [
    "a;b&c|d<e>",
    "`ls`",
    "interval(1,2)",
    "\x1b[1m",
    "/plain/path-1.0",
    "/home/Müller",
    "\udcff",
]


@pytest.mark.parametrize("text", ODD)
def test_hydra_reads_any_text_as_it_is(text: str) -> None:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        assert compose("summarize", [f"run_dir={quoted(text)}"]).run_dir == text


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("text", ODD)
def test_a_shell_reads_any_text_as_it_is(
    text: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    word = shell_word(text)
    word.encode(encoding)
    assert word.isprintable(), "one line, and nothing that a terminal obeys"
    read = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True)
    assert read.stdout == text.encode(errors="surrogateescape")


def test_plain_paths_stay_readable() -> None:
    assert quoted("/home/me/run-1.0") == "/home/me/run-1.0"
    assert shell_word("resume=/home/me/run-1.0") == "resume=/home/me/run-1.0"
    assert shell_word(f"resume={quoted('/a b')}") == "'resume=\"/a b\"'"
