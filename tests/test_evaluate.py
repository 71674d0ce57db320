"""Evaluation: shared work, skipped methods, gap, phrasings, true sentences, blames."""

import time

import numpy as np
import pytest

from cirdemo.evaluate import by_kind, by_phrasing, evaluate, measure
from cirdemo.evaluate.errors import BLAMES, analyse, blame, lost_cues, table
from cirdemo.evaluate.rows import Rows
from cirdemo.evaluate.summary import means_of, summarise, ties
from cirdemo.evaluate.tables import tied
from cirdemo.export import markdown, report_json
from cirdemo.types import CirError, Composed, Description, Rationale, Triplet
from tests.fakes import ScriptedJudge, ScriptedReasoner, ScriptedWriter, fake_engine

ABOUT = {"dataset": "fables", "split": "test", "protocol": "reference-excluded"}


def by_name(results):
    return {r.method: r for r in results}


# --- ties -----------------------------------------------------------------------------------


def test_a_target_that_ties_has_a_best_and_a_worst_rank():
    triplet = Triplet(
        query_id="q", reference_id="r", modification="m", target_ids=("c", "e"), kind=""
    )
    make = Rows(fake_engine().gallery("fables"), "other")
    row = make.row(triplet, list("abcde"), None, [0.9, 0.5, 0.5, 0.5, 0.5])
    assert (row["rank"], row["best"], row["worst"]) == (3, 2, 4)  # e is a target too
    assert "worst" not in make.row(triplet, list("abd"), None, [0.9, 0.5, 0.5])
    assert "worst" not in make.row(triplet, list("abcde"), None)
    clear = make.row(triplet, list("cabde"), None, [0.9, 0.5, 0.5, 0.5, 0.5])
    absent = make.row(triplet, list("abd"), None, [0.9, 0.5, 0.5])
    found = ties([row, clear, absent])
    assert found["queries"] == 1
    assert (found["R@1 lowest"], found["R@1 highest"]) == (1 / 3, 1 / 3)
    assert (found["R@5 lowest"], found["R@5 highest"]) == (2 / 3, 2 / 3)
    assert ties([{"query_id": "q"}]) == {}
    told = tied({"a": {"ties": found}, "b": {"ties": {**found, "queries": 0}}, "c": {}})
    assert told == "Targets that tie with other pictures: a 1 (R@1 33.3 to 33.3)."
    assert tied({"c": {}}) == ""


def test_an_evaluation_tells_its_ties():
    """The fake's `grey` and `white` have one direction, so that they tie."""
    report = measure(fake_engine(), "fables", methods=["text", "setr"])
    found = report_json(report, gallery=9)["methods"]
    rows = {e.method: e.rows for e in report.evaluations}
    assert found["text"]["ties"] == ties(rows["text"]) and "ties" not in found["setr"]
    for row in rows["text"]:
        assert row["best"] <= row["rank"] <= row["worst"]


# --- the run ------------------------------------------------------------------------------


def test_nothing_is_done_twice():
    class CountingReasoner(ScriptedReasoner):
        calls = 0

        def reason(self, query):
            CountingReasoner.calls += 1
            return super().reason(query)

    writer, judge = ScriptedWriter(), ScriptedJudge({"green": 0.9})
    engine = fake_engine(writer=writer, judge=judge, reasoner=CountingReasoner())
    names = ["setr", "intersection", "union", "rrf", "cot", "rrf:union+cot"]
    results = evaluate(engine, "fables", "test", names, captions=False)
    assert [r.method for r in results] == ["setr", "setr_fused", *names[1:]]
    assert writer.calls == 4  # two queries under two modes
    assert CountingReasoner.calls == 2
    assert len(judge.seen) == 2


def test_a_method_s_seconds_hold_those_of_what_it_rests_on():
    class Slow(ScriptedWriter):
        def write(self, query, mode):
            time.sleep(0.05)
            return super().write(query, mode)

    names = ("text", "union", "intersection", "setr", "rrf:union+intersection")
    results = evaluate(fake_engine(writer=Slow()), "fables", "test", names)
    seconds = {r.method: r.seconds for r in results}
    for name, least in zip(names, (0, 0.1, 0.1, 0.1, 0.2), strict=True):  # two queries
        assert seconds[name] > least, name
    assert seconds["setr"] == seconds["setr_fused"]


def test_what_fails_on_the_way_is_skipped_only_where_everything_is_asked_for():
    engine = fake_engine(cot_space="other", broken={"sum": "No sum."})
    report = measure(engine, "fables")
    assert set(report.skipped) == {"sum", "cot", "rrf"}
    assert report.skipped["sum"] == "No sum." and "other" in report.skipped["cot"]
    found = [e.method for e in report.evaluations]
    assert "cot" not in found and {"text", "product", "setr", "setr_fused"} <= set(found)
    assert all(len(e.rows) == 2 for e in report.evaluations if e.method != "caption")
    with pytest.raises(CirError, match="other"):
        measure(engine, "fables", methods=["text", "cot"])


