"""Verdicts, each both ways, from made-up results."""

from pathlib import Path

import pytest

from l2o.reproduction.claims import NOT_RUN, Claim, Finding, Jobs, claims, summary
from tests.reproduction.made_up import compared, trained, written

VARIANTS = ("twin", "twin_shared_weights", "twin_shared_hidden", "twin_shared_both")
SADDLE = "figure2_rotated_saddle"


def claim(jobs: Jobs, place: str, words: str = "") -> Claim:
    """The claim of a place in the paper."""
    (found,) = (c for c in claims(jobs) if c.place == place and words in c.text)
    return found


@pytest.mark.parametrize(
    ("release", "published", "verdict"),
    [
        (True, True, "holds"),
        (False, False, "does not hold"),
        (True, False, "holds only with the release's tricks"),
        (False, True, "holds only without the release's tricks"),
        (True, None, "holds with the release's recipe"),
        (False, None, "does not hold with the release's recipe"),
        (None, True, "holds under the paper's protocol"),
        (None, False, "does not hold under the paper's protocol"),
        (None, None, "open"),
    ],
)
def test_a_verdict_is_of_both_protocols(
    release: bool | None, published: bool | None, verdict: str
) -> None:
    findings = Finding("", release), Finding("", published)
    assert Claim("Figure 9", "", "", *findings).verdict == verdict


def test_without_runs_every_claim_is_open() -> None:
    assert {c.verdict for c in claims({})} == {"open"}
    assert {(c.release, c.published) for c in claims({})} == {(NOT_RUN, NOT_RUN)}
    assert summary({}).count("| not run | not run | open |") == len(claims({}))


@pytest.mark.parametrize(
    ("shares", "holds"), [((1, 0, 0, 0), True), ((1, 0, 1, 0), False), ((0, 0, 0, 0), False)]
)
def test_figure1_is_about_the_only_one(tmp_path: Path, shares: tuple, holds: bool) -> None:
    jobs = {
        "figure1": [
            trained(tmp_path, sr1, variant=name) for name, sr1 in zip(VARIANTS, shares, strict=True)
        ]
    }
    assert claim(jobs, "Figure 1").release.holds is holds
    assert f"`twin` {100 * shares[0]:.1f}" in claim(jobs, "Figure 1").release.text


def test_the_papers_protocol_refutes_what_rests_on_a_solution(tmp_path: Path) -> None:
    """Two seeds of range 1: unsolved on average refutes; solved decides nothing."""
    kind = {"problem": "seesaw_range1", "curriculum": "none"}
    unsolved = [trained(tmp_path, sr1, **kind) for sr1 in (0.0, 0.8)]
    solved = [trained(tmp_path, 1.0, **kind)]
    for place in ("Figure 1", "Table 1, plain"):
        assert claim({"paper_protocol": unsolved}, place).published.holds is False
        assert "40.0" in claim({"paper_protocol": unsolved}, place).published.text
        assert claim({"paper_protocol": solved}, place).published.holds is None
    assert claim({"paper_protocol": unsolved}, "Table 1, enhanced").published == NOT_RUN


@pytest.mark.parametrize(
    ("twin", "precise"), [(1e-9, True), (9e-8, True), (2e-7, False), (1e-3, False)]
)
def test_figure2_asks_for_a_magnitude_on_seesaw(tmp_path: Path, twin: float, precise: bool) -> None:
    """Among the paper's methods only: aGRAAL is not one of them."""
    rows = {"ogda": (1e-6, 1.0), "gda": (1e-1, 0.0), "agraal": (1e-30, 1.0)}
    jobs = {"figure2": [compared(tmp_path, "figure2_seesaw", {**rows, "TwinL2O_seed0": (twin, 1)})]}
    release = claim(jobs, "Figure 2, seesaw").release
    assert release.holds is precise
    assert release.text == f"{twin:.1e}; ogda: 1.0e-06"


def test_figure2_on_rotated_saddle_is_a_claim_of_no_superiority(tmp_path: Path) -> None:
    """The rule trained under the paper's protocol takes the other's place in the comparison."""
    rows = {"ogda": (1e-6, 1.0), "TwinL2O_seed0": (1e-3, 1.0)}
    kind = {"problem": "rotated_saddle", "curriculum": "none"}
    jobs = {
        "figure2": [compared(tmp_path, SADDLE, rows)],
        "paper_protocol": [trained(tmp_path, 1.0, 1e-8, **kind)],
    }
    found = claim(jobs, "Figure 2, rotated saddle")
    assert found.release.holds is True
    assert found.published == Finding("1.0e-08; ogda: 1.0e-06", False)
    assert found.verdict == "holds only with the release's tricks"


