"""Reports and replay bundles: what was found can be shown again with no model, and recomputed."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cirdemo import asked, replay, report
from cirdemo.cli import main
from cirdemo.export import search_json
from cirdemo.prompts import prompt_hash
from cirdemo.steer import Steer
from cirdemo.types import BadInput, Candidate, Heatmap, Ranking, Rationale
from tests.fakes import ScriptedJudge, fake_engine


def searched(engine, **options):
    query = engine.make_query(text="green", reference_id="red")
    *_, result = engine.search(query, **options)
    return result


def heat(image_id, spot):
    values = np.zeros((3, 3), np.float32)
    values[spot] = 1
    return Heatmap(
        image_id=image_id, text="green", kind="similarity", values=values, value_range=(0.1, 0.4)
    )


MAPS = {"green": [heat("green", (0, 0)), heat("green", (2, 2))]}


@pytest.fixture
def engine():
    return fake_engine()


def rewritten(data, **changes):
    """The bundle with other top-level entries in result.json."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name == "result.json":
                text = json.dumps({**json.loads(text), **changes})
            new.writestr(name, text)
    return out.getvalue()


def test_a_bundle_gives_the_result_back(engine):
    result = searched(engine)
    shelf = engine.gallery("fables")
    options = {"gallery": "fables", "rerank": 50}
    data = replay.bundle(result, shelf, options, maps=MAPS, targets=("green",))
    found = replay.load(data)
    assert search_json(found.result) == search_json(result)
    assert found.result.judgements == dict(result.judgements)
    assert found.result.descriptions == dict(result.descriptions)  # prompts and cues too
    assert found.options == options and found.targets == ("green",) and found.exact
    assert np.array_equal(found.maps["green"][1].values, MAPS["green"][1].values)
    assert found.gallery.record("green") == {"caption": "a green square"}
    assert np.array(found.gallery.image("green")).mean(axis=(0, 1)).argmax() == 1
    assert found.facts["prompts"]["hash"] == prompt_hash()
    assert "green" in found.facts["prompts"]["judge"]


def test_equal_results_make_equal_files(engine):
    result, shelf = searched(engine), engine.gallery("fables")
    assert replay.bundle(result, shelf) == replay.bundle(result, shelf)


def test_hashes_alone_show_boxes_in_place_of_pictures(engine):
    result, shelf = searched(engine), engine.gallery("fables")
    data = replay.bundle(result, shelf, {}, False)
    assert zipfile.ZipFile(io.BytesIO(data)).namelist() == ["result.json"]
    found = replay.load(data)
    assert not found.exact
    with pytest.raises(BadInput, match="does not hold its picture"):
        found.gallery.image("green")
    page = report.html(found.result, found.gallery)
    assert page.count('class="none"') == sum(len(r.ids) for r in result.coarse.values()) + 8
    told = found.facts["pictures"]["green"]["sha256"]
    assert told == replay.pixel_hash(shelf.image("green"))


def test_the_same_models_give_the_same_answer(engine):
    data = replay.bundle(searched(engine), engine.gallery("fables"), {"gallery": "fables"})
    told = replay.verify(replay.load(data), engine)
    assert told["same"] and told["differences"] == [] and told["not_repeated"] == []


def test_verify_names_what_differs(engine):
    shelf = engine.gallery("fables")
    data = replay.bundle(searched(engine), shelf, {"gallery": "fables", "later": 1})
    other = fake_engine(judge=ScriptedJudge({"green": 0.02, "blue": 0.7}))
    told = replay.verify(replay.load(data), other)
    assert not told["same"] and told["not_repeated"] == ["later"]
    what = {d["what"]: d for d in told["differences"]}
    assert set(what) == {"P(Yes)", "re-ranked list"}
    assert what["re-ranked list"]["then"] == "rank 1: green"
    assert what["re-ranked list"]["now"] == "rank 1: blue"


