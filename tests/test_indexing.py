"""Galleries of a user's pictures: whole, resumed, updated, refused, never half."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cirdemo.data import folder
from cirdemo.gallery import captions, groups, indexing
from cirdemo.gallery.copies import reduced
from cirdemo.gallery.journal import Journal
from cirdemo.gallery.near import NEAR, near_pairs, signature
from cirdemo.gallery.opened import open_own
from cirdemo.gallery.own import Own
from cirdemo.intake import load_image
from cirdemo.models.encoders import OpenClipEncoder
from cirdemo.parts import Part
from cirdemo.shelves import Shelves
from cirdemo.types import BadInput, CirError, MissingCheckpoint, SpaceMismatch
from tests.fixtures_encoder import save_tiny_encoder
from tests.fixtures_pictures import SlowEncoder, coded, picture, write_folder, write_zip

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = ROOT.parent / "shared" / "data" / "photos"


@pytest.fixture
def own(tmp_path):
    return Own(tmp_path / "own")


def build(own, source, encoder=None, name="mine", **options):
    """The report of a build."""
    if isinstance(source, str | Path):
        source = folder.pictures_at(source)
    steps = list(indexing.index(own.home(name), source, encoder or SlowEncoder(), **options))
    assert steps[-1].report is not None
    return steps[-1].report


def left_out(report):
    return {o.path: o.kind for o in report.left_out}


# --- a build ------------------------------------------------------------------------------


def test_a_nested_folder_becomes_a_gallery(own, tmp_path):
    photos = write_folder(tmp_path / "photos", 70)
    encoder = SlowEncoder()
    steps = list(indexing.index(own.home("mine"), folder.pictures_at(photos), encoder))
    report = steps[-1].report
    assert (report.pictures, report.new, report.unchanged, encoder.seen) == (70, 70, 0, 70)
    assert [s.done for s in steps] == sorted(s.done for s in steps)
    assert steps[-1].of == 70
    gallery = open_own(own.home("mine"), "quarters")
    assert gallery.ids == tuple(sorted(gallery.ids))
    assert "year 0/trip0/p000.png" in gallery.ids or len(gallery.ids) == 70
    first = gallery.ids[0]
    alone = encoder.encode_images([gallery.image(first)])[0]
    np.testing.assert_array_equal(gallery.vector(first), alone)
    assert gallery.thumbnail(first).parent == own.home("mine").thumbnails
    assert gallery.record(first)["record"]["pixels"] == "48 x 36"
    assert own.names() == ("mine",)
    assert own.unfinished() == ()


def test_originals_are_only_read(own, tmp_path):
    photos = write_folder(tmp_path / "photos", 12)
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in photos.rglob("*") if p.is_file()}
    for path in [photos, *photos.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    build(own, photos)
    after = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in photos.rglob("*") if p.is_file()}
    assert before == after
    for path in [photos, *photos.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_an_archive_and_uploads_leave_copies_without_metadata(own, tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "where we live"
    exif[0x0112] = 6
    data = coded(1, exif=exif.tobytes())
    path = write_zip(tmp_path / "z.zip", {"trip/a.jpg": data, "b.png": coded(2, "PNG")})
    assert build(own, path).pictures == 2
    loose = tmp_path / "c.jpg"
    loose.write_bytes(coded(3))
    build(own, folder.uploaded([loose, path]), name="loose")
    path.unlink()
    loose.unlink()
    for name, ids in (("mine", 2), ("loose", 3)):
        gallery = open_own(own.home(name), "quarters")
        assert len(gallery) == ids
        assert gallery.image("trip/a.jpg").size == (36, 48)  # upright
        for file in (gallery.image_path("trip/a.jpg"), gallery.thumbnail("trip/a.jpg")):
            assert b"where we live" not in file.read_bytes()
            assert not Image.open(file).getexif()


def test_archives_inside_a_folder_count_as_folders(own, tmp_path):
    photos = write_folder(tmp_path / "photos", 3)
    write_zip(photos / "album.zip", {"x.jpg": coded(50), "inner.zip": b"PK\x03\x04"})
    report = build(own, photos)
    assert "album.zip/x.jpg" in open_own(own.home("mine"), "quarters").ids
    assert left_out(report) == {"album.zip/inner.zip": "other file"}
    assert open_own(own.home("mine"), "quarters").image("album.zip/x.jpg").size == (48, 36)


def test_the_bytes_of_a_build_do_not_depend_on_the_number_of_threads(own, tmp_path):
    photos = write_folder(tmp_path / "photos", 100)
    encoder = OpenClipEncoder(save_tiny_encoder(tmp_path / "encoder"))
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            build(own, photos, encoder, name=f"by{threads}")
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    one, three = (contents(own.home(name)) for name in ("by1", "by3"))
    assert one.pop("manifest.json")["name"] != three.pop("manifest.json")["name"]
    assert one == three


# --- hostile files ------------------------------------------------------------------------


def test_every_bad_file_is_listed_with_a_reason(own, tmp_path):
    photos = write_folder(tmp_path / "photos", 2)
    (photos / "half.jpg").write_bytes(coded(7)[:300])
    (photos / "half twin.jpg").write_bytes(coded(7)[:300])
    (photos / "wrong.png").write_bytes(coded(8))  # a JPEG: told by its content
    (photos / "text.jpg").write_bytes(b"hello")
    (photos / "empty.gif").write_bytes(b"")
    (photos / "notes.txt").write_bytes(b"hello")
    (photos / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    (photos / ".DS_Store").write_bytes(b"x")
    (photos / "page.svg").write_bytes(b"<svg onload='alert(1)'/>")
    Image.new("1", (9000, 9000)).save(photos / "huge.png")  # 10 kB on disk
    Image.new("1", (17_000, 10)).save(photos / "long.png")
    (photos / "out.jpg").symlink_to("/etc/hostname")
    (photos / "in.jpg").symlink_to(photos / "wrong.png")
    (photos / "nowhere.jpg").symlink_to(photos / "none")
    (photos / "loop").symlink_to(photos)
    os.mkfifo(photos / "pipe.jpg")
    Path(os.fsencode(photos).decode() + "/bad\udcff.jpg").write_bytes(coded(9))
    report = build(own, photos)
    gallery = open_own(own.home("mine"), "quarters")
    assert len(gallery) == 3
    assert "wrong.png" in gallery.ids
    assert left_out(report) == {
        "half.jpg": "unreadable",
        "half twin.jpg": "unreadable",
        "text.jpg": "unreadable",
        "empty.gif": "unreadable",
        "notes.txt": "other file",
        "photo.heic": "unreadable",
        ".DS_Store": "hidden",
        "page.svg": "other file",
        "huge.png": "unreadable",
        "long.png": "unreadable",
        "out.jpg": "link",
        "in.jpg": "link",
        "nowhere.jpg": "link",
        "loop/": "link",
        "pipe.jpg": "other file",
        "bad?.jpg": "name",
    }
    why = {o.path: o.reason for o in report.left_out}
    assert "81 megapixels" in why["huge.png"]
    assert "leads out" in why["out.jpg"]
    assert "where it lies" in why["in.jpg"]
    json.dumps(report.as_json())
    assert gallery.about["left_out"][0]["path"] == ".DS_Store"


def test_nothing_to_read_is_said_and_leaves_nothing(own, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").write_text("x")
    with pytest.raises(BadInput, match=r"no picture .* a\.txt: It is no picture"):
        build(own, tmp_path / "empty")
    assert own.names() == own.unfinished() == ()
    with pytest.raises(BadInput, match="no folder or archive"):
        folder.pictures_at(tmp_path / "none")
    with pytest.raises(BadInput, match="neither"):
        folder.pictures_at(tmp_path / "empty" / "a.txt")


@pytest.mark.parametrize("name", ["", "../x", "A", "a/b", "x" * 41, ".x", "-x", "a\n"])
def test_names_that_are_no_names_are_refused(own, name):
    with pytest.raises(BadInput, match="cannot be a gallery's name"):
        own.home(name)


# --- change -------------------------------------------------------------------------------


def test_only_what_is_new_is_encoded(own, tmp_path):
    photos = write_folder(tmp_path / "photos", 40)
    build(own, photos)
    paths = sorted(p for p in photos.rglob("*") if p.is_file())
    paths[0].unlink()  # removed
    paths[1].rename(photos / "moved.jpg")  # the same bytes elsewhere
    paths[2].write_bytes(coded(900))  # changed
    (photos / "new.jpg").write_bytes(coded(901))
    os.utime(paths[3])  # touched, not changed
    encoder = SlowEncoder()
    report = build(own, photos, encoder)
    assert encoder.seen == 2
    assert (report.pictures, report.new, report.unchanged) == (40, 2, 38)
    assert report.removed == 2  # one is gone, one has another name
    gallery = open_own(own.home("mine"), "quarters")
    changed = paths[2].relative_to(photos).as_posix()
    np.testing.assert_allclose(
        gallery.vector(changed), SlowEncoder().encode_images([gallery.image(changed)])[0]
    )
    build(own, photos, encoder)
    assert encoder.seen == 2
    thumbnails = {p.stem for p in own.home("mine").thumbnails.iterdir()}
    assert thumbnails == {gallery.digest(i) for i in gallery.ids}


def test_added_pictures_join_those_that_are_there(own, tmp_path):
    build(own, write_folder(tmp_path / "photos", 5))
    path = write_zip(tmp_path / "z.zip", {"z.jpg": coded(99)})
    report = build(own, path, add=True)
    assert (report.pictures, report.new) == (6, 1)
    shutil.rmtree(tmp_path / "z.zip", ignore_errors=True)
    gallery = open_own(own.home("mine"), "quarters")
    assert gallery.image("z.jpg").size == (48, 36)
    assert gallery.image(gallery.ids[0]).size == (48, 36)


def test_another_encoder_is_refused_with_both_named(own, tmp_path):
    photos = write_folder(tmp_path / "photos", 3)
    build(own, photos)
    with pytest.raises(SpaceMismatch, match=r"'quarters'.*'halves'.*--replace"):
        build(own, photos, SlowEncoder("halves"))
    with pytest.raises(SpaceMismatch, match=r"'quarters'.*'halves'"):
        open_own(own.home("mine"), "halves")
    assert len(open_own(own.home("mine"), "quarters")) == 3
    assert build(own, photos, SlowEncoder("halves"), replace_space=True).new == 3
    assert len(open_own(own.home("mine"), "halves")) == 3


# --- never half ---------------------------------------------------------------------------

WORKER = """
import sys, time
from pathlib import Path
from cirdemo.data import folder
from cirdemo.gallery import indexing
from cirdemo.gallery.own import Own
from tests.fixtures_encoder import save_tiny_encoder
from tests.fixtures_pictures import SlowEncoder
home = Own(Path(sys.argv[1])).home("mine")
print("ready", flush=True)
class Encoder(SlowEncoder):
    def encode_images(self, images):
        if len(left) == 0:
            time.sleep(600)  # until it is killed
        left.pop()
        return super().encode_images(images)
