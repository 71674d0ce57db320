"""Two runs from their files: movement, flips, blame, aspects, doubts; all worked out by hand."""

import json
import math

import pytest

from cirdemo.cli import main
from cirdemo.evaluate import movement
from cirdemo.evaluate.aspects import ANNOTATED, BY_RULE, aspects_of, source_of
from cirdemo.evaluate.doubts import export, queue, votes_of
from cirdemo.evaluate.movement import analyse, band, tau
from cirdemo.evaluate.movement_page import movers, page
from cirdemo.types import BadInput, Triplet
from tests.fixtures_benchmarks import SHARED
from tests.fixtures_submissions import circo_file, circo_root, cirr_files, cirr_root, dumped

published = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the published annotations are not beside the project"
)


def query(n, targets=("t",), text="", soft=(), aspects=(), group=()):
    return Triplet(
        query_id=f"q{n}",
        reference_id="r",
        modification=text,
        target_ids=targets,
        soft_targets=soft,
        aspects=aspects,
        subset_ids=group,
    )


QUERIES = [
    query(0, text="no dog"),  # first in both
    query(1, text="two dogs"),  # 3 -> 1: rescued at 1
    query(2, text="no cat"),  # 1 -> 2: a re-rank inversion
    query(3, text="larger"),  # not in A: a coarse miss
    query(4, text="the same", soft=(("t", 1.0), ("x", 0.5))),  # x first: a doubt
    query(5, text="no"),  # 2 -> 3: below a non-target
]
A = {
    "q0": ["t", "x", "y"],
    "q1": ["x", "y", "t"],
    "q2": ["t", "x", "y"],
    "q3": ["x", "y", "z"],
    "q4": ["t", "x", "y"],
    "q5": ["r", "x", "t", "y"],
}
B = {
    "q0": ["t", "y", "x"],
    "q1": ["t", "x", "y"],
    "q2": ["x", "t", "y"],
    "q3": ["z", "y", "x"],
    "q4": ["x", "t", "y"],
    "q5": ["x", "y", "t", "r"],
}


@pytest.fixture(scope="module")
def found():
    return analyse(QUERIES, A, B, leave_out=True)


def test_kendall_by_hand():
    assert tau("abcd", "abcd") == 1.0 and tau("abcd", "dcba") == -1.0
    assert tau("abcd", "abdc") == pytest.approx((5 - 1) / 6)
    assert tau("abcx", "yabc") == 1.0  # only what both hold
    assert math.isnan(tau("ab", "xy"))


def test_how_lists_move(found):
    lists = found["lists"]
    assert lists["same_pictures"] == 6  # the reference is left out of both
    # the first of B stands in A at 1, 3, 2, 3, 2, 1
    assert lists["same_first"] == pytest.approx(2 / 6)
    assert lists["mean_rank_of_new_first"] == pytest.approx(12 / 6)
    assert lists["median_rank_of_new_first"] == 2.0
    assert lists["first_from_beyond_10"] == 0.0 and lists["first_not_in_a"] == 0


def test_flips_bands_and_pool(found):
    assert found["flips"]["@1"] == {"rescued": ["q1"], "lost": ["q2", "q4"]}
    assert found["flips"]["@5"] == {"rescued": [], "lost": []}
    bands = found["bands"]
    assert bands["1"] == {"1": 1, "2-5": 2, "6-10": 0, "11-50": 0, "beyond": 0}
    assert bands["2-5"]["1"] == 1 and bands["2-5"]["2-5"] == 1
    assert bands["beyond"]["beyond"] == 1
    assert sum(n for row in bands.values() for n in row.values()) == 6
    assert found["pool"]["ceiling of A's list"] == pytest.approx(5 / 6)
    assert found["pool"]["R@1 of A"] == pytest.approx(3 / 6)
    assert found["pool"]["R@1 of B"] == pytest.approx(2 / 6)
    assert (found["a_wins"], found["ties"], found["b_wins"]) == (3, 2, 1)
    assert found["mcnemar"]["only_a"] == 2 and found["mcnemar"]["only_b"] == 1
    metric = found["metrics"]["R@1"]
    assert metric["difference"] == pytest.approx(-1 / 6)
    low, high = metric["interval"]
    assert low <= metric["difference"] <= high and low < 0 < high
    names = [band(r) for r in (1, 2, 5, 6, 10, 11, 50, 51, None)]
    assert names == ["1", "2-5", "2-5", "6-10", "6-10", "11-50", "11-50", "beyond", "beyond"]


