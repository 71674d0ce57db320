"""A file of queries: answered in order, each on its own, going on where it stopped."""

import json

import pytest
from PIL import Image

from cirdemo import batch
from cirdemo.cli import main
from cirdemo.types import BadInput
from tests.fakes import fake_engine

GOOD = {"reference_id": "red", "text": "green", "id": "a", "options": {"rerank": 3, "top": 2}}


def written(path, *rows):
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows) + "\n")
    return path


def told(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_line_gets_its_answer_in_order(tmp_path):
    Image.new("RGB", (32, 32), "red").save(tmp_path / "mine.png")
    source = written(
        tmp_path / "in.jsonl",
        GOOD,
        "not json",
        "",
        {"image": "mine.png", "text": "green", "options": {"methods": ["text"], "reason": False}},
        {"reference_id": "rde", "text": "green"},
        {"image": "none.png", "text": "green"},
        {"reference_id": "red", "text": "green", "options": {"rerank": "many"}},
        {"reference_id": "red", "text": "green", "optoins": {}},
        [1],
    )
    seen = []
    out = tmp_path / "new" / "out.jsonl"
    done = batch.run(
        fake_engine(),
        source,
        out,
        reports=tmp_path / "pages",
        progress=lambda what, n, of: seen.append((n, of)),
    )
    assert done == {"lines": 8, "answered": 8, "skipped": 0, "errors": 6}
    rows = told(out)
    assert [r["line"] for r in rows] == list(range(1, 9)) == [n for n, _ in seen]
    assert rows[0]["id"] == "a" and len(rows[0]["coarse"]["union"]) == 2
    assert len(rows[0]["reranked"]) == 3 and rows[0]["reranked"][0]["image_id"] == "green"
    assert rows[2]["query"]["reference_id"] is None and list(rows[2]["coarse"]) == [
        "text",
        "intersection",
    ]
    errors = [r.get("error", {}).get("message", "") for r in rows]
    for line, says in (
        (2, "not JSON"),
        (4, "Did you mean 'red'"),
        (5, "none.png"),
        (6, "'rerank' must be of type int"),
        (7, "Did you mean 'options'"),
        (8, "not a JSON object"),
    ):
        assert says in errors[line - 1]
    assert sorted(p.name for p in (tmp_path / "pages").iterdir()) == ["0001.html", "0003.html"]


def test_it_goes_on_after_the_last_whole_answer(tmp_path):
    source = written(tmp_path / "in.jsonl", GOOD, {**GOOD, "id": "b"}, {**GOOD, "id": "c"})
    out = tmp_path / "out.jsonl"
    batch.run(fake_engine(), source, out)
    whole = out.read_text()
    out.write_text(whole[: whole.index('{"line": 3') + 25])  # stopped in the middle of the third
    done = batch.run(fake_engine(), source, out)
    assert (done["answered"], done["skipped"]) == (1, 2)
    assert [r["id"] for r in told(out)] == ["a", "b", "c"]
    assert batch.run(fake_engine(), source, out)["answered"] == 0


def test_what_was_answered_stands_when_it_is_stopped(tmp_path):
    source = written(tmp_path / "in.jsonl", GOOD, {**GOOD, "id": "b"})

    def stop(what, number, of):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        batch.run(fake_engine(), source, tmp_path / "out.jsonl", progress=stop)
    assert [r["id"] for r in told(tmp_path / "out.jsonl")] == ["a"]


def test_answers_of_other_questions_are_left_alone(tmp_path):
    out = tmp_path / "out.jsonl"
    batch.run(fake_engine(), written(tmp_path / "in.jsonl", GOOD), out)
    before = out.read_bytes()
    other = written(tmp_path / "other.jsonl", {**GOOD, "text": "blue"})
    with pytest.raises(BadInput, match="other questions"):
        batch.run(fake_engine(), other, out)
    assert out.read_bytes() == before


def test_a_bug_in_one_line_leaves_the_others(tmp_path, monkeypatch):
    engine = fake_engine()
    search = engine.search

    def breaks(query, **options):
        if query.modification == "blue":
            raise ZeroDivisionError("a bug")
        return search(query, **options)

    monkeypatch.setattr(engine, "search", breaks)
    source = written(tmp_path / "in.jsonl", {**GOOD, "text": "blue"}, GOOD)
    assert batch.run(engine, source, tmp_path / "out.jsonl")["errors"] == 1
    first, second = told(tmp_path / "out.jsonl")
    assert first["error"]["type"] == "ZeroDivisionError" and second["reranked"]


def test_from_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    source, out = written(tmp_path / "in.jsonl", GOOD), tmp_path / "out.jsonl"
    words = ["batch", str(source), str(out), "--json"]
    assert main(words, make_engine=lambda settings: fake_engine()) == 0
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert answer["answered"] == 1 and answer["errors"] == 0 and "queries: 1 of 1" in said.err
    source.write_text("\n")
    assert main(words, make_engine=lambda settings: fake_engine()) == 2
