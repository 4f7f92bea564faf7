"""The claims of the paper in one table, each judged by the runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, median
from typing import NamedTuple

from l2o.reporting.tables import Column, Table
from l2o.reproduction.a5 import PAPER as COUNTS
from l2o.reproduction.a5 import beam_ratio, counts_of
from l2o.reproduction.comparisons import Ends, ends_of
from l2o.reproduction.groups import Group
from l2o.reproduction.jobs import Job
from l2o.reproduction.table1 import PAPER as TABLE1
from l2o.reproduction.table1 import found_in
from l2o.reproduction.trained import SOLVED, by, eq38_is_worse, eq39_is_ineffective, solves

PERFECT = 0.99
"""The SR1 from which on a range is said to be solved perfectly."""
WIDE = (3, 4, 6, 7)
"""The ranges of Table 1 beyond those that the paper's plain Twin-L2O solves."""
Jobs = Mapping[str, Sequence[Job]]


class Finding(NamedTuple):
    """What runs under one protocol say about a claim."""

    text: str
    holds: bool | None
    """None: they leave it open."""


NOT_RUN = Finding("not run", None)


class Claim(NamedTuple):
    """A claim of the paper, and what came out."""

    place: str
    text: str
    paper: str
    release: Finding
    """With the released code's recipe."""
    published: Finding
    """Under the protocol of the paper's text."""

    @property
    def verdict(self) -> str:
        """One phrase on both findings."""
        release, published = self.release.holds, self.published.holds
        if release is None:
            return "open" if published is None else f"{_held(published)} under the paper's protocol"
        if published is None:
            return f"{_held(release)} with the release's recipe"
        if release == published:
            return _held(release)
        return f"holds only {'with' if release else 'without'} the release's tricks"


def summary(jobs: Jobs) -> str:
    """The table of all claims.

    Args:
        jobs: The finished runs of every target; none of those that need all and have not.
    """
    heads = ("claim", "paper", "ours, release's recipe", "ours, paper's protocol", "verdict")
    rows = [
        (f"**{c.place}**: {c.text}", c.paper, c.release.text, c.published.text, c.verdict)
        for c in claims(jobs)
    ]
    return Table([Column(head) for head in heads], rows).markdown()


def claims(jobs: Jobs) -> list[Claim]:
    """Every claim of the paper, in its order."""
    return [
        _ablations(jobs),
        *_figure2(jobs),
        *_figure3(jobs),
        _plain(jobs),
        _enhanced(jobs),
        _costs(jobs),
        *_rewards(jobs),
    ]


def _ablations(jobs: Jobs) -> Claim:
    release = NOT_RUN
    if found := jobs.get("figure1"):
        groups = by("variant", found)
        solving = [name for name, group in groups.items() if solves(group)]
        shares = ", ".join(f"`{name}` {_sr1(group)}" for name, group in groups.items())
        release = Finding(f"SR1 %: {shares}", solving == ["twin"])
    return Claim(
        "Figure 1",
        "of four variants only `twin`, two LSTMs with two hidden states, converges",
        "the others do not",
        release,
        _must_solve(_published(jobs, "seesaw_range1"), "`twin`"),
    )


def _figure2(jobs: Jobs) -> list[Claim]:
    ends = ends_of(jobs.get("figure2", []))
    seesaw, saddle, game = (
        ends.get(f"figure2_{name}") for name in ("seesaw", "rotated_saddle", "matrix_game")
    )
    twin_seesaw, twin_saddle = (
        _published(jobs, problem) for problem in ("seesaw_range1", "rotated_saddle")
    )
    return [
        Claim(
            "Figure 2, seesaw",
            "Twin-L2O is more precise than every tuned method, by a magnitude",
            "10 times",
            _precise(seesaw, 10),
            _precise(seesaw and _trained(seesaw, twin_seesaw), 10),
        ),
        Claim(
            "Figure 2, rotated saddle",
            "Twin-L2O is not superior to the tuned methods",
            "not superior",
            _negated(_precise(saddle, 1)),
            _negated(_precise(saddle and _trained(saddle, twin_saddle), 1)),
        ),
        Claim(
            "Figure 2, matrix game",
            "Twin-L2O is more precise than every tuned method",
            "more precise",
            _precise(game, 1),
            _precise(ends_of(jobs.get("paper_protocol", [])).get("figure2_matrix_game"), 1),
        ),
    ]


def _figure3(jobs: Jobs) -> list[Claim]:
    both = [ends_of(jobs.get(name, [])) for name in ("figure3", "paper_protocol")]
    seen, unseen = ([ends.get(f"figure3_{games}") for ends in both] for games in ("seen", "unseen"))
    closer = "safeguarded Twin-L2O ends closer than Halpern, OMD and GD-Anchoring"
    return [
        Claim("Figure 3, seen", closer, "closer", *map(_guarded, seen)),
        Claim(
            "Figure 3, unseen",
            "plain Twin-L2O fails where the safeguarded converges",
            "converges",
            *map(_rescued, unseen),
        ),
        Claim("Figure 3, unseen", closer, "closer", *map(_guarded, unseen)),
    ]


def _plain(jobs: Jobs) -> Claim:
    release, paper = NOT_RUN, TABLE1["none", "sr1"]
    if found := jobs.get("table1"):
        ours = [mean(values) for values in found_in(found)["none", "sr1"]]
        wide_fail = all(ours[place - 1] < 50 for place in WIDE)
        release = Finding(
            f"SR1 %: {_by_range(ours, (1, *WIDE))}", ours[0] >= 100 * PERFECT and wide_fail
        )
    return Claim(
        "Table 1, plain",
        "Twin-L2O solves range 1 perfectly and most of ranges 3, 4, 6 and 7 not",
        f"SR1 %: {_by_range(paper, (1, *WIDE))}",
        release,
        _must_solve(_published(jobs, "seesaw_range1"), "range 1"),
    )