def test_verify_sees_other_pictures_and_prompts(engine):
    data = replay.bundle(searched(engine), engine.gallery("fables"), {"gallery": "fables"})
    facts = replay.load(data).facts
    pictures = {**facts["pictures"], "green": {**facts["pictures"]["green"], "sha256": "0" * 64}}
    pictures["gone"] = {"sha256": "1" * 64, "file": None, "caption": ""}
    changed = rewritten(data, pictures=pictures, prompts={**facts["prompts"], "hash": "old"})
    what = [d["what"] for d in replay.verify(replay.load(changed), engine)["differences"]]
    assert what == ["pictures missing here", "pictures with other pixels", "prompts"]


def test_an_uploaded_reference_is_stored_without_loss(engine):
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 255, (40, 30, 3), np.uint8))
    query = engine.make_query(text="green", reference=noise)
    *_, result = engine.search(query)
    shelf = engine.gallery("fables")
    found = replay.load(replay.bundle(result, shelf))
    assert found.exact and np.array_equal(np.array(found.result.query.reference), np.array(noise))
    assert replay.verify(found, engine)["same"]
    bare = replay.load(replay.bundle(result, shelf, {}, False))
    with pytest.raises(BadInput, match="--image"):
        replay.verify(bare, engine)
    assert replay.verify(bare, engine, noise)["same"]
    told = replay.verify(bare, engine, Image.new("RGB", (30, 40), "red"))
    assert told["differences"][0]["what"] == "reference image"


def test_descriptions_of_the_user_are_repeated(engine):
    result = searched(engine, descriptions={"union": "blue", "intersection": "blue"})
    found = replay.load(replay.bundle(result, engine.gallery("fables"), {"gallery": "fables"}))
    assert found.options["descriptions"] == {"union": "blue", "intersection": "blue"}
    assert replay.verify(found, engine)["same"]


def test_what_was_done_by_hand_is_repeated(engine):
    options = {"gallery": "fables", "steer": Steer(more=("blue",)), "region": "ignore:1"}
    options["thoughts"] = Rationale(caption="a red square", reasoning="", conclusion="")
    query = engine.make_query(text="green", reference_id="red")
    *_, result = engine.search(query, steer=options["steer"], thoughts=options["thoughts"])
    found = replay.load(replay.bundle(result, engine.gallery("fables"), options))
    told = replay.verify(found, engine)
    assert told["same"] and told["not_repeated"] == ["region"]  # its pixels are the reference's
    plain = {**found.options, "steer": None}
    other = replace(found, options=plain)
    what = [d["what"] for d in replay.verify(other, engine)["differences"]]
    assert "list union" in what or "scores of union" in what


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no replay bundle"),
        (b"PK\x03\x04 broken", "no replay bundle"),
        ("other", "no replay bundle"),
        ("later", "version 99"),
        ("damaged", "damaged"),
        ("locked", "no replay bundle"),
        ("torn", "no replay bundle"),
    ],
)
def test_what_is_no_bundle_is_told(engine, data, says):
    good = replay.bundle(searched(engine), engine.gallery("fables"))
    made = {
        "other": lambda: rewritten(good, format="else"),
        "later": lambda: rewritten(good, version=99),
        "damaged": lambda: rewritten(good, coarse={"union": [{"image": 3}]}),
        "locked": lambda: locked(good),
        "torn": lambda: good[:60] + b"\0" * 40 + good[100:],
    }
    with pytest.raises(BadInput, match=says):
        replay.load(data if isinstance(data, bytes) else made[data]())


def locked(data):
    """The archive with entries that say they are encrypted."""
    parts = data.split(b"PK\x01\x02")
    return b"PK\x01\x02".join([parts[0], *(p[:4] + b"\1" + p[5:] for p in parts[1:])])


def test_a_zip_bomb_is_not_unpacked():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("result.json", b" " * (65 << 20))
    with pytest.raises(BadInput, match="more than 64 MiB"):
        replay.load(out.getvalue())


