"""Galleries that Ray encodes: the same bytes as here, killed, resumed, and nothing left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from cirdemo.data import folder
from cirdemo.gallery import groups, indexing
from cirdemo.gallery.own import Own
from cirdemo.gallery.ray_engine import Cluster, Worker
from cirdemo.types import BadInput, CirError
from tests.fixtures_pictures import SlowEncoder, coded, write_folder, write_zip
from tests.test_indexing import contents

ROOT = Path(__file__).resolve().parents[1]
BUILD = """
import functools, sys, time
from pathlib import Path
from cirdemo.data import folder
from cirdemo.gallery import indexing
from cirdemo.gallery.own import Own
from cirdemo.gallery.ray_engine import Cluster
from tests.fixtures_pictures import SlowEncoder
pause = float(sys.argv[3])
helper = Cluster(make_encoder=functools.partial(SlowEncoder, pause=pause), workers=1)
home, source = Own(Path(sys.argv[1])).home("mine"), folder.pictures_at(sys.argv[2])
for step in indexing.index(home, source, SlowEncoder(), helper=helper):
    print(step.phase, step.new, flush=True)
    if pause and step.new > 9:
        time.sleep(600)  # until it is killed
"""


def build(own, photos, **options):
    *_, last = indexing.index(
        own.home("mine"), folder.pictures_at(photos), SlowEncoder(), **options
    )
    return last.report


def start(own, photos, pause, place):
    return subprocess.Popen(
        [sys.executable, "-c", BUILD, str(own.root), str(photos), str(pause)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": place},
        text=True,
    )


def noted(line):
    """Whether the first group is on disk."""
    phase, _, new = line.partition(" ")
    return phase == "encoding" and int(new) > 9  # a file twice counts before it is encoded


def of_session(place):
    """Every process of a Ray that keeps its files there."""
    named = ((p, p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"]))
    return [p for p, words in named if any(str(place) in word for word in words)]


@pytest.fixture
def place():
    """A folder with a short path: the names of Ray's sockets end at 107 characters."""
    path = tempfile.mkdtemp(prefix="r")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.mark.slow
def test_a_killed_build_on_ray_goes_on_to_the_bytes_of_one_made_here(tmp_path, place):
    photos = write_folder(tmp_path / "photos", 100)
    (photos / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0" + b"x" * 300)
    (photos / "again.jpg").write_bytes(next(photos.rglob("*.jpeg")).read_bytes())
    calm, shaken = Own(tmp_path / "calm"), Own(tmp_path / "shaken")
    report = build(calm, photos)
    assert (report.pictures, len(report.left_out)) == (101, 1)
    with start(shaken, photos, 0.05, place) as worker:
        while not noted(worker.stdout.readline()):
            assert worker.poll() is None
        started = of_session(place)
        assert started
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    _, alive = psutil.wait_procs(started, timeout=300)
    assert not alive
    assert shaken.unfinished() == ("mine",)
    left = set(Path(place).iterdir())  # files of what was killed
    with start(shaken, photos, 0, place) as worker:
        told, _ = worker.communicate(timeout=600)
        assert worker.returncode == 0
    assert not of_session(place) and set(Path(place).iterdir()) == left
    assert "done 101" in told  # the first group counts, and is not encoded again
    assert contents(shaken.home("mine")) == contents(calm.home("mine"))
    assert not shaken.unfinished()


def test_what_a_group_is_does_not_depend_on_who_encodes(tmp_path, monkeypatch):
    photos = write_folder(tmp_path / "photos", 70)
    monkeypatch.setattr(groups, "PIXELS", 48 * 36 * 5)  # five pictures encoded at once
    plain, given = SlowEncoder(), []
    build(Own(tmp_path / "here"), photos)
    files = []

    class Here:
        """Ray's workers, in this process."""

        def encoded(self, wanted):
            files.extend(wanted)
            work = Worker(lambda: plain)
            for start in range(0, len(wanted), groups.SIZE):
                row = work({"files": json.dumps(wanted[start : start + groups.SIZE])})
                given.append(len(row["digests"]))
                pairs = zip(row["digests"], row["copies"], strict=True)
                yield json.loads(row["rows"]), dict(pairs)

    build(Own(tmp_path / "there"), photos, helper=Here())
    assert given == [32, 32, 6]
    here, there = (Own(tmp_path / n).home("mine") for n in ("here", "there"))
    assert contents(here) == contents(there)
    monkeypatch.setattr(groups, "PIXELS", 60_000_000)
    (photos / "new.jpg").write_bytes(coded(999))
    assert build(Own(tmp_path / "there"), photos, helper=Here()).new == 1
    assert len(files) == 71  # what is known is not sent


def test_what_ray_cannot_do_is_said_before_it_starts(tmp_path, monkeypatch):
    archive = write_zip(tmp_path / "z.zip", {"a.jpg": coded(1)})
    helper = Cluster(make_encoder=SlowEncoder)
    with pytest.raises(BadInput, match="Unpack the archive first"):
        build(Own(tmp_path / "own"), archive, helper=helper)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(CirError, match=r'pip install "ray\[data\]"'):
        build(Own(tmp_path / "own"), write_folder(tmp_path / "photos", 3), helper=helper)
    assert "RAY_AUTH_TOKEN" not in os.environ


def test_a_worker_that_does_not_see_a_file_says_which(tmp_path):
    row = Worker(SlowEncoder)({"files": '[["/no/such/picture.jpg", "0"]]'})
    assert row["missing"] == "/no/such/picture.jpg"


def test_a_file_that_changes_meanwhile_is_left_out(tmp_path):
    (tmp_path / "a.jpg").write_bytes(coded(1))
    row = Worker(SlowEncoder)({"files": json.dumps([[str(tmp_path / "a.jpg"), "0" * 64]])})
    assert "changed while it was read" in json.loads(row["rows"])[0]["failed"]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "nobody.invalid:6379"])
def test_a_cluster_that_is_not_there_is_named_at_once(tmp_path, address):
    helper = Cluster(make_encoder=SlowEncoder, address=address)
    with pytest.raises(BadInput, match=f"No Ray cluster answers at {address}"):
        build(Own(tmp_path / "own"), write_folder(tmp_path / "photos", 3), helper=helper)


def test_the_command_line_names_an_address_only_with_ray(tmp_path, capsys):
    from cirdemo.cli import main

    words = ["index", str(tmp_path), "--name", "mine", "--address", "auto", "--json"]
    assert main(words) == 2
    assert "add --engine ray" in capsys.readouterr().out
