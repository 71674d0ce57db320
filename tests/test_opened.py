"""Evaluations from disk and from visitors: whole, in parts, and what is none."""

import json
import zipfile

import pytest

from cirdemo.evaluate import Measurement
from cirdemo.evaluate.opened import load, of_files, of_paths, of_report, stored
from cirdemo.export import report_json
from cirdemo.results import write
from cirdemo.types import BadInput
from tests.fakes import fake_engine


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What `evaluate --out` leaves."""
    run = Measurement(fake_engine(), "fables", "test", ["text", "image", "setr"])
    run.step()
    report = run.report()
    rows = {e.method: e.rows for e in report.evaluations}
    folder = tmp_path_factory.mktemp("results")
    write(folder, report_json(report, gallery=run.gallery), rows, "command", report.queries)
    return folder


def test_what_is_stored_opens_with_its_queries(folder):
    paths = stored(folder)
    assert list(paths) == ["fables-test"]
    found = load(paths["fables-test"])
    assert len(found.cases.cases) == found.report["queries"] == 2
    assert found.stem == "fables-test" and not found.partial


def test_without_the_rows_it_opens_all_the_same(folder, tmp_path):
    (tmp_path / "fables-test.json").write_bytes((folder / "fables-test.json").read_bytes())
    assert load(tmp_path / "fables-test.json").cases is None


def test_a_zip_of_the_folder_opens(folder, tmp_path):
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    assert of_paths([path]).cases is not None


def test_what_was_stopped_says_so():
    run = Measurement(fake_engine(), "fables", "test", ["text"])
    run.step(1)
    report = run.report()
    found = of_report(report_json(report, gallery=9), report)
    assert found.partial and len(found.cases.cases) == 1


REPORT = {
    "dataset": "d", "split": "val", "protocol": "p", "queries": 1, "gallery": 2, "methods": {}
}  # fmt: skip


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "one evaluation at a time"),
        ({"a.json": b"{}", "b.json": b"{}"}, "one evaluation at a time"),
        ({"a.txt": b"x"}, "one evaluation at a time"),
        ({"a.json": b"\xff"}, "not JSON"),
        ({"a.json": b"[1]"}, "no evaluation"),
        ({"a.json": b"[" * 100_000}, "not JSON"),
        ({"a.json": b"{}"}, "lacks 'dataset'"),
        ({"a.json": json.dumps({**REPORT, "queries": "1"}).encode()}, "lacks 'queries'"),
        ({"a.json": json.dumps({**REPORT, "methods": {"m": 3}}).encode()}, "'m' has no table"),
        (
            {"a.json": json.dumps({**REPORT, "methods": {"m": {"R@1": "x"}}}).encode()},
            "'m' has no table",
        ),
        (
            {
                "a.json": json.dumps(
                    {**REPORT, "methods": {"m": {"interval": {"R@1": [1]}}}}
                ).encode()
            },
            "'m' has no table",
        ),
    ],
)
def test_what_is_no_evaluation_is_told(files, says):
    with pytest.raises(BadInput, match=says):
        of_files(files)


def test_queries_of_another_evaluation_are_not_taken(folder):
    packed = (folder / "fables-test-queries.json.gz").read_bytes()
    with pytest.raises(BadInput, match="another evaluation"):
        of_files({"a.json": json.dumps(REPORT).encode(), "a-queries.json.gz": packed})


def test_a_broken_or_a_huge_zip_is_told(folder, tmp_path, monkeypatch):
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK\x03\x04 no")
    with pytest.raises(BadInput, match="no zip archive"):
        of_paths([path])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", "0" * 5000)
    monkeypatch.setattr("cirdemo.evaluate.opened.LARGEST", 1000)
    with pytest.raises(BadInput, match="too much"):
        of_paths([path])
    with pytest.raises(BadInput, match="larger than"):
        of_paths([folder / "fables-test.json"])