@pytest.mark.parametrize(
    ("shares", "guarded", "rescued", "closer"),
    [
        ((0.0, 0.9), 1e-5, True, True),
        ((1.0, 0.9), 1e-5, False, True),
        ((0.0, 0.4), 1e-3, False, False),
    ],
)
def test_figure3_is_about_a_rescue_and_about_speed(
    tmp_path: Path, shares: tuple[float, float], guarded: float, rescued: bool, closer: bool
) -> None:
    rows = {
        "TwinL2O_seed0+halpern": (guarded, shares[1]),
        "halpern": (1e-4, 1.0),
        "TwinL2O_seed0": (0.7, shares[0]),
    }
    comparisons = "figure3_seen", "figure3_unseen"
    runs = [compared(tmp_path, name, rows) for name in comparisons]
    expected = Finding(f"{guarded:.1e}; halpern: 1.0e-04", closer)
    for target, kind in (("figure3", "release"), ("paper_protocol", "published")):
        jobs = {target: runs}
        assert getattr(claim(jobs, "Figure 3, unseen", "fails"), kind).holds is rescued
        for place in ("Figure 3, seen", "Figure 3, unseen"):
            found = claim(jobs, place, "closer")
            assert getattr(found, kind) == expected
            assert NOT_RUN in (found.release, found.published), "only one of them was run"


@pytest.mark.parametrize(("twin", "precise"), [(1e-5, True), (1e-3, False)])
def test_figure2_on_matrix_games_is_compared_under_both_protocols(
    tmp_path: Path, twin: float, precise: bool
) -> None:
    rows = {"halpern": (1e-4, 1.0), "TwinL2O_seed0": (twin, 0.0)}
    runs = [compared(tmp_path, "figure2_matrix_game", rows)]
    found = claim({"paper_protocol": runs}, "Figure 2, matrix game")
    assert (found.release, found.published.holds) == (NOT_RUN, precise)


@pytest.mark.parametrize(
    ("plain", "enhanced", "holds"),
    [(0.1, 0.6, (True, True)), (0.6, 0.7, (False, True)), (0.6, 0.605, (False, False))],
)
def test_table1_on_wide_ranges(
    tmp_path: Path, plain: float, enhanced: float, holds: tuple[bool, bool]
) -> None:
    """Range 1 is solved; all others have one SR1."""
    runs = [
        trained(
            tmp_path, 1.0 if place == 1 else sr1, problem=f"seesaw_range{place}", curriculum=name
        )
        for name, sr1 in (("none", plain), ("gradient", enhanced))
        for place in range(1, 8)
    ]
    found = [claim({"table1": runs}, f"Table 1, {name}").release for name in ("plain", "enhanced")]
    assert (found[0].holds, found[1].holds) == holds
    assert found[0].text.startswith("SR1 %: 100.0, ")


@pytest.mark.parametrize(("beam", "holds"), [(2.1e6, True), (0.9e6, False)])
def test_a5_is_a_ratio(tmp_path: Path, beam: float, holds: bool) -> None:
    counts = {f"kbeam_{k}": (0.0, beam) for k in (1, 2, 5, 10)} | {"TwinL2O": (0.75e6, 0.25e6)}
    metrics = {
        f"{name}/{key}": value
        for name, pair in counts.items()
        for key, value in zip(("products", "elementwise"), pair, strict=True)
    }
    found = claim({"a5": [written(tmp_path, "operations", metrics, {})]}, "Appendix A5")
    assert found.release == Finding(f"{beam / 1e6:.2g} times", holds)
    assert found.published.holds is holds, "it does not depend on training"


@pytest.mark.parametrize(
    ("gradient", "nikaido_isoda", "holds"),
    [(0.9, 0.0, (True, True)), (1.0, 0.8, (False, False))],
)
def test_a6_compares_rewards(
    tmp_path: Path, gradient: float, nikaido_isoda: float, holds: tuple[bool, bool]
) -> None:
    shares = {"objective": 1.0, "gradient": gradient, "nikaido_isoda": nikaido_isoda}
    jobs = {"a6": [trained(tmp_path, sr1, reward=name) for name, sr1 in shares.items()]}
    found = [claim(jobs, "Appendix A6", words).release for words in ("Eq. 38", "Eq. 39")]
    assert (found[0].holds, found[1].holds) == holds


@pytest.mark.parametrize(
    ("objective", "gradient", "worse"),
    [(1.0, 0.2, True), (0.2, 1.0, False), (0.0, 0.0, None)],
)
def test_a6_under_the_papers_protocol_is_open_if_nothing_is_solved(
    tmp_path: Path, objective: float, gradient: float, worse: bool | None
) -> None:
    kind = {"problem": "seesaw_range1", "curriculum": "none"}
    jobs = {
        "paper_protocol": [
            trained(tmp_path, objective, **kind),
            trained(tmp_path, gradient, **kind, reward="gradient"),
            trained(tmp_path, 0.0, **kind, reward="nikaido_isoda"),
        ]
    }
    assert claim(jobs, "Appendix A6", "Eq. 38").published.holds is worse
    assert claim(jobs, "Appendix A6", "Eq. 39").published == Finding("SR1 %: 0.0", True)
    assert f"`twin` {100 * objective:.1f}" in claim(jobs, "Figure 1").published.text, "Eq. 4 alone"
