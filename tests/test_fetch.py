"""Photographs that are fetched: whole or not at all, gone on with, believed by their checksum."""

import hashlib
import json
from pathlib import Path

import pytest

from cirdemo.builder import build_engine
from cirdemo.cli import main
from cirdemo.config import Settings
from cirdemo.gallery import fetch
from cirdemo.parts import Part
from cirdemo.types import BadInput, CirError, UnknownName
from cirdemo.ui.gallery import build_views
from tests.fixtures_pictures import SlowEncoder, coded
from tests.fixtures_server import serving

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = ROOT.parent / "shared" / "data" / "photos"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(fetch, "PAUSE", 0.01)
    monkeypatch.setattr(fetch, "BLOCK", 64)


FILES = {f"some/{n}.jpg": coded(n) for n in range(5)}


def manifest(home, addresses, files=None):
    home.mkdir(parents=True, exist_ok=True)
    rows = [
        {"path": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in (files or FILES).items()
    ]
    about = {"title": "five pictures", "licence": "CC0 1.0", "source": "http://example.org"}
    (home / "five.json").write_text(json.dumps({**about, "addresses": addresses, "files": rows}))
    return fetch.read(home / "five.json")


class Files:
    """A server of files that understands ranges; says what it was asked, and fails on demand."""

    def __init__(self, cut=(), ranges=True, other=()):
        self.asked, self.cut, self.ranges, self.other = [], set(cut), ranges, set(other)

    def __call__(self, path, headers, body):
        name = path.lstrip("/").partition("/")[2]  # behind the folder of the address
        self.asked.append((path, headers.get("range")))
        if name not in FILES or path.startswith("/gone"):
            return 404, {}, b"not here"
        data = FILES[name]
        if name in self.other:
            data = data[::-1]
        status, more, start = 200, {}, 0
        if self.ranges and (asked := headers.get("range")):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            status, more = 206, {"content-range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
        rest = data[start:]
        if name in self.cut:  # promise all, send half, hang up
            self.cut.discard(name)
            return status, more | {"content-length": str(len(rest))}, rest[: len(rest) // 2]
        return status, more, rest


def fetched(place):
    home = place / fetch.PICTURES
    return {p.relative_to(home).as_posix(): p.read_bytes() for p in home.rglob("*.*")}


def test_every_file_arrives_whole_and_is_not_asked_for_twice(tmp_path):
    files = Files()
    with serving(files) as address:
        one = manifest(tmp_path / "m", [f"{address}/gone/", f"{address}/here/"])
        steps = list(fetch.fetch(one, tmp_path / "out"))
        assert fetched(tmp_path / "out") == FILES
        assert [s.done for s in steps] == list(range(5)) and steps[-1].of == 5
        asked = len(files.asked)
        assert asked == 10  # the first address was tried for each
        assert [s.unchanged for s in fetch.fetch(one, tmp_path / "out")] == list(range(5))
        assert len(files.asked) == asked
    note = json.loads((tmp_path / "out" / fetch.NOTE).read_text())
    assert note["licence"] == "CC0 1.0"


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_breaks_off_is_gone_on_with(tmp_path, ranges):
    files = Files(cut=["some/2.jpg"], ranges=ranges)
    with serving(files) as address:
        one = manifest(tmp_path / "m", [f"{address}/here/"])
        list(fetch.fetch(one, tmp_path / "out"))
    assert fetched(tmp_path / "out") == FILES
    again = [asked for path, asked in files.asked if path.endswith("/2.jpg")]
    assert len(again) == 2 and again[1] == f"bytes={len(FILES['some/2.jpg']) // 2 // 64 * 64}-"


def test_a_stop_and_a_kill_cost_one_file_at_most(tmp_path):
    files = Files()
    with serving(files) as address:
        one = manifest(tmp_path / "m", [f"{address}/here/"])
        steps = fetch.fetch(one, tmp_path / "out")
        for step in steps:
            if step.done == 3:
                steps.close()
        home = tmp_path / "out" / fetch.PICTURES / "some"
        half = FILES["some/3.jpg"][:100]
        (home / "3.jpg.part").write_bytes(half)  # what a kill leaves
        list(fetch.fetch(one, tmp_path / "out"))
    assert fetched(tmp_path / "out") == FILES
    paths = [path for path, _ in files.asked]
    assert len(paths) == len(set(paths)) == 5
    assert ("/here/some/3.jpg", "bytes=100-") in files.asked


def test_other_content_is_not_believed(tmp_path):
    other = Files(other=["some/1.jpg"])
    with serving(other) as bad, serving(Files()) as good:
        one = manifest(tmp_path / "m", [f"{bad}/here/", f"{good}/here/"])
        list(fetch.fetch(one, tmp_path / "out"))
        assert fetched(tmp_path / "out") == FILES
        alone = manifest(tmp_path / "m2", [f"{bad}/here/"])
        with pytest.raises(CirError, match=r"some/1\.jpg.*other content than the manifest says"):
            list(fetch.fetch(alone, tmp_path / "out2"))
    assert set(fetched(tmp_path / "out2")) == {"some/0.jpg"}  # nothing of the wrong one


@pytest.mark.parametrize("path", ["../out.jpg", "/etc/x.jpg", "a/../../b.jpg", "a\\b.jpg"])
def test_a_manifest_stays_in_its_folder(tmp_path, path):
    with pytest.raises(BadInput, match="outside its folder"):
        manifest(tmp_path, ["http://127.0.0.1/"], {path: b"x"})
    (tmp_path / "five.json").write_text("{}")
    with pytest.raises(BadInput, match="no manifest"):
        fetch.read(tmp_path / "five.json")


# --- as a gallery -----------------------------------------------------------------------------


@pytest.fixture
def engine(tmp_path):
    built = build_engine(Settings(assets=tmp_path / "assets", cache=tmp_path / "cache"))
    object.__setattr__(built.parts, "encoder", Part(SlowEncoder))
    return built


def test_fetching_ends_in_a_gallery(engine, tmp_path, capsys):
    with serving(Files()) as address:
        manifest(tmp_path / "assets" / "fetch", [f"{address}/here/"])
        make = {"make_engine": lambda settings: engine}
        assert main(["fetch-gallery", "--json"], **make) == 0
        listed = json.loads(capsys.readouterr().out)["galleries"]
        assert listed["five"]["pictures"] == 5 and listed["five"]["licence"] == "CC0 1.0"
        assert main(["fetch-gallery", "five", "--json"], **make) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pictures"] == 5 and told["left_out"] == [] and told["licence"] == "CC0 1.0"
    assert "five" in engine.galleries()
    with pytest.raises(UnknownName, match="five"):
        list(engine.fetch_gallery("six"))


def test_without_a_network_the_manual_way_is_told(engine, tmp_path, capsys):
    with serving(Files()) as address:
        pass  # it is gone
    manifest(tmp_path / "assets" / "fetch", [f"{address}/here/"])
    assert main(["fetch-gallery", "five"], make_engine=lambda settings: engine) == 2
    said = capsys.readouterr().err
    for part in ("some/0.jpg", "refused", "http://example.org", "index FOLDER --name five"):
        assert part in said


def test_the_page_offers_what_is_not_here_yet(tmp_path):
    one = manifest(tmp_path, ["http://127.0.0.1/"])
    html = build_views.fetchable({"five": one}, True)
    assert 'data-action="fetch" data-id="five"' in html and "--profile photo" in html
    assert "CC0 1.0" in html and "--profile" not in build_views.fetchable({"five": one}, False)
    assert build_views.fetchable({}, True) == ""


def test_the_shipped_manifests_are_whole():
    for path in sorted((ROOT / "assets" / "fetch").glob("*.json")):
        one = fetch.read(path)
        assert one.licence.startswith("CC") and one.source.startswith("https://")
        assert one.mib < 20 and len({f.path for f in one.files}) == len(one.files) >= 40
        assert all(a.startswith("http") and a.endswith("/") for a in one.addresses)
        assert all("credit" in f for f in one.facts["files"]) or one.licence.startswith("CC0")


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the shared photographs are not here")
def test_the_shipped_manifests_name_the_photographs_that_were_looked_at():
    here = {hashlib.sha256(p.read_bytes()).hexdigest() for p in PHOTOS.rglob("*.jpg")}
    for path in sorted((ROOT / "assets" / "fetch").glob("*.json")):
        assert {f.sha256 for f in fetch.read(path).files} <= here
