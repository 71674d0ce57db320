"""`index` on the command line: a folder, an archive, a benchmark, and refusals in words."""

import json

import pytest

from cirdemo.cli import main
from tests.fixtures_benchmarks import make_cirr, queries
from tests.fixtures_pictures import coded, write_folder, write_zip
from tests.test_ui_gallery import engine_of


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # main() sets it; put it back afterwards


@pytest.fixture
def index(tmp_path, capsys):
    """Run `index` over a colour encoder; gives the status and the answer."""

    def run(*words):
        status = main(
            ["index", *map(str, words), "--json"],
            make_engine=lambda settings: engine_of(tmp_path / "own"),
        )
        told = capsys.readouterr()
        run.progress = told.err
        return status, json.loads(told.out)

    return run


def test_a_folder_then_an_archive_beside_it(index, tmp_path):
    photos = write_folder(tmp_path / "photos", 40)
    (photos / "bad.jpg").write_bytes(b"x")
    status, answer = index(photos, "--name", "mine")
    assert status == 0
    assert (answer["pictures"], answer["new"], answer["removed"]) == (40, 40, 0)
    assert [o["path"] for o in answer["left_out"]] == ["bad.jpg"]
    assert "done: 41 of 41 files" in index.progress
    extra = write_zip(tmp_path / "z.zip", {"z.jpg": coded(99)})
    status, answer = index(extra, "--name", "mine", "--add", "--captions")
    assert (answer["pictures"], answer["new"], answer["captions"]) == (41, 1, 41)
    status, answer = index(photos, "--name", "mine")
    assert (answer["pictures"], answer["new"], answer["removed"]) == (40, 0, 1)


def test_a_benchmarks_pictures_under_its_ids(index, tmp_path):
    ids = make_cirr(tmp_path / "cirr", queries(3), "val")
    gone = next((tmp_path / "cirr").rglob(f"{ids[0]}.png"))
    gone.unlink()
    status, answer = index(tmp_path / "cirr", "--name", "mine", "--dataset", "auto")
    assert status == 0
    assert answer["pictures"] == len(ids) - 1
    assert answer["left_out"][0] == {
        "path": ids[0],
        "kind": "missing",
        "reason": "The benchmark names it, but it is not on disk.",
    }
    status, answer = index(tmp_path / "cirr", "--name", "mine", "--dataset", "circo")
    assert (status, answer["error"]["type"]) == (2, "MissingCheckpoint")


def test_refusals_say_the_way_out(index, tmp_path):
    photos = write_folder(tmp_path / "photos", 2)
    for words, said in (
        ((tmp_path / "none", "--name", "mine"), "no folder or archive"),
        ((photos, "--name", "No"), "small letters"),
        ((photos, "--name", "visitor-1"), "taken"),
    ):
        status, answer = index(*words)
        assert status == 2
        assert said in answer["error"]["message"]