def test_where_nothing_runs_the_reason_is_told():
    gone = dict.fromkeys(
        ("text", "image", "sum", "union", "intersection", "cot", "judge"), "No encoder."
    )
    with pytest.raises(CirError, match="No encoder"):
        measure(fake_engine(broken=gone), "fables")


def test_captions_are_sampled_from_the_whole_gallery(monkeypatch):
    monkeypatch.setattr("cirdemo.evaluate.run.CAPTIONS", 3)
    found = by_name(evaluate(fake_engine(), "fables", "test", ["text"]))["caption"]
    assert [row["image_id"] for row in found.rows] == ["black-ish", "green", "red"]  # of nine


# --- summaries ----------------------------------------------------------------------------


def test_gap_is_over_the_better_baseline_even_where_none_was_asked_for():
    report = by_name(evaluate(fake_engine(), "fables", "test", ("union",), captions=False))
    assert set(report) == {"union"}
    assert report["union"].means["composition_gap"] == 0.0  # with nine pictures all are at 10

    def rows(*found):
        return [{"query_id": str(n), "R@10": float(f)} for n, f in enumerate(found)]

    text, image = rows(1, 0, 0, 0), rows(0, 1, 1, 0)
    best = summarise("m", rows(1, 1, 1, 1), [text, image], **ABOUT)
    assert best.means["composition_gap"] == pytest.approx(1.0 - 0.5)
    low, high = best.interval["composition_gap"]
    assert 0.0 <= low < 0.5 < high <= 1.0
    assert summarise("m", text, [text, image], **ABOUT).means["composition_gap"] == -0.25


def test_phrasings_by_hand():
    rows = [
        {"query_id": str(n), "R@1": float(hit), "phrasing": phrasing}
        for n, (phrasing, hit) in enumerate(
            [("seen", 1), ("seen", 1), ("seen", 0), ("seen", 1), ("unseen", 1), ("unseen", 0)] * 20
        )
    ]
    found = by_phrasing(summarise("m", rows, **ABOUT))
    assert (found["seen"], found["unseen"]) == (0.75, 0.5)
    assert found["difference"] == pytest.approx(-0.25)
    assert found["queries"] == {"seen": 80, "unseen": 40}
    # the standard error of the difference is sqrt(.75*.25/80 + .5*.5/40) = 0.093
    assert found["interval"] == pytest.approx([-0.25 - 0.18, -0.25 + 0.18], abs=0.04)
    assert by_phrasing(summarise("m", rows[:4], **ABOUT)) == {}


def test_true_sentences_are_pooled():
    rows = [
        {"statements": [["caption", "a", True]], "kind": "colour"},
        {"statements": [["caption", "b", True], *[["change", "c", False]] * 3], "kind": "count"},
        {"R@1": 1.0, "kind": "count"},
    ]
    assert means_of(rows)["sentence_truth"] == pytest.approx(2 / 5)
    found = summarise("cot", rows, **ABOUT)
    assert found.interval["sentence_truth"][0] <= 0.4 <= found.interval["sentence_truth"][1]
    assert by_kind(found)["count"] == {"queries": 2, "R@1": 1.0, "sentence_truth": 0.25}


class Shelf:
    """Records of two pictures."""

    def record(self, image_id):
        animal = {"species": "dog", "coat": "white" if image_id == "t" else "brown"}
        scene = {"animals": [{**animal, "accessory": ""}], "action": "sitting", "setting": "snow"}
        return {"record": {**scene, "time": "day", "weather": "clear", "prop": ""}}


def drawn(text="make it white"):
    return Triplet(
        query_id="q",
        reference_id="r",
        modification=text,
        target_ids=("t",),
        kind="colour",
        intersection="a white dog sitting",
        conclusion="a white dog sitting",
    )


def test_a_rationale_is_checked_against_the_records():
    said = Rationale(
        caption="a brown dog sitting in the snow",
        reasoning="change dog coat brown to white . leave out in the forest .",
        conclusion="a white dog sitting",
    )
    composed = Composed(vector=np.ones(3, np.float32), space="s", rationale=said)
    row = Rows(Shelf(), "fables").row(drawn(), ["x", "t"], composed)
    assert [ok for *_, ok in row["statements"]] == [True, True, False, True]
    assert row["conclusion_match"] == 1.0 and row["rank"] == 2 and row["phrasing"] == "seen"
    assert "statements" not in Rows(Shelf(), "photographs").row(drawn(), ["t"], composed)
    unseen = Rows(Shelf(), "fables").row(drawn("could the dog be white"), ["t"], None)
    assert unseen["phrasing"] == "unseen"


# --- blames -------------------------------------------------------------------------------