def _enhanced(jobs: Jobs) -> Claim:
    release, paper = NOT_RUN, TABLE1["gradient", "sr1"]
    if found := jobs.get("table1"):
        table = found_in(found)
        plain, ours = ([mean(v) for v in table[name, "sr1"]] for name in ("none", "gradient"))
        raised = all(ours[place - 1] > plain[place - 1] + 1 for place in WIDE)
        release = Finding(f"SR1 %: {_by_range(ours, WIDE)}, from {_by_range(plain, WIDE)}", raised)
    return Claim(
        "Table 1, enhanced",
        "the curriculum raises SR1 on ranges 3, 4, 6 and 7",
        f"SR1 %: {_by_range(paper, WIDE)}, from {_by_range(TABLE1['none', 'sr1'], WIDE)}",
        release,
        _must_solve(_published(jobs, "seesaw_range4", "gradient"), "range 4"),
    )


def _costs(jobs: Jobs) -> Claim:
    release = published = NOT_RUN
    if found := jobs.get("a5"):
        ratio = beam_ratio({name: count.total for name, count in counts_of(found).items()})
        release = Finding(f"{ratio:.2g} times", ratio > 1)
        published = Finding("the same", release.holds)
    return Claim(
        "Appendix A5",
        "K-beam (K = 5) computes more than Twin-L2O",
        f"{beam_ratio(COUNTS):.1f} times",
        release,
        published,
    )


def _rewards(jobs: Jobs) -> list[Claim]:
    release = by("reward", jobs.get("a6", []))
    published = {
        reward: group
        for reward in ("objective", "gradient", "nikaido_isoda")
        if (group := _published(jobs, "seesaw_range1", reward=reward))
    }
    both = release, published
    return [
        Claim("Appendix A6", "Eq. 38 is a worse reward than Eq. 4", "worse", *map(_eq38, both)),
        Claim("Appendix A6", "Eq. 39 is ineffective", "ineffective", *map(_eq39, both)),
    ]


def _eq38(groups: Mapping[str, Group]) -> Finding:
    """Whether Eq. 38 is worse than Eq. 4; open if neither solves the problem."""
    if not {"objective", "gradient"} <= set(groups):
        return NOT_RUN
    objective, gradient = groups["objective"], groups["gradient"]
    holds = eq38_is_worse(groups) if solves(objective) or solves(gradient) else None
    return Finding(f"SR1 %: {_sr1(gradient)}, Eq. 4 {_sr1(objective)}", holds)


def _eq39(groups: Mapping[str, Group]) -> Finding:
    if "nikaido_isoda" not in groups:
        return NOT_RUN
    return Finding(f"SR1 %: {_sr1(groups['nikaido_isoda'])}", eq39_is_ineffective(groups))


def _published(
    jobs: Jobs, problem: str, curriculum: str = "none", reward: str = "objective"
) -> Group | None:
    """The runs of a problem under the paper's protocol, as far as they are finished."""
    wanted = {"problem": problem, "curriculum": curriculum, "reward": reward}
    runs = [
        job.metrics
        for job in jobs.get("paper_protocol", [])
        if wanted.items() <= {"reward": "objective", **job.settings}.items()
    ]
    return Group(problem, runs) if runs else None


def _must_solve(group: Group | None, name: str) -> Finding:
    """On a claim that is refuted if a rule does not solve its problem, and else left open."""
    if group is None:
        return NOT_RUN
    return Finding(f"SR1 %: {name} {_sr1(group)}", None if solves(group) else False)


def _precise(ends: Ends | None, factor: float) -> Finding:
    """Whether Twin-L2O ends `factor` times closer than every tuned method of the paper."""
    if ends is None:
        return NOT_RUN
    text = f"{ends.twin:.1e}; {ends.best_rival}: {ends.rivals[ends.best_rival]:.1e}"
    return Finding(text, ends.twin * factor < ends.rivals[ends.best_rival])


def _trained(ends: Ends, group: Group | None) -> Ends | None:
    """The same comparison with a Twin-L2O that was trained otherwise."""
    return group and ends._replace(twin=median(group.values("distance_median")))


def _guarded(ends: Ends | None) -> Finding:
    """Whether safeguarded Twin-L2O ends closer than every tuned method of the paper."""
    if ends is None:
        return NOT_RUN
    best = ends.best_rival
    text = f"{ends.guarded:.1e}; {best}: {ends.rivals[best]:.1e}"
    return Finding(text, ends.guarded < ends.rivals[best])


def _rescued(ends: Ends | None) -> Finding:
    """Whether the safeguard solves what the plain rule does not."""
    if ends is None:
        return NOT_RUN
    text = f"SR1 %: plain {100 * ends.twin_sr1:.1f}, safeguarded {100 * ends.guarded_sr1:.1f}"
    return Finding(text, ends.twin_sr1 <= SOLVED < ends.guarded_sr1)


def _negated(finding: Finding) -> Finding:
    return finding._replace(holds=None if finding.holds is None else not finding.holds)


def _held(holds: bool) -> str:
    return "holds" if holds else "does not hold"


def _sr1(group: Group) -> str:
    return f"{100 * mean(group.values('sr1')):.1f}"


def _by_range(values: Sequence[float], places: Sequence[int]) -> str:
    return ", ".join(f"{values[place - 1]:.1f}" for place in places)
