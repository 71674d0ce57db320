"""Requirements 11, 12, 13, 29, 31, 32 and 33: a build is whole or not there, whatever happens.

Beside these, tests/test_indexing.py kills whole builders in processes of their own, compares every
byte with an undisturbed build, and holds the locks of two processes against each other.
"""

import hashlib
import os
import random
import resource
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from cirdemo.data import folder
from cirdemo.gallery import files, indexing
from cirdemo.gallery.items import Item
from cirdemo.gallery.own import Home, Own
from cirdemo.types import BadInput, CirError
from tests.fixtures_pictures import SlowEncoder, write_folder
from tests.safety import figures
from tests.safety.conftest import until

NIGHTLY = bool(os.environ.get("CIRDEMO_NIGHTLY"))
KILLS = 400 if NIGHTLY else 40
FLIPS = 100 if NIGHTLY else 12
STEPS = ("fsync", "replace", "rename", "mkdir", "rmtree", "unlink")


def publish(own, number, count=20):
    """Put a build into force whose vectors are all that number."""
    items = [
        Item(image_id=f"{n:03d}", sha256=f"{n:064x}", width=8, height=8, size=9, at=f"/x/{n}")
        for n in range(count)
    ]
    vectors = np.full((count, 4), float(number), np.float32)
    extra = {"signatures.bin": bytes(count * 4), "left_out.json": b"[]", "near.json": b"[]"}
    own.home("mine").publish(items, vectors, extra, space="s", preprocessing="p", built="now")


def in_force(own):
    """The number of the build that a reader sees, every byte of it checked."""
    vectors = own.home("mine").read().vectors
    assert (vectors == vectors[0, 0]).all(), "a mixture of two builds"
    return int(vectors[0, 0])


