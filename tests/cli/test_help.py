"""Help: every script says what it does, can be asked to do, and what each setting means."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir

from l2o.cli.arguments import readable
from l2o.cli.config import CONFIGS, choices, groups
from l2o.cli.help import help_text
from tests.cli.test_scripts import run

SCRIPTS = sorted(path.stem for path in CONFIGS.glob("*.yaml") if path.stem != "wandb_sweep")
CHOICES = {
    f"{group}={name}": script
    for script in SCRIPTS
    for group in groups(script)
    if "@" not in group
    for name in choices(script, group)
}


def _settings(text: str) -> dict[str, str]:
    """What a help says of each setting."""
    part = text.partition("\nSettings, ")[2].partition("\n--multirun")[0]
    return dict(re.findall(r"^  ([\w.]+)=\S+(.*)$", part, re.MULTILINE))


@pytest.mark.parametrize(("choice", "script"), CHOICES.items())
def test_every_setting_of_every_choice_is_explained(choice: str, script: str) -> None:
    said = _settings(help_text(script, [choice]))
    assert len(said) >= 5
    assert not [name for name, words in said.items() if not words.strip()]


@pytest.mark.parametrize("script", SCRIPTS)
def test_examples_can_be_typed(script: str) -> None:
    text = help_text(script, [])
    examples = re.findall(rf"^  l2o-{script} (.*)$", text.partition("Examples:")[2], re.MULTILINE)
    assert examples
    for example in examples:
        given = readable(shlex.split(example), script)
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            if "--multirun" not in given.flags:
                compose(script, given.settings)


def test_choices_are_those_that_the_script_can_run() -> None:
    train, compare, rates = (help_text(name, []) for name in ("train", "compare", "rates"))
    assert "table1" in train
    assert "figure2_seesaw" not in train
    assert "safeguard" not in train
    assert "figure2_seesaw" in compare
    assert "table1" not in compare
    assert "quadratic_game" in rates
    assert "custom" not in rates


def test_help_is_of_the_settings_that_are_given(tmp_path: Path) -> None:
    own = tmp_path / "choices" / "problem"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("_target_: l2o.problems.Seesaw\na: [0, 7] # mine\n")
    done = run("train", tmp_path, "problem=mine", "--help", "--config-dir=choices", "seed=3")
    assert done.returncode == 0, done.stderr
    assert "problem.a=[0,7]" in done.stdout
    assert re.search("seed=3 +of all random numbers", done.stdout)
    assert not (tmp_path / "outputs").exists()


def test_a_typing_error_is_told_before_help(tmp_path: Path) -> None:
    done = run("train", tmp_path, "--help", "problem=sesaw")
    assert done.returncode == 2
    assert done.stderr.startswith("error: problem: expected one of custom, eight_gaussians")


def test_every_config_of_a_script_begins_with_words_and_examples() -> None:
    for script in SCRIPTS:
        lines = (CONFIGS / f"{script}.yaml").read_text().splitlines()
        assert re.match(r"# [A-Z].*[.]$", lines[0])
        assert lines[1].startswith("# Example: ")
        assert "help" not in yaml.safe_load("\n".join(lines))["hydra"]
