"""Sections on training runs, from made-up results."""

from pathlib import Path

from l2o.reproduction.a5 import appendix_a5
from l2o.reproduction.trained import figure1, matrix_game, paper_protocol
from tests.reproduction.made_up import trained, written


def test_figure1_tells_who_solves_it(tmp_path: Path) -> None:
    shares = {"twin": (0.9, 1.0), "twin_shared_weights": (0.0, 0.25)}
    jobs = [trained(tmp_path, sr1, variant=v) for v, group in shares.items() for sr1 in group]
    text = figure1(jobs, tmp_path)
    assert "| `twin_shared_weights` | 12.5 (0–25) | 100.0 (100–100) |" in text
    assert "those that solve the problem: `twin`; none has a higher SR1" in text
    better = [*jobs, trained(tmp_path, 1.0, variant="twin_shared_hidden")]
    text = figure1(better, tmp_path)
    assert "`twin`, `twin_shared_hidden`; another has a higher SR1" in text


def test_the_matrix_game_tells_what_was_tried_and_what_was_best(tmp_path: Path) -> None:
    runs = [
        trained(tmp_path, 0.0, 0.9, reward="objective", variant="twin"),
        trained(tmp_path, 0.0, 0.4, reward="objective", variant="twin_log_inputs"),
    ]
    kept = {"variant.state_rescale": 1.0, "protocol.detach": "none"}
    text = matrix_game(runs, tmp_path)
    assert "| `objective`, plain, times 0.0001, greedy | 0.0 |" in text
    assert "None solves it; best is `objective`, logarithmic, times 0.0001, greedy" in text
    assert text.endswith("SR1 0.0 %, median distance 4.0e-01.")
    solving = trained(tmp_path, 0.75, 0.6, reward="gradient", variant="twin", **kept)
    text = matrix_game([*runs, solving], tmp_path)
    assert "Solved by `gradient`, plain, kept, full: SR1 75.0 %" in text


def test_the_papers_protocol_names_what_is_solved(tmp_path: Path) -> None:
    jobs = [
        trained(tmp_path, sr1, problem=problem, curriculum=curriculum)
        for problem, curriculum, sr1 in (
            ("seesaw_range1", "none", 0.0),
            ("seesaw_range1", "none", 0.1),
            ("rotated_saddle", "none", 1.0),
        )
    ]
    text = paper_protocol(jobs, tmp_path)
    assert "| `seesaw_range1`, curriculum `none` | 5.0 (0–10) |" in text
    assert "Those that solve their problem: `rotated_saddle`, curriculum `none`." in text
    assert "Those that solve their problem: none." in paper_protocol(jobs[:2], tmp_path)
    other = trained(tmp_path, 0.0, problem="seesaw_range1", curriculum="none", reward="gradient")
    text = paper_protocol([*jobs, other, written(tmp_path, "compare", {}, {})], tmp_path)
    assert "| `seesaw_range1`, curriculum `none`, reward `gradient` | 0.0 |" in text


def test_a5_sets_counts_beside_the_papers(tmp_path: Path) -> None:
    """In millions; the paper's 3.86 million in 20,000 iterations are 193 in each."""
    counts = {"TwinL2O": (38e6, 0.6e6), **{f"kbeam_{k}": (0.0, k * 1e6) for k in (1, 2, 5, 10)}}
    metrics = {
        f"{name}/{key}": value
        for name, pair in counts.items()
        for key, value in zip(("products", "elementwise"), pair, strict=True)
    }
    text = appendix_a5([written(tmp_path, "operations", metrics, {})], tmp_path)
    assert "| kbeam_5 | 8.11 | 5.00 | 0.00 | 5.00 | 0.62 |" in text
    assert "| TwinL2O | 3.86 | 38.60 | 38.00 | 0.60 | 10.00 |" in text
    assert "computes 2.1 times as much as Twin-L2O (seesaw" in text
    assert "K-beam with K = 5 computes 0.13 times as much" in text
    assert "are 193 an iteration" in text
    assert "need 1900." in text
