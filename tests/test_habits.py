"""What is said twice, in files that programs of others read, is said alike."""

import tomllib
from pathlib import Path

import yaml

import l2o

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_citation_has_the_version_and_the_date_of_its_section_in_the_changelog() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == l2o.__version__
    heading = f"## [{citation['version']}] - {citation['date-released']}\n"
    assert heading in (ROOT / "CHANGELOG.md").read_text()


def test_the_workflow_runs_every_python_and_the_oldest_torch_that_are_declared() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    matrix = workflow["jobs"]["versions"]["strategy"]["matrix"]
    begin = "Programming Language :: Python :: "
    declared = [line.removeprefix(begin) for line in PROJECT["classifiers"] if begin in line]
    assert matrix["python"] == declared
    assert PROJECT["requires-python"] == f">={declared[0]}"
    (torch,) = (line for line in PROJECT["dependencies"] if line.startswith("torch"))
    oldest, newest = (one["version"] for one in matrix["torch"])
    assert oldest == f"{torch.replace('>=', '==')}.*"
    assert newest == "torch"
