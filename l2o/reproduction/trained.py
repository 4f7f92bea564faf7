"""Targets that are training runs alone: Figure 1, Appendix A6, and what is ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from l2o.reproduction.groups import Group, groups_of, table
from l2o.reproduction.jobs import Job

SOLVED = 0.5
"""The SR1 from which on a rule is said to solve a problem: the greater part of its instances."""


def by(key: str, jobs: Sequence[Job]) -> dict[str, Group]:
    """The runs of each value of a setting."""
    groups = groups_of(jobs, lambda job: str(job.settings[key]))
    return {group.label: group for group in groups}


def solves(group: Group) -> bool:
    """Whether the mean SR1 over the seeds is that of a rule that solves its problem."""
    return mean(group.values("sr1")) > SOLVED


def best_is(name: str, groups: Mapping[str, Group]) -> bool:
    """Whether no other group has a higher mean SR1."""
    return mean(groups[name].values("sr1")) >= max(mean(g.values("sr1")) for g in groups.values())


def figure1(jobs: Sequence[Job], path: Path) -> str:
    """The four ablations of Section 4.1."""
    groups = by("variant", jobs)
    solving = [f"`{name}`" for name, group in groups.items() if solves(group)]
    better = "none" if best_is("twin", groups) else "another"
    return "\n".join(
        [
            "## Figure 1: sharing weights, sharing the hidden state",
            "",
            "Paper: only two LSTMs with two hidden states converge (seesaw, a, b in [0.9, 1]).",
            "",
            table("variant", _code(groups)),
            "",
            f"With the release's recipe, those that solve the problem: {_listed(solving)}; "
            f"{better} has a higher SR1 than `twin`.",
        ]
    )


def eq38_is_worse(groups: Mapping[str, Group]) -> bool:
    """Whether squared gradient norms reach a lower mean SR1 than the objective-based reward."""
    return mean(groups["gradient"].values("sr1")) < mean(groups["objective"].values("sr1"))


def eq39_is_ineffective(groups: Mapping[str, Group]) -> bool:
    """Whether the Nikaido–Isoda reward solves the problem with no seed."""
    return max(groups["nikaido_isoda"].values("sr1")) <= SOLVED


def appendix_a6(jobs: Sequence[Job], path: Path) -> str:
    """The rewards of Appendix A6."""
    groups = by("reward", jobs)
    worse, ineffective = eq38_is_worse(groups), eq39_is_ineffective(groups)
    return "\n".join(
        [
            "## Appendix A6: the reward",
            "",
            "Paper: squared gradient norms (Eq. 38) solve seesaw worse than the objective-based "
            "reward (Eq. 4), with x diverging; Nikaido–Isoda (Eq. 39) is ineffective.",
            "",
            table("reward", _code(groups)),
            "",
            f"Eq. 38 is worse than Eq. 4: {'holds' if worse else 'does not hold'}. "
            f"Eq. 39 is ineffective: {'holds' if ineffective else 'does not hold'}. "
            "All under the release's recipe, where each half-step answers for itself.",
        ]
    )


def paper_protocol(jobs: Sequence[Job], path: Path) -> str:
    """The runs under the paper's protocol."""
    trainings = [job for job in jobs if job.script == "train"]
    groups = groups_of(trainings, _trained_on)
    solved = [group.label for group in groups if solves(group)]
    return "\n".join(
        [
            "## The paper's protocol",
            "",
            "Trained as the paper's text says, with none of the released code's tricks "
            "(`protocol=paper`): 1000 iterations an epoch, windows of 10, 200 epochs.",
            "",
            table("run", groups),
            "",
            f"Those that solve their problem: {_listed(solved)}. SR2 alone is high also where a "
            "rule comes to rest at a wrong point. How the rule for matrix games compares is in the "
            "table of claims.",
        ]
    )


def _trained_on(job: Job) -> str:
    """A run under the paper's protocol in a few words."""
    names = ("problem", "curriculum", "reward")
    problem, *others = (job.settings.get(name) for name in names)
    extra = [f"{name} `{value}`" for name, value in zip(names[1:], others, strict=True) if value]
    return ", ".join([f"`{problem}`", *extra])


def matrix_game(jobs: Sequence[Job], path: Path) -> str:
    """What was tried on the matrix game."""
    groups = groups_of(jobs, _tried)
    best = min(groups, key=lambda group: (-mean(group.values("sr1")), _last(group)))
    return "\n".join(
        [
            "## Matrix game: what was tried",
            "",
            "Paper: Twin-L2O solves the 5×5 game of Figure 2. Below, one seed each; starting "
            "points are at a distance of about 0.9.",
            "",
            table("reward, inputs, LSTM states, meta-gradient", groups),
            "",
            f"{'Solved by' if solves(best) else 'None solves it; best is'} {best.label}: SR1 "
            f"{best.percent('sr1')} %, median distance {_last(best):.1e}.",
        ]
    )


def _tried(job: Job) -> str:
    """A run on the matrix game in a few words."""
    settings = job.settings
    inputs = "logarithmic" if settings["variant"] == "twin_log_inputs" else "plain"
    rescale = float(settings.get("variant.state_rescale", 1e-4))
    states = "kept" if rescale == 1 else f"times {rescale:g}"
    flow = "full" if settings.get("protocol.detach") == "none" else "greedy"
    return f"`{settings['reward']}`, {inputs}, {states}, {flow}"


def _last(group: Group) -> float:
    return mean(group.values("distance_median"))


def _code(groups: Mapping[str, Group]) -> list[Group]:
    """The groups, their labels set as code."""
    return [group._replace(label=f"`{name}`") for name, group in groups.items()]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