def missed(**changes):
    """A row of setr that has its target second, judged, found third by the coarse list."""
    row = {
        "query_id": "q",
        "kind": "colour",
        "rank": 2,
        "coarse_rank": 3,
        "judged": [[0.2, False], [0.9, False], [0.8, True]],
        "description": "a white dog",
        "truth": "a white dog sitting",
    }
    return row | changes


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"rank": 1}, None),
        ({}, "judge wrong"),
        ({"coarse_rank": 1}, "re-rank inversion"),
        ({"judged": [[0.9, False]], "rank": 60, "coarse_rank": 60}, "coarse miss"),
        ({"judged": [[0.9, False]], "rank": None, "coarse_rank": None}, "coarse miss"),
        # the first stage that could have prevented it is to blame, whatever else went wrong
        ({"rank_with_truth": 1}, "description dropped a needed cue"),
        ({"rank_with_truth": 1, "coarse_rank": 1}, "description dropped a needed cue"),
        (
            {"rank_with_truth": 40, "rank": 60, "judged": [[0.9, False]]},
            "description dropped a needed cue",
        ),
        ({"rank": None, "rank_with_truth": 900}, "description dropped a needed cue"),
        # a description that did no harm is not to blame
        ({"rank_with_truth": 2}, "judge wrong"),
        ({"rank_with_truth": None}, "judge wrong"),
        ({"rank_with_truth": 3, "coarse_rank": 1}, "re-rank inversion"),
    ],
)
def test_each_miss_has_one_blame(changes, expected):
    assert blame(missed(**changes)) == expected


def test_counts_and_table():
    rows = [
        missed(rank=1),
        missed(),
        missed(kind="count", coarse_rank=1),
        missed(kind="count", rank_with_truth=1),
    ]
    found = analyse(rows)
    assert (found["queries"], found["missed"]) == (4, 3)
    assert sum(found["counts"].values()) == 3 and set(found["counts"]) == set(BLAMES)
    assert found["by_kind"]["colour"] == {"queries": 2, "missed": 1, "judge wrong": 1}
    assert found["errors"][0]["lost_cues"] == ["sitting"]
    lines = table(found).splitlines()
    assert lines[-1] == "| all | 4 | 3 | 1 | 0 | 1 | 1 |"


def test_lost_cues():
    truth = "two brown dogs with hats hugging in the snow"
    assert lost_cues(truth, truth) == []
    assert lost_cues("two brown dogs hugging in the snow", truth) == ["with hats"]
    assert lost_cues("two white dogs with hats hugging in the snow", truth) == ["two brown dogs"]
    assert lost_cues("a cat and a dog", "a cat and a dog and a dog") == ["and a dog"]
    assert lost_cues(truth + " at night", truth) == []  # too much is not too little


class Forgetful(ScriptedWriter):
    """Writes blue, whatever was asked for."""

    def write(self, query, mode):
        return Description(text="blue", mode=mode, writer=self.identity)


def test_the_true_description_is_tried_where_the_written_one_lacks_a_cue():
    # the judge is sure of blue; told of green it is sure of green
    class Told(ScriptedJudge):
        def judge(self, query, candidates, wanted=""):
            self.script = {wanted: 0.9}
            return super().judge(query, candidates, wanted)

    judge = Told({})
    engine = fake_engine(writer=Forgetful(), judge=judge)
    setr, fused = evaluate(engine, "fables", "test", ["setr"], 1, captions=False)
    assert judge.wanted == ["blue", "green"]
    row = setr.rows[0]
    assert row["top"][0] == "blue" and row["rank"] > 1
    assert row["rank_with_truth"] == 1 and row["first"] == "blue" and row["target"] == "green"
    assert blame(row) == "description dropped a needed cue"
    assert "judged" not in fused.rows[0]
    report = measure(engine, "fables", methods=["setr"], limit=1, captions=False)
    answer = report_json(report, gallery=9, extra={"x": 1})
    assert answer["errors"]["counts"]["description dropped a needed cue"] == 1
    assert answer["extra"] == {"x": 1} and answer["skipped"] == {}


# --- tables -------------------------------------------------------------------------------


def test_the_table_is_narrow_and_has_the_gap():
    report = report_json(measure(fake_engine(), "fables"), gallery=9)
    text = markdown(report)
    header = text.splitlines()[0]
    assert header == (
        "| method | R@1 | R@5 | R@10 | R@50 | R_subset@1 | mAP@10 | gap | text exact | judge AUC "
        "/ ECE |"
    )
    assert max(map(len, text.splitlines()[:-2])) <= 120
    setr = next(line for line in text.splitlines() if line.startswith("| setr |")).split(" | ")
    assert setr[1] == "50.0 [0.0, 100.0]"
    found = [float(v) for v in setr[-1].strip(" |").split(" / ")]
    means = report["methods"]["setr"]
    assert found == pytest.approx([means["judge_AUC"], means["judge_ECE"]], abs=5e-4)