def test_the_report_shows_every_stage_and_escapes_it(engine):
    result, shelf = searched(engine), engine.gallery("fables")
    page = report.html(result, shelf, MAPS, targets=("green",))
    for words in ("Descriptions", "Coarse", "heatmap", "Re-ranked", "Reasoning", "asked the judge"):
        assert words in page, words
    assert 'class="flow"' in page and "known target" in page and "difference" in page
    assert "<script" not in page and "://" not in page and 'src="/' not in page
    assert report.best_ranks(result, ("green",))["re-ranked"] == (1, len(result.reranked))
    query = engine.make_query(text="green < b & c", reference_id="red")
    (first, *_) = engine.search(query)
    page = report.html(first, shelf)  # only described so far
    assert "green &lt; b &amp; c" in page and "Re-ranked" not in page


def test_the_report_says_how_its_numbers_were_made(engine):
    shelf, query = engine.gallery("fables"), engine.make_query(text="green", reference_id="red")
    options = {
        "rerank_on": "intersection",
        "fuse": True,
        "descriptions": {"union": "a green thing"},
        "thoughts": Rationale(caption="a red square", reasoning="make it green", conclusion=""),
        "steer": Steer(without=("a hat",)),
    }
    *_, result = engine.search(query, **options)
    result = replace(result, remembered=frozenset({"describe"}), tuned=False)
    page = report.html(
        result, shelf, options={**options, "threshold": 0.3}, told=["The union is ahead."]
    )
    rows = dict(asked.settings(result, options))
    assert rows["judge"] == "LoRA adapter off"
    assert rows["ordered by"] == "P(Yes) fused with the coarse score"
    assert rows["union description"] == "written by you"
    assert rows["reasoning"].startswith("reasoning written by you; caption before it kept")
    assert rows["turned against by you"] == "a hat"
    assert all(said in page for pair in rows.items() for said in pair)
    assert (
        "0.30; verdicts below" in page
        and "≠</b>" in page
        and "What happened</h2><p>The union is ahead." in page
    )
    assert page.count('class="mine"') == 2 and "<small>remembered</small>" in page
    stored = replay.load(replay.bundle(result, shelf, options))
    assert asked.settings(stored.result, stored.options) == asked.settings(result, options)


def test_the_report_shows_a_target_from_further_down(engine):
    result, shelf = searched(engine), engine.gallery("fables")
    ids = [*(("red", "green", "blue") * 7)[:20], "white", "grey"]
    rows = tuple(Candidate(image_id=i, score=1 - n / 99, rank=n) for n, i in enumerate(ids, 1))
    ranking = Ranking(query_id="q", method="union", candidates=rows)
    result = replace(result, coarse={"union": ranking}, reranked=())
    page = report.html(result, shelf, targets=("white",))
    assert page.count('<li class="card') == 11 and '<span class="sr">rank </span>21<' in page
    assert f"beyond {len(ids)}" in report.html(result, shelf, targets=("elsewhere",))


def call(capsys, *words):
    status = main([*map(str, words), "--json"], make_engine=lambda settings: fake_engine())
    return status, json.loads(capsys.readouterr().out)


def test_from_the_command_line(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    bundle, page = tmp_path / "new" / "out.zip", tmp_path / "out.html"
    words = ("search", "green", "--reference-id", "red", "--top", 5, "--bundle", bundle)
    status, said = call(capsys, *words)
    assert status == 0 and said["bundle"] == str(bundle)
    status, again = call(capsys, "replay", bundle, "--report", page, "--verify")
    assert status == 0 and again["verify"]["same"] and again["reranked"] == said["reranked"]
    assert again["coarse"] == said["coarse"] and "<title>cirdemo: green" in page.read_text()
    assert main(["replay", str(bundle)], make_engine=None) == 0  # no engine is built
    assert "intersection: green" in capsys.readouterr().out
    bundle.write_bytes(bundle.read_bytes()[:200])
    status, said = call(capsys, "replay", bundle)
    assert status == 2 and "no replay bundle" in said["error"]["message"]
    assert call(capsys, "replay", tmp_path / "none.zip")[1]["error"]["type"] == "BadInput"