def in_child(work):
    """Run in a child that may die; how it ended."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitpid(pid, 0)[1]


def dying(monkeypatch, at):
    """Every step towards a published build counts; the process is killed before step `at`."""
    seen = []

    def watch(owner, name):
        real = getattr(owner, name)

        def step(*args, **named):
            seen.append(name)
            if len(seen) - 1 == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **named)

        monkeypatch.setattr(owner, name, step)

    watch(os, "fsync")
    watch(shutil, "rmtree")
    for name in ("replace", "rename", "mkdir", "unlink"):
        watch(Path, name)
    return seen


def test_req_11_a_kill_at_every_step_leaves_the_old_or_the_new(tmp_path, monkeypatch):
    own = Own(tmp_path)
    publish(own, 1)
    with monkeypatch.context() as patch:
        steps = dying(patch, -1)
        publish(own, 2)
    assert len(steps) > 15 and set(steps) >= {"fsync", "replace", "rename"}
    now, changed = 2, 0
    for at in range(len(steps)):
        new = now + 1

        def work(at=at, new=new):
            dying(monkeypatch, at)
            publish(own, new)

        ended = in_child(work)
        assert os.WIFSIGNALED(ended), f"step {at} was not reached"
        found = in_force(own)
        assert found in (now, new), f"killed before step {at} ({steps[at]})"
        changed += found == new
        now = found
        if found != new:
            publish(own, new)  # what a killed one leaves is no obstacle
            now = in_force(own)
            assert now == new
    figures.tell(11, "builds killed before each step", f"{len(steps)} of {len(steps)} survived")
    assert 0 < changed < len(steps)  # the turning point lies inside


def test_req_11_kills_at_any_time(tmp_path):
    own, rng = Own(tmp_path), random.Random(0)
    publish(own, 1)
    began = time.perf_counter()
    publish(own, 2)
    lasts, now = time.perf_counter() - began, 2
    for number in range(KILLS):
        pid = os.fork()
        if pid == 0:  # one build after the other, so that the kill comes in the middle of one
            for new in range(now + 1, now + 2000):
                publish(own, new)
            os._exit(0)
        try:
            if number % 2:
                until(lambda before=now: in_force(own) > before)
            time.sleep(rng.uniform(0, 1.5 * lasts))
        finally:
            os.kill(pid, signal.SIGKILL)
            ended = os.waitpid(pid, 0)[1]
        assert os.WIFSIGNALED(ended)
        found = in_force(own)
        assert found >= now
        now = found
    assert now >= 2 + KILLS // 2
    figures.tell(11, "builds killed at a random moment", f"{KILLS} of {KILLS} survived")


def test_req_11_bytes_reach_the_disk_before_their_name_does(tmp_path, monkeypatch):
    said = []
    fsync, replace, rename = os.fsync, Path.replace, Path.rename

    def synced(fd):
        said.append(("fsync", Path(f"/proc/self/fd/{fd}").readlink()))
        return fsync(fd)

    def moved(kind, real):
        def move(self, target):
            said.append((kind, Path(self), Path(target)))
            return real(self, target)

        return move

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", moved("replace", replace))
    monkeypatch.setattr(Path, "rename", moved("rename", rename))
    own = Own(tmp_path)
    publish(own, 1)
    moves = [n for n, s in enumerate(said) if s[0] != "fsync"]
    assert len(moves) >= 7
    for n in moves:
        kind, source, target = said[n]
        before = [s[1] for s in said[:n] if s[0] == "fsync"]
        after = [s[1] for s in said[n:] if s[0] == "fsync"]
        assert target.parent in after, f"{target} may be forgotten"
        if kind == "replace":
            assert source in before, f"{target} may be empty"
    assert said[moves[-1]][2].name == "CURRENT"


def test_req_12_every_altered_byte_is_found_before_anything_is_shown(tmp_path):
    own, rng = Own(tmp_path), random.Random(1)
    publish(own, 1)
    home = own.home("mine")
    build = home.folder / "builds" / home.current()["build"]
    paths = [*sorted(build.iterdir()), home.folder / "CURRENT"]
    assert {"vectors.npy", "items.json", "manifest.json", "signatures.bin"} <= {
        p.name for p in paths
    }
    found = tried = 0
    for path in paths:
        whole = path.read_bytes()
        variants = [whole[:-1], whole + b" ", whole[: len(whole) // 2], None]
        for _ in range(FLIPS):
            bad = bytearray(whole)
            at = rng.randrange(len(whole))
            bad[at] ^= 1 << rng.randrange(8)
            variants.append(bytes(bad))
        for bad in variants:
            path.unlink() if bad is None else path.write_bytes(bad)
            tried += 1
            try:
                same = in_force(own) == 1 and path.name == "CURRENT"  # white space in the note
                found += same and bad is not None and bad.strip() == whole
            except CirError as fault:
                found += "index FOLDER --name mine" in str(fault)
            path.write_bytes(whole)
    assert found == tried > 100
    figures.tell(12, "altered, cut, lengthened and missing files", f"{found} of {tried} found")


def test_req_13_pictures_are_only_read(tmp_path):
    photos = write_folder(tmp_path / "photos", 12)
    (photos / "loop").symlink_to(photos)
    (photos / "out").symlink_to("/etc")

    def tree():
        return {
            str(p): (
                p.lstat().st_mtime_ns,
                p.lstat().st_mode,
                b"" if p.is_dir() else p.read_bytes(),
            )
            for p in sorted(photos.rglob("*"))
            if not p.is_symlink()
        }

    before = tree()
    own = Own(tmp_path / "own")
    *_, last = indexing.index(own.home("mine"), folder.pictures_at(photos), SlowEncoder())
    assert tree() == before and last.report.pictures == 12
    left = {one.path.rstrip("/"): one.reason for one in last.report.left_out}
    assert "link" in left["loop"] and "leads out" in left["out"]


@pytest.mark.parametrize("limit", [200, 700, 2_000])
def test_req_29_a_full_disk_at_any_size_leaves_the_old_build(tmp_path, limit):
    """A child may write no file above a size, which is what a full disk looks like to it."""
    own = Own(tmp_path)
    publish(own, 1)
    before = {p: p.is_file() and p.read_bytes() for p in tmp_path.rglob("*")}

    def work():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            publish(own, 2, count=200)
        except OSError:
            os._exit(7)

    assert os.waitstatus_to_exitcode(in_child(work)) == 7
    assert in_force(own) == 1
    after = {p: p.is_file() and p.read_bytes() for p in tmp_path.rglob("*")}
    assert after == before  # no stump


def test_req_29_the_way_out_names_the_bytes(tmp_path, monkeypatch):
    own = Own(tmp_path / "own")

    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_file", full)
    photos = folder.pictures_at(write_folder(tmp_path / "photos", 3))
    with pytest.raises(BadInput, match=r"Free at least [\d.]+ MB"):
        list(indexing.index(own.home("mine"), photos, SlowEncoder()))


def test_req_32_readers_see_the_old_or_the_new_while_another_builds(tmp_path):
    own = Own(tmp_path)
    publish(own, 1)
    pid = os.fork()
    if pid == 0:
        for number in range(2, 30):
            publish(own, number)
        os._exit(0)
    seen = [in_force(own)]
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        seen.append(in_force(own))
    seen.append(in_force(own))
    assert seen == sorted(seen) and seen[-1] == 29


def test_req_32_a_reader_whose_build_goes_away_reads_the_next(tmp_path, monkeypatch):
    own = Own(tmp_path)
    publish(own, 1)
    real, reads = Home._read, []

    def slow(self, now):
        reads.append(now)
        if len(reads) == 1:
            for number in (2, 3, 4):  # the first is tidied away behind the reader's back
                publish(own, number)
        return real(self, now)

    monkeypatch.setattr(Home, "_read", slow)
    assert in_force(own) == 4 and len(reads) == 2


def test_req_12_the_shipped_builds_are_whole():
    root = Path(__file__).resolve().parents[2] / "checkpoints" / "embedded" / "galleries"
    if not root.exists():
        pytest.skip("no shipped galleries")
    for gallery in root.iterdir():
        manifest, ids, vectors = files.read_build(gallery)
        assert len(ids) == len(vectors) == manifest["count"] > 1000
        digest = hashlib.sha256((gallery / "vectors.npy").read_bytes()).hexdigest()
        assert digest == manifest["vectors_sha256"]