def test_each_miss_has_one_blame(found):
    assert {r["query_id"]: r["blame"] for r in found["rows"]} == {
        "q0": None,
        "q1": None,
        "q2": "re-rank inversion",
        "q3": "coarse miss",
        "q4": "annotation doubtful",
        "q5": "below a non-target",
    }
    assert sum(found["blame"].values()) == 4 == sum(r["b"]["rank"] != 1 for r in found["rows"])


def test_aspects_by_rule_and_annotated(found):
    assert found["aspects_from"] == BY_RULE
    negation = found["aspects"]["negation"]
    assert negation["queries"] == 3  # q0, q2, q5
    assert negation["R@1"]["a"] == pytest.approx(2 / 3)
    assert negation["R@1"]["b"] == pytest.approx(1 / 3)
    assert found["aspects"]["cardinality"]["R@1"]["difference"] == 1.0
    assert found["aspects"]["same"]["queries"] == 1
    told = query(9, text="no dog", aspects=("viewpoint",))
    assert aspects_of(told) == ("viewpoint",) and source_of([told]) == ANNOTATED
    assert aspects_of(query(9, text="Show it from above, closer")) == (
        "comparative_statement", "spatial_relations_background", "statement_with_conjunction",
        "viewpoint",
    )  # fmt: skip
    assert aspects_of(query(9, text="show the alone adder")) == ()


def test_several_targets_have_average_precision():
    queries = [query(0, targets=("t", "u"), aspects=("addition",))]
    found = analyse(queries, {"q0": ["t", "x", "u"]}, {"q0": ["t", "u", "x"]}, leave_out=False)
    row = found["aspects"]["addition"]["mAP@10"]
    assert row["a"] == pytest.approx((1 + 2 / 3) / 2) and row["b"] == 1.0


def test_without_targets_only_the_lists_are_told():
    queries = [query(0, targets=()), query(1, targets=())]
    lists = {"q0": ["a", "b"], "q1": ["a", "b"]}
    found = analyse(queries, lists, {"q0": ["b", "a"], "q1": ["c", "a"]}, leave_out=True)
    assert set(found) == {"queries", "lists"}
    assert found["lists"]["first_not_in_a"] == 1 and found["lists"]["same_first"] == 0.0
    told = {**found, "a": "a.json", "b": "b.json", "dataset": "cirr", "split": "test1"}
    assert "no public targets" in page(told)


def test_the_page_names_what_moved(found):
    told = {**found, "a": "a.json", "b": "b.json", "dataset": "cirr", "split": "val"}
    text = page(told)
    assert "| @1 | 1 | 2 | -1 |" in text and "| coarse miss | 1 |" in text
    assert "| q1 | two dogs | 3 | 1 |" in text and BY_RULE in text
    risen, fallen = movers(found["rows"])
    assert [r["query_id"] for r in risen] == ["q1"]
    assert {r["query_id"] for r in fallen} == {"q2", "q4", "q5"}


# --- doubts -------------------------------------------------------------------------------


def test_the_queue_of_doubts():
    found = queue(QUERIES, [A, B], leave_out=True)
    assert {d.query_id for d in found} == {"q1", "q2", "q3", "q4", "q5"}  # q0 has the target first
    by_id = {d.query_id: d for d in found}
    assert (by_id["q5"].candidate_id, by_id["q5"].runs, by_id["q5"].rank) == ("x", 2, 1)
    assert (by_id["q1"].runs, by_id["q1"].target_rank) == (1, 1)
    assert by_id["q4"].label == 0.5 and by_id["q3"].target_rank is None
    # two runs agree on q3 and q5; the target of q5 is closer
    assert [d.query_id for d in found[:2]] == ["q5", "q3"]
    assert found[-1].query_id == "q4"  # its label is known
    assert all(d.candidate_id not in ("t", "r") for d in found)


