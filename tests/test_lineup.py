"""All methods on one query: whole lists in turn, shared work done once, failures told."""

import math

import pytest
from fakes import ScriptedJudge, ScriptedWriter, fake_engine

from cirdemo.lineup import FUSED, Line, line_up, methods, overlap
from cirdemo.types import CirError, UnknownName


def lines(engine, **options):
    query = engine.make_query(text="green", reference_id="red", gallery="fables")
    return {line.method: line for line in line_up(engine, query, gallery="fables", **options)}


def test_every_method_has_a_whole_list_without_the_reference():
    engine = fake_engine()
    found = lines(engine)
    assert list(found) == list(methods(engine)) and set(engine.methods()) < set(found)
    for line in found.values():
        assert not line.reason and len(set(line.ids)) == 8 and "red" not in line.ids


def test_lists_are_those_of_a_search():
    engine = fake_engine(judge=ScriptedJudge({"white": 0.9, "green": 0.8}))
    found = lines(engine)
    query = engine.make_query(text="green", reference_id="red", gallery="fables")
    *_, result = engine.search(query, methods=["union", "rrf", "setr"], gallery="fables")
    for name in ("union", "rrf", "cot", "intersection"):
        assert found[name].ids == result.coarse[name].ids
    assert found["setr"].ids == tuple(r.image_id for r in result.reranked)
    assert found["setr"].ids[:2] == ("white", "green")
    *_, fused = engine.search(query, methods=["setr"], gallery="fables", fuse=True)
    assert found[FUSED].ids == tuple(r.image_id for r in fused.reranked)


def test_what_methods_share_is_done_once_and_on_everyones_bill():
    judge, writer = ScriptedJudge({"green": 0.9}), ScriptedWriter()
    found = lines(fake_engine(judge=judge, writer=writer))
    assert writer.calls == 2  # union and intersection, for all that rests on them
    assert len(judge.seen) == 1
    assert found["setr"].seconds >= found["intersection"].seconds > 0
    assert found["rrf"].seconds > found["cot"].seconds
    assert found["union"].text == "red green" and found["setr"].text == "green"
    assert found["cot"].text == "green" and found["image"].text == ""


def test_cheap_methods_come_before_those_that_reason():
    order = list(methods(fake_engine()))
    assert order.index("cot") < order.index("rrf") and order[-2:] == ["setr", FUSED]


def test_a_method_that_cannot_run_says_why_and_stops_no_other():
    class Falls:
        identity = "falls"

        def reason(self, query):
            raise CirError("The adapter is of another model.")

    found = lines(fake_engine(reasoner=Falls(), broken={"judge": "No adapter here."}))
    assert found["cot"].reason == found["rrf"].reason == "The adapter is of another model."
    assert found["setr"].reason == "No adapter here." and found["union"].ids

    found = lines(fake_engine(judge=ScriptedJudge({}, fail_at="white")))
    assert "incident" in found["setr"].reason and "fell over" not in found["setr"].reason
    assert found["cot"].ids
    assert lines(fake_engine(), names=["onion"])["onion"].reason


def test_an_unknown_gallery_is_told():
    engine = fake_engine()
    query = engine.make_query(text="green", reference_id="red")
    with pytest.raises(UnknownName):
        next(line_up(engine, query, gallery="moon"))


def test_ranks_of_targets():
    line = Line(method="m", ids=("a", "b", "c"))
    assert line.rank_of("b") == 2 and line.rank_of("x") is None
    assert line.best(["c", "b", "x"]) == 2 and line.best(["x"]) is None


def test_overlap_counts_what_the_heads_share():
    assert overlap("abcd", "dcba", 4) == 1 and overlap("abcd", "xyzw", 4) == 0
    assert overlap("abcd", "abxy", 4) == 0.5 == overlap("abxy", "abcd", 4)
    assert overlap("ab", "abcd", 10) == 1  # as long as the shorter one
    assert math.isnan(overlap("", "abc"))
