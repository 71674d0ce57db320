"""Packed rows: what goes in comes out, the same bytes each time, and bad files are told."""

import gzip
import json

import pytest

from cirdemo.evaluate import Measurement
from cirdemo.evaluate.errors import COARSE
from cirdemo.evaluate.packed import PACKED, pack, probability, unpack
from cirdemo.export import report_json
from cirdemo.results import write
from cirdemo.types import BadInput, CirError
from tests.fakes import ScriptedJudge, fake_engine

METHODS = ["intersection", "setr", "cot"]


@pytest.fixture(scope="module")
def made():
    engine = fake_engine(judge=ScriptedJudge({"white": 0.9, "yellow": 0.8, "green": 0.3}))
    run = Measurement(engine, "fables", "test", METHODS)
    while run.step(1):
        pass
    report = run.report()
    rows = {e.method: e.rows for e in report.evaluations}
    return report_json(report, gallery=run.gallery), report.queries, rows


def test_what_goes_in_comes_out(made):
    report, queries, rows = made
    found = unpack(pack(report, queries, rows))
    assert (found.dataset, found.split, found.temperature) == ("fables", "test", 1.0)
    assert set(found.methods) == {"intersection", "setr", "setr_fused", "cot"}
    assert [c.query_id for c in found.cases] == ["q1", "q2"]
    first = found.cases[0]
    assert (first.reference_id, first.text, first.kind) == ("red", "green", "colour")
    assert first.target_ids == ("green",) and "white" in first.subset_ids
    assert first.truths == {"union": "red green", "intersection": "green"}
    for name in found.methods:
        assert [c.ranks[name] for c in found.cases] == [row["rank"] for row in rows[name]]
        assert first.tops[name] == tuple(rows[name][0]["top"][:5])
    assert first.texts["setr"] == first.texts["intersection"] == "green"
    assert first.ranks["setr"] == 3 and first.blame == "re-rank inversion"
    assert first.tops["setr"][:3] == ("white", "yellow", "green")
    assert first.was[2] == 1  # green was first in the coarse list
    assert first.target_p == pytest.approx(0.3, abs=1e-3)
    assert first.first_p == pytest.approx(0.9, abs=1e-3)
    judged = rows["setr"][0]["judged"]
    said = [p for p, _ in judged]
    assert [probability(m) for m in first.margins] == pytest.approx(said, abs=1e-3)
    pairs = [pair for row in rows["setr"] for pair in row["judged"]]
    assert [ok for _, ok in found.judged] == [ok for _, ok in pairs]


def test_the_same_evaluation_gives_the_same_bytes(made, tmp_path):
    report, queries, rows = made
    files = write(tmp_path, report, rows, "command", queries)
    (packed,) = [f for f in files if f.name.endswith(PACKED)]
    assert packed.read_bytes() == pack(report, queries, rows)
    assert report["made"]["models"]["judge"] == "scripted-judge"
    assert report["made"]["models"]["intersection"] == "scripted-writer"
    assert report["planned"] == 2


def test_rows_without_a_judge_have_no_margins(made):
    report, queries, rows = made
    found = unpack(pack(report, queries, {"cot": rows["cot"], "caption": [{"image_id": "a"}]}))
    assert found.methods == ("cot",) and found.judged == []
    assert found.cases[0].target_p is None and found.cases[0].blame is None


def test_older_rows_give_their_margins_back(made):
    report, queries, rows = made
    old = [{k: v for k, v in row.items() if k not in ("margins", "was")} for row in rows["setr"]]
    found = unpack(pack(report, queries, {"setr": old}))
    assert found.cases[0].first_p == pytest.approx(0.9, abs=1e-3)
    assert found.cases[0].was == ()


def _change(data, **changes):
    return gzip.compress(json.dumps({**json.loads(gzip.decompress(data)), **changes}).encode())


def test_what_is_no_evaluation_is_told(made):
    good = pack(*made)
    bad = (
        b"", b"PK\x03\x04", good[: len(good) // 2], gzip.compress(b"[1, 2]"),
        gzip.compress(b"{}"), _change(good, ids=[]), _change(good, methods={"a": {}}),
        _change(good, query={"id": ["x"]}), _change(good, methods=3),
    )  # fmt: skip
    for data in bad:
        with pytest.raises(BadInput, match="no rows of an evaluation"):
            unpack(data)
    with pytest.raises(BadInput, match="later version"):
        unpack(_change(good, format=99))


def test_a_bomb_is_not_unpacked(made, monkeypatch):
    monkeypatch.setattr("cirdemo.evaluate.packed.LARGEST", 100)
    with pytest.raises(BadInput, match="is not read"):
        unpack(pack(*made))


def test_a_measurement_can_stop_after_any_step():
    run = Measurement(fake_engine(), "fables", "test", ["text", "setr"])
    with pytest.raises(CirError, match="No query"):
        run.report()
    assert run.step(1) is True
    part = run.report()
    assert [len(e.rows) for e in part.evaluations] == [1, 1, 1]
    assert (len(part.queries), part.planned) == (1, 2)
    assert run.step(5) is False and run.done == 2
    assert len(run.report().queries) == 2


def test_a_coarse_miss_is_told(monkeypatch):
    monkeypatch.setattr("cirdemo.evaluate.run.DEPTH", 1)
    run = Measurement(fake_engine(judge=ScriptedJudge({})), "fables", "test", ["setr"])
    run.step()
    report = run.report()
    rows = {e.method: e.rows for e in report.evaluations}
    cases = unpack(pack(report_json(report, gallery=9), report.queries, rows)).cases
    assert {c.blame for c in cases} <= {None, COARSE}
