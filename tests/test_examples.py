"""Examples are picked by outcome, once a reference, and carry no answer."""

from __future__ import annotations

from cirdemo.examples import METHODS, pick
from cirdemo.types import Triplet


def outcome(number: int, kind: str = "colour", text: str = "make it white", **ranks: int):
    triplet = Triplet(
        query_id=f"q{number}",
        reference_id=f"r{number}",
        modification=text,
        target_ids=("t",),
        kind=kind,
    )
    rows = {m: {"rank": ranks.get(m, 5)} for m in METHODS}
    for mode in ("union", "intersection"):
        rows[mode]["description_match"] = 1.0
    return {"triplet": triplet, "kind": kind, **rows}


def test_stories_follow_from_ranks():
    dragged = outcome(1, union=40, intersection=1, setr=1)
    rescued = outcome(2, union=30, intersection=25, setr=1)
    erred = outcome(3, union=1, intersection=1, setr=9)
    plain = outcome(4)
    thought = outcome(5, cot=1, cot_direct=4)
    found = pick({"fables": [plain, erred, rescued, dragged, thought]})
    stories = {e["query_id"]: e["label"] for e in found if e["query_id"]}
    assert stories == {
        "q1": "union is dragged along by the surroundings",
        "q2": "the judge rescues it from far down",
        "q3": "the judge errs",
        "q5": "thinking first finds it",
    }


def test_shorter_texts_first_and_a_reference_once():
    long = outcome(1, text="would you please make it white now", union=40, intersection=1, setr=1)
    short = outcome(2, text="in white", union=40, intersection=1, setr=1)
    twice = {**outcome(3, text="white", union=40, intersection=1, setr=1)}
    twice["triplet"] = Triplet(
        query_id="q3", reference_id="r2", modification="white", target_ids=("t",), kind="count"
    )
    found = [e for e in pick({"fables": [long, short, twice]}) if e["query_id"]]
    assert [e["query_id"] for e in found] == ["q3", "q1"]


def test_a_missing_rank_is_far_and_no_answer_is_stored():
    lost = outcome(1, union=40, intersection=40, setr=40, cot=40)
    lost["setr"]["rank"] = None
    found = pick({"fables": [lost]})
    assert found[0]["label"] == "nobody finds it"
    assert set(found[0]) == {"gallery", "query_id", "reference_id", "modification", "label"}
    assert [e["label"] for e in found[1:]] == ["words the models do not know", "an impossible edit"]