def test_votes_are_exported_and_read_again():
    found = queue(QUERIES, [A], leave_out=True)
    votes = {found[0].key: "right"}
    told = json.loads(json.dumps(export(found, votes, dataset="cirr", split="val")))
    assert told["doubts"][0]["vote"] == "right" and told["doubts"][1]["vote"] is None
    assert votes_of(told, dataset="cirr", split="val") == votes
    with pytest.raises(BadInput, match="not on circo"):
        votes_of(told, dataset="circo", split="val")
    told["doubts"][0]["vote"] = "maybe"
    with pytest.raises(BadInput, match="one of right, wrong, unsure"):
        votes_of(told, dataset="cirr", split="val")
    for wrong in ({}, [], {"format": "x"}, 3):
        with pytest.raises(BadInput, match="no file of votes"):
            votes_of(wrong, dataset="cirr", split="val")


# --- commands -----------------------------------------------------------------------------


def call(capsys, *words):
    status = main([*map(str, words), "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_analyse_files(tmp_path, capsys):
    cirr_root(tmp_path, "val", "dev")
    recall, _ = cirr_files("dev")
    better = {k: [v[1], v[0], *v[2:]] if len(v) == 50 else v for k, v in recall.items()}
    a, b = dumped(tmp_path / "a.json", recall), dumped(tmp_path / "b.json", better)
    out = tmp_path / "out"
    status, answer = call(capsys, "analyse", a, b, "--root", tmp_path, "--out", out)
    assert status == 0 and len(answer["flips"]["@1"]["rescued"]) == 40
    assert answer["pool"]["R@1 of B"] == 1.0 and answer["bands"]["2-5"]["1"] == 40
    assert json.loads((out / "analysis.json").read_text()) == answer
    assert "| @1 | 40 | 0 | +40 |" in (out / "analysis.md").read_text()
    assert answer["facts"][0]["of_what"] == "cirr"
    assert main(["analyse", str(a), str(b), "--root", str(tmp_path)]) == 0
    assert "# a.json -> b.json" in capsys.readouterr().out
    c = dumped(tmp_path / "c.json", circo_file())
    status, answer = call(capsys, "analyse", a, c, "--root", tmp_path)
    assert status == 2 and "not of one dataset" in answer["error"]["message"]


def test_list_doubts_of_files(tmp_path, capsys):
    circo_root(tmp_path)
    value = circo_file()
    value["7"] = value["7"][::-1]
    path = dumped(tmp_path / "run.json", value)
    out = tmp_path / "queue.json"
    status, answer = call(capsys, "doubts", path, "--root", tmp_path, "--out", out)
    assert status == 0 and answer["found"] == 1
    (doubt,) = answer["doubts"]
    assert doubt["query_id"] == "7" and doubt["target_rank"] == 47 and doubt["vote"] is None
    told = json.loads(out.read_text())
    told["doubts"][0]["vote"] = "right"
    votes = dumped(tmp_path / "votes.json", told)
    _, answer = call(capsys, "doubts", path, "--root", tmp_path, "--votes", votes)
    assert answer["doubts"][0]["vote"] == "right"
    votes.write_text("[")
    status, answer = call(capsys, "doubts", path, "--root", tmp_path, "--votes", votes)
    assert status == 2 and "cannot be read" in answer["error"]["message"]


@published
def test_rescued_targets_agree_with_the_scores(tmp_path, capsys):
    words = ("submit", "cirr", "--split", "val", "--gallery", "captions", "--root", SHARED)
    files = []
    for method in ("text", "rrf"):
        _, answer = call(capsys, *words, "--method", method, "--out", tmp_path)
        assert answer["accepted"]
        files.append(answer["out"][0])
    _, told = call(capsys, "analyse", *files, "--root", SHARED)
    scores = [call(capsys, "score", f, "--root", SHARED)[1]["metrics"] for f in files]
    for k in (1, 5, 10, 50):
        flips = told["flips"][f"@{k}"]
        net = (len(flips["rescued"]) - len(flips["lost"])) / told["queries"]
        assert net == pytest.approx(scores[1][f"R@{k}"] - scores[0][f"R@{k}"], abs=1e-12)
    assert sum(told["blame"].values()) == sum(r["b"]["rank"] != 1 for r in told["rows"])
    assert movement.BLAMES == tuple(told["blame"])