left = [None] * int(sys.argv[4])
encoder = Encoder(pause=float(sys.argv[3]))
for step in indexing.index(home, folder.pictures_at(sys.argv[2]), encoder):
    pass
print("encoded", encoder.seen, flush=True)
"""


def start(own, source, pause=0.0, most=10**6):
    """A builder in a process of its own; after so many groups it waits to be killed."""
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(own.root), str(source), str(pause), str(most)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def contents(home):
    """Every byte of the build in force; the time of day is not compared."""
    folder_ = home.folder / "builds" / home.current()["build"]
    found = {p.name: p.read_bytes() for p in folder_.iterdir()}
    found["manifest.json"] = {
        k: v for k, v in json.loads(found["manifest.json"]).items() if k != "built"
    }
    return found


def groups_noted(own):
    """Groups of pictures that a build under way has on disk."""
    journal = own.home("mine").folder / "journal"
    return journal.read_bytes().count(b"\n") - 1 if journal.is_file() else 0


def killed(own, source, rng, most, first=False):
    """Kill a builder that does at most so many groups more, at any moment; the groups noted then.

    Args:
        first: Not before it has noted one.
    """
    before = groups_noted(own)
    with start(own, source, 0.006, most) as worker:
        try:
            worker.stdout.readline()  # it has begun
            if first:
                until(lambda: groups_noted(own) > before)
            time.sleep(rng.uniform(0, 0.2))
        finally:
            worker.kill()
    assert worker.returncode == -signal.SIGKILL
    for name in own.names():  # finished or not there, never half
        open_own(own.home(name), "quarters")
    return groups_noted(own)


def until(holds, seconds=300):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.005)


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_ten_kills_lose_and_double_nothing(tmp_path, kind):
    photos = write_folder(tmp_path / "photos", 400)
    (photos / "half.jpg").write_bytes(coded(7)[:300])
    source = photos
    if kind == "zip":
        files = {p.relative_to(photos).as_posix(): p.read_bytes() for p in photos.rglob("*.*")}
        source = write_zip(tmp_path / "photos.zip", files)
    calm, shaken = Own(tmp_path / "calm"), Own(tmp_path / "shaken")
    build(calm, source)
    rng, noted = random.Random(kind), 0
    for number in range(10):
        noted = killed(shaken, source, rng, most=1, first=bool(number % 2))
    out, _ = start(shaken, source).communicate(timeout=600)
    assert contents(shaken.home("mine")) == contents(calm.home("mine"))
    assert noted >= 5
    files = 401  # one cannot be decoded; what was noted was not encoded again
    assert int(out.split()[-1]) <= files - groups.SIZE * noted
    assert not shaken.unfinished()
    assert not list(shaken.root.rglob("*.part"))
    assert not list(shaken.root.rglob(".tmp-*"))


def test_a_stopped_build_goes_on(own, tmp_path):
    photos = write_folder(tmp_path / "photos", 100)
    steps = indexing.index(own.home("mine"), folder.pictures_at(photos), SlowEncoder())
    for step in steps:
        if step.new >= 2 * groups.SIZE:
            break
    steps.close()
    assert own.unfinished() == ("mine",)
    assert own.home("mine").about()["path"] == str(photos)
    with pytest.raises(MissingCheckpoint, match="not finished"):
        open_own(own.home("mine"), "quarters")
    encoder = SlowEncoder()
    assert build(own, photos, encoder).new == 100
    assert encoder.seen == 100 - 2 * groups.SIZE


def test_a_second_builder_is_told_who_is_at_work(own, tmp_path):
    photos = write_folder(tmp_path / "photos", 5)
    steps = indexing.index(own.home("mine"), folder.pictures_at(photos), SlowEncoder())
    next(steps)
    with pytest.raises(BadInput, match=rf"being built by process {os.getpid()} since"):
        build(own, photos)
    with pytest.raises(BadInput, match="being built"):
        own.delete("mine")
    steps.close()
    assert build(own, photos).pictures == 5


def test_a_killed_builders_lock_is_free(own, tmp_path):
    photos = write_folder(tmp_path / "photos", 200)
    lock = own.home("mine").folder / "lock"
    with start(own, photos, most=0) as worker:
        try:
            until(lambda: lock.is_file() and str(worker.pid) in lock.read_text())
            with pytest.raises(BadInput, match=f"process {worker.pid}"):
                build(own, photos)
        finally:
            worker.kill()
    assert build(own, photos).pictures == 200


@pytest.mark.parametrize("at", ["vectors.npy", "items.json", "manifest.json", "CURRENT"])
def test_a_full_disk_leaves_the_old_build(own, tmp_path, monkeypatch, at):
    photos = write_folder(tmp_path / "photos", 5)
    build(own, photos)
    before = contents(own.home("mine"))
    (photos / "new.jpg").write_bytes(coded(77))
    real = Path.replace

    def full(self, target):
        if Path(target).name == at:
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(BadInput, match=r"disk is full. Free at least .*what is finished is kept"):
        build(own, photos)
    monkeypatch.undo()
    assert contents(own.home("mine")) == before
    assert not list(own.root.rglob(".tmp-*"))
    encoder = SlowEncoder()
    assert build(own, photos, encoder).pictures == 6
    assert encoder.seen == 0  # the journal, or the build that was not put into force, had it


def test_a_folder_that_cannot_be_written_is_said(own, tmp_path):
    own.root.parent.mkdir(exist_ok=True)
    own.root.write_text("a file in the way")
    with pytest.raises(BadInput, match="cannot be written"):
        build(own, write_folder(tmp_path / "photos", 2))


def test_every_flipped_byte_is_found(own, tmp_path):
    build(own, write_folder(tmp_path / "photos", 4))
    home, rng = own.home("mine"), random.Random(1)
    current = home.folder / "builds" / home.current()["build"]
    for path in sorted(current.iterdir()):
        whole = path.read_bytes()
        for _ in range(12):
            at = rng.randrange(len(whole)) if whole else 0
            bad = bytearray(whole)
            bad[at] ^= 1 << rng.randrange(8)
            path.write_bytes(bad)
            with pytest.raises(CirError, match=r"damaged.*index FOLDER --name mine"):
                home.read()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(CirError, match="damaged"):
            home.read()
        path.unlink()
        with pytest.raises(CirError, match="damaged"):
            home.read()
        path.write_bytes(whole)
    assert len(home.read().items) == 4


def test_a_damaged_build_is_mended_from_the_one_before(own, tmp_path):
    photos = write_folder(tmp_path / "photos", 6)
    build(own, photos)
    (photos / "more.jpg").write_bytes(coded(55))
    build(own, photos)
    home = own.home("mine")
    path = home.folder / "builds" / home.current()["build"] / "vectors.npy"
    path.write_bytes(path.read_bytes()[:-1])
    encoder = SlowEncoder()
    assert build(own, photos, encoder).pictures == 7
    assert encoder.seen == 1
    assert len(home.read().items) == 7


def test_files_of_two_builds_do_not_mix(own, tmp_path):
    photos = write_folder(tmp_path / "photos", 4)
    build(own, photos)
    (photos / "more.jpg").write_bytes(coded(55))
    build(own, photos)
    home = own.home("mine")
    old, new = sorted((home.folder / "builds").iterdir())
    for name in ("vectors.npy", "items.json", "manifest.json"):
        kept = (new / name).read_bytes()
        (new / name).write_bytes((old / name).read_bytes())
        with pytest.raises(CirError, match="damaged"):
            home.read()
        (new / name).write_bytes(kept)


def test_a_journal_loses_at_most_its_torn_end(tmp_path):
    path = tmp_path / "journal"
    journal = Journal(path, {"a": 1})
    journal.add([{"n": 1}, {"n": 2}])
    journal.add([{"n": 3}])
    journal.close()
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        again = Journal(path, {"a": 1})
        assert [r["n"] for r in again.rows] in ([], [1, 2], [1, 2, 3])
        again.add([{"n": 9}])
        again.close()
        last = Journal(path, {"a": 1})
        assert last.rows[-1] == {"n": 9}
        last.close()
    assert Journal(path, {"a": 2}).rows == []


# --- what is nearly the same ----------------------------------------------------------------


def test_copies_are_found_and_others_are_not(own, tmp_path):
    photos = write_folder(tmp_path / "photos", 30)
    large = picture(500, (640, 480))
    large.save(photos / "a.png")
    large.resize((320, 240)).save(photos / "b.jpg", quality=60)
    (photos / "c.png").write_bytes((photos / "a.png").read_bytes())
    report = build(own, photos)
    assert {frozenset(p[:2]) for p in report.near} == {
        frozenset(p) for p in (("a.png", "b.jpg"), ("a.png", "c.png"), ("b.jpg", "c.png"))
    }
    told = report.as_json()["near_duplicates"]
    assert [p["identical"] for p in told] == [True, False, False]


def test_pairs_across_blocks_are_those_of_the_plain_sum():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 255, (2500, 12), np.uint8)
    rows[2400], rows[1030] = rows[3], rows[1029]
    assert [(i, j) for i, j, _ in near_pairs(rows, 0.5)] == [(3, 2400), (1029, 1030)]
    some = rows[:300]
    gaps = some[:, None].astype(float) - some[None]
    plain = np.sqrt((gaps**2).mean(-1))
    wanted = {(i, j) for i, j in zip(*np.nonzero(plain <= 40), strict=True) if i < j}
    assert {(i, j) for i, j, _ in near_pairs(some, 40.0)} == wanted


# --- captions, shelves ----------------------------------------------------------------------


def test_captions_are_written_once_for_picture_model_and_prompt(own, tmp_path):
    photos = write_folder(tmp_path / "photos", 20)
    build(own, photos)
    home, asked = own.home("mine"), []

    def caption(images):
        asked.extend(images)
        return [f"picture of {i.size[0]}" for i in images]

    steps = captions.write(home, open_own(home, "quarters"), caption, "model-1", "say")
    assert next(steps) == 0
    assert next(steps) == captions.BATCH
    steps.close()  # stopped: what was written stays
    assert (
        list(captions.write(home, open_own(home, "quarters"), caption, "model-1", "say"))[-1] == 20
    )
    assert len(asked) == 20
    (photos / "new.jpg").write_bytes(coded(77))
    build(own, photos)
    list(captions.write(home, open_own(home, "quarters"), caption, "model-1", "say"))
    assert len(asked) == 21
    record = open_own(home, "quarters").record("new.jpg")
    assert (record["caption"], record["caption_by"]) == ("picture of 48", "model-1")
    list(captions.write(home, open_own(home, "quarters"), caption, "model-2", "say"))
    assert len(asked) == 42


def test_a_gallery_is_there_as_soon_as_it_is_built(own, tmp_path):
    shelves = Shelves(
        {"fables": Part(lambda: "shipped")}, own, lambda home: open_own(home, "quarters")
    )
    assert list(shelves) == ["fables"]
    photos = write_folder(tmp_path / "photos", 3)
    build(own, photos)
    assert list(shelves) == ["fables", "mine"]
    first = shelves["mine"].get()
    assert shelves["mine"].get() is first
    (photos / "new.jpg").write_bytes(coded(77))
    build(own, photos)
    assert len(shelves["mine"].get()) == 4
    build(own, photos, name="fables")
    assert shelves["fables"].get() == "shipped"
    build(own, photos, name="visitor-1")
    assert list(shelves) == ["fables", "mine"]
    assert len(shelves["visitor-1"].get()) == 4
    os.utime(own.home("visitor-1").folder, (0, 0))
    own.expire()
    assert "visitor-1" not in shelves
    own.delete("mine")
    assert list(shelves) == ["fables"]
    assert len(list(photos.rglob("*.*"))) == 4  # the user's own files stay
    with pytest.raises(KeyError):
        shelves["../etc"]


# --- real photographs -----------------------------------------------------------------------


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the shared photographs are not here")
def test_real_photographs(own, tmp_path):
    encoder = SlowEncoder()
    report = build(own, PHOTOS, encoder)
    wanted = [p for p in PHOTOS.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png")]
    assert report.pictures == len(wanted) == encoder.seen
    assert {o.kind for o in report.left_out} <= {"other file"}
    assert report.near == ()
    smalls = []
    for path in wanted[::9]:
        image = load_image(path)
        half = image.resize((image.width // 2, image.height // 2))
        smalls += [signature(reduced(image)), signature(reduced(half))]
    pairs = {(i, j) for i, j, _ in near_pairs(np.stack(smalls), NEAR)}
    assert pairs == {(n, n + 1) for n in range(0, len(smalls), 2)}


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the shared photographs are not here")
def test_ten_kills_among_real_photographs_lose_and_double_nothing(tmp_path):
    calm, shaken = Own(tmp_path / "calm"), Own(tmp_path / "shaken")
    report = build(calm, PHOTOS)
    rng = random.Random(5)
    for number in range(10):  # of five groups three are finished before the last builder comes
        some = number % 4 == 1
        noted = killed(shaken, PHOTOS, rng, most=int(some), first=some)
    assert noted == 3
    start(shaken, PHOTOS).communicate(timeout=600)
    assert contents(shaken.home("mine")) == contents(calm.home("mine"))
    ids = [item.image_id for item in shaken.home("mine").read().items]
    assert len(ids) == len(set(ids)) == report.pictures
    assert not shaken.unfinished()


def test_one_scene_in_every_format_is_found_to_be_one(own, tmp_path):
    heif = pytest.importorskip("pillow_heif", reason="pip install pillow-heif")
    heif.register_heif_opener()
    home = tmp_path / "formats"
    home.mkdir()
    scene = picture(3, (96, 64)).resize((192, 128), Image.Resampling.BICUBIC)
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "HEIF"):
        scene.save(home / f"scene.{kind.lower()}", kind)
    exif = Image.Exif()
    exif[0x0112] = 8  # held upright: turned by 90 degrees to the left when shown
    scene.transpose(Image.Transpose.ROTATE_270).save(home / "turned.jpg", exif=exif)
    report = build(own, home)
    assert report.pictures == 8 and not report.left_out
    sides = {(item.width, item.height) for item in own.home("mine").read().items}
    assert sides == {(192, 128)}
    in_pairs = {name for a, b, _ in report.near for name in (a, b)}
    assert {"turned.jpg", "scene.heif", "scene.tiff", "scene.png"} <= in_pairs
