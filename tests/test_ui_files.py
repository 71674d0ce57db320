"""The page Files of the Benchmark tab: its events called as methods, and once in a browser."""

import html
import json
import re
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
from fake_ui_engine import FakeEngine
from playwright.sync_api import expect

from cirdemo.submission.annotations import place_of
from cirdemo.submission.files import read
from cirdemo.ui.benchmark import files as benchmark_files
from cirdemo.ui.benchmark.files import FilesHandlers
from cirdemo.ui.benchmark.files_views import NOTHING
from cirdemo.ui.context import Context
from cirdemo.ui.shelf import Library
from tests.fixtures_benchmarks import write
from tests.fixtures_submissions import (
    circo_file,
    circo_root,
    cirr_files,
    cirr_root,
    dumped,
)

SHOWN = ("close", "checks", "moved", "doubted")  # each only where there is something for it


@pytest.fixture
def handlers(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")  # nothing is found by chance
    monkeypatch.setenv("HOME", str(tmp_path / "empty"))
    engine = FakeEngine(tmp_path)
    context = Context(engine=engine, library=Library(engine), gallery=None, view=None, public=True)
    return FilesHandlers(context)


@pytest.fixture
def paths(tmp_path):
    """Annotations of val, two runs of it with their subset file, and one of CIRCO."""
    root = cirr_root(tmp_path / "cirr", "val", "dev")
    recall, subset = cirr_files("dev")
    better = {k: [v[1], v[0], *v[2:]] if len(v) == 50 else v for k, v in recall.items()}
    circo = circo_root(tmp_path / "circo")
    return {
        "captions": root / "captions/cap.rc2.val.json",
        "split": root / "image_splits/split.rc2.val.json",
        "recall": dumped(tmp_path / "recall.json", recall),
        "subset": dumped(tmp_path / "subset.json", subset),
        "better": dumped(tmp_path / "better.json", better),
        "circo": dumped(tmp_path / "circo.json", circo_file()),
        "val": circo / "annotations/val.json",
    }


def opened(handlers, *paths):
    names = ("kept", "checked", "scores", "a", "b", "analysis", "doubts", *SHOWN)
    return SimpleNamespace(
        **dict(zip(names, handlers.open(None, [str(p) for p in paths]), strict=True))
    )


def shown(told):
    """Names of what is shown beside the cards."""
    return [n for n in SHOWN if getattr(told, n)["visible"]]


def chosen(handlers, kept, **told):
    return handlers.vote(kept, SimpleNamespace(_data=told))


def test_annotations_are_told_from_runs():
    assert place_of("cap.rc2.val.json", b"") == Path("cirr/captions/cap.rc2.val.json")
    assert place_of("split.dress.val.json", b"") == Path(
        "fashioniq/image_splits/split.dress.val.json"
    )
    assert place_of("val.json", b'[{"reference_img_id": 1') == Path("circo/annotations/val.json")
    captions = b'[{"candidate": "a", "captions": ["b"]}]'
    assert place_of("val.json", captions) == Path("cirr/mllm_captions/val.json")
    assert place_of("val.json", b'{"0": [1]}') is None
    assert place_of("../cap.rc2.val.json", b"") is None


def test_files_are_checked_scored_and_compared(handlers, paths):
    some = [paths[n] for n in ("captions", "split", "recall", "subset", "better")]
    found = opened(handlers, *some)
    assert found.checked.count("accepted") == 3 and "not checked" not in found.checked
    assert "recall.json and subset.json" in found.scores
    assert "hard-target" in found.scores and "soft-label" in found.scores
    assert "have soft labels on more than one picture" in found.scores  # a fact, beside them
    assert (found.a["value"], found.b["value"]) == ("recall.json", "better.json")
    assert "A 2-5 to B 1: 40 queries" in found.analysis and "Pool ceiling" in found.analysis
    assert "40 queries have another picture above the target" in found.doubts
    write(paths["captions"].parents[1] / "mllm_captions/val.json", [
        {"candidate": "dev-1-0-img0", "captions": ["A dog & a cat."]}])  # fmt: skip
    again = opened(handlers, *some, paths["captions"].parents[1] / "mllm_captions/val.json")
    assert "A dog &amp; a cat." in again.doubts and "A dog" not in found.doubts
    assert "subset.json" in handlers.analyse(found.kept, "recall.json", "subset.json")
    same = handlers.analyse(found.kept, "recall.json", "recall.json")
    assert "Open two runs" in same and found.kept.analysis is None


def test_only_what_has_something_to_show_is_shown(handlers, paths):
    two = opened(handlers, *(paths[n] for n in ("captions", "split", "recall", "better")))
    assert shown(two) == [*SHOWN]
    assert "Opened along: cap.rc2.val.json, split.rc2.val.json." in two.checked
    halves = opened(handlers, *(paths[n] for n in ("captions", "split", "recall", "subset")))
    assert "moved" not in shown(halves)  # the two files of one submission are no two runs
    assert shown(opened(handlers, paths["circo"])) == ["close", "checks"]  # no annotations
    alone = opened(handlers, paths["captions"])
    assert shown(alone) == ["close", "checks"]
    assert "Opened along: cap.rc2.val.json." in alone.checked and NOTHING in alone.checked
    assert [u["visible"] for u in handlers.close()[-4:]] == [False] * 4


@pytest.mark.parametrize("dataset", ["cirr", "circo", "fashioniq"])
def test_the_forms_that_are_shown_are_those_that_are_read(dataset):
    """Each example, its dots filled in, is told for what it is."""
    (told,) = (
        html.unescape(t)
        for t in re.findall(r"<pre[^>]*>(.*?)</pre>", NOTHING, re.DOTALL)
        if {"cirr": "rc2", "circo": "532512", "fashioniq": "dress"}[dataset] in t
    )
    found = read(
        re.sub(r", …( 50)?|…", "", re.sub(r",\s*…\s*}", "}", told)).encode(), name="x.json"
    )
    assert found.dataset == dataset and found.lists


def test_faults_are_listed_and_what_was_not_checked(handlers, tmp_path):
    recall, _ = cirr_files()
    recall["12007"] = recall["12007"][:49]
    found = opened(handlers, dumped(tmp_path / "<b>.json", recall))
    assert "1 fault" in found.checked and "12007 (49)" in found.checked
    assert "cap.rc2.test1.json and split.rc2.test1.json" in found.checked
    assert "&lt;b&gt;.json" in found.checked and "<b>.json" not in found.checked
    assert "The annotations are not here" in found.scores
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    found = opened(handlers, broken)
    assert "not JSON" in found.checked and found.kept.runs == {}
    with pytest.raises(gr.Error, match="Nothing was opened"):
        handlers.open(found.kept, None)
    assert handlers.close()[0] is None


def test_votes_go_out_and_come_in(handlers, paths, tmp_path):
    circo = json.loads(paths["circo"].read_text())
    circo["7"] = circo["7"][::-1]
    circo["9"] = circo["9"][::-1]
    path = dumped(tmp_path / "run.json", circo)
    found = opened(handlers, paths["val"], path)
    assert "2 queries have another picture" in found.doubts
    key = found.kept.doubts[0].key
    kept, page = chosen(handlers, found.kept, action="vote", id=key, value="right")
    assert kept.votes == {key: "right"} and "1 votes so far, 1 of them" in page
    kept, _ = chosen(handlers, kept, action="vote", id="nothing", value="right")
    kept, _ = chosen(handlers, kept, action="vote", id=key, value="maybe")
    assert kept.votes == {key: "right"}
    out = Path(handlers.file(kept, "votes")["value"])
    again = opened(handlers, paths["val"], path, out)
    assert again.kept.votes == {key: "right"} and 'aria-pressed="true"' in again.doubts
    kept, _ = chosen(handlers, again.kept, action="vote", id=key, value="right")
    assert kept.votes == {}  # the same again takes it back
    kept, _ = chosen(handlers, kept, action="page", value="5")
    assert kept.page == 0  # there is one page


def test_files_are_opened_beside_those_that_are(handlers, paths, tmp_path):
    kept = opened(handlers, paths["recall"]).kept
    assert kept.scores[0]["reason"] and kept.analysis is None
    told = handlers.open(kept, [str(paths[n]) for n in ("captions", "split", "better")])
    assert told[0] is kept and set(kept.runs) == {"recall.json", "better.json"}
    assert "R@1" in kept.scores[0]["metrics"] and kept.analysis["pool"]["R@1 of B"] == 1.0
    (tmp_path / "other").mkdir()
    mended = dumped(tmp_path / "other/better.json", json.loads(paths["recall"].read_text()))
    handlers.open(kept, [str(mended)])
    assert len(kept.sources) == 2 and kept.analysis["pool"]["R@1 of B"] == 0.0
    both = opened(handlers, mended, paths["better"]).kept  # two of one name at once stay two
    assert set(both.sources) == {"better.json", "another better.json"}


def test_downloads(handlers, paths):
    some = [paths[n] for n in ("captions", "split", "recall", "better")]
    kept = opened(handlers, *some).kept
    read = {k: Path(handlers.file(kept, k)["value"]) for k in ("checks", "analysis", "markdown")}
    assert json.loads(read["checks"].read_text())["files"][0]["accepted"]
    assert json.loads(read["analysis"].read_text())["pool"]["R@1 of B"] == 1.0
    assert read["markdown"].read_text().startswith("# recall.json -> better.json")
    alone = opened(handlers, paths["circo"]).kept
    for kind in ("analysis", "votes"):
        with pytest.raises(gr.Error):
            handlers.file(alone, kind)
    with pytest.raises(gr.Error, match="Open files first"):
        handlers.file(None, "checks")


def test_too_much_is_refused(handlers, paths, monkeypatch):
    monkeypatch.setattr(benchmark_files, "LARGEST", 1000)
    with pytest.raises(gr.Error, match="at most 12 files"):
        opened(handlers, paths["recall"])


@pytest.mark.browser
def test_the_page_in_a_browser(page, paths):
    page.get_by_role("tab", name="Benchmark", exact=True).click()
    page.locator("#bench-pages").get_by_role("tab", name="Files", exact=True).first.click()
    expect(page.locator("#bench-files-checked")).to_contain_text('"metric": "recall"')
    for name in ("close", "get-checks", "a", "get-votes"):  # they need a file
        expect(page.locator(f"#bench-files-{name}")).to_have_count(0)
    with page.expect_file_chooser() as choice:
        page.locator("#bench-files-open").click()
    choice.value.set_files([paths[n] for n in ("captions", "split", "recall", "better")])
    page.locator("#bench-files-checked", has_text="accepted").wait_for()
    page.locator("#bench-files-analysis svg.flow").wait_for()
    vote = page.locator("#bench-files-doubts button", has_text="right too").first
    vote.click()
    page.locator('#bench-files-doubts button[aria-pressed="true"]').wait_for()
    with page.expect_download() as waited:
        page.locator("#bench-files-get-votes").click()
    told = json.loads(Path(waited.value.path()).read_text())
    assert [d["vote"] for d in told["doubts"]].count("right") == 1
    page.locator("#bench-files-close").click()
    expect(page.locator("#bench-files-analysis")).to_have_count(0)
    expect(page.locator("#bench-files-checked")).to_contain_text('"metric": "recall"')
