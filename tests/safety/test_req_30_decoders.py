"""Requirement 30: a picture whose decoder crashes or hangs costs itself, and nothing beside it."""

import os
import random
import sys
import time

import pytest
from PIL import Image

from cirdemo.data import folder
from cirdemo.gallery import decoding, indexing
from cirdemo.gallery.own import Own
from cirdemo.types import BadInput
from tests.fixtures_pictures import SlowEncoder, coded
from tests.safety import figures

NIGHTLY = bool(os.environ.get("CIRDEMO_NIGHTLY"))
COUNT = 1000 if NIGHTLY else 60
HOSTILE = 60 if NIGHTLY else 12
# decodes like the program, but for two pictures: holes in decoders cannot be had on order
HOLES = """
import os, time
from cirdemo.gallery import decoding
sound = decoding.load_image
def load_image(data):
    if data.endswith(b"crash"):
        os.abort()
    if data.endswith(b"hang"):
        time.sleep(600)
    return sound(data)
decoding.load_image = load_image
decoding.main()
"""


@pytest.fixture
def holes(monkeypatch):
    """Decoders with two holes, and not much patience."""
    monkeypatch.setattr(decoding, "COMMAND", (sys.executable, "-c", HOLES))
    monkeypatch.setattr(decoding, "SECONDS", 15.0)
    monkeypatch.setattr(decoding, "_idle", type(decoding._idle)())  # those before have no holes
    yield decoding._idle
    while not decoding._idle.empty():
        decoding._idle.get().end()


def build(own, name, photos):
    began = time.monotonic()
    *_, last = indexing.index(own.home(name), folder.pictures_at(photos), SlowEncoder())
    return last.report, time.monotonic() - began


def test_req_30_indexing_survives_decoders_that_crash_and_hang(tmp_path, holes):
    photos, rng = tmp_path / "photos", random.Random(0)
    photos.mkdir()
    whole = {f"{n:04d}.jpg": coded(n) for n in range(COUNT)}
    for name, data in whole.items():
        (photos / name).write_bytes(data)
    _, clean = build(Own(tmp_path / "own"), "clean", photos)
    bad = sorted(rng.sample(sorted(whole), HOSTILE))
    for number, name in enumerate(bad):
        data = whole[name]
        if number % 4 == 0 and number:
            data += b"crash"
        elif number == 0:
            data += b"hang"
        else:
            data = data[: len(data) // 2] if number % 4 == 1 else b"no picture at all"
        (photos / name).write_bytes(data)
    report, hostile = build(Own(tmp_path / "own"), "mine", photos)
    assert report.pictures == COUNT - HOSTILE
    assert {one.path for one in report.left_out} == set(bad)
    why = {one.path: one.reason for one in report.left_out}
    assert "took more than 15 seconds" in why[bad[0]]
    assert all("crashed" in why[name] for name in bad[4::4])
    told = f"{report.pictures} indexed, {HOSTILE} listed with the reason; {hostile:.1f} s"
    what = f"{COUNT:,} files, {HOSTILE} hostile (crashes, a hang of {decoding.SECONDS:g} s)"
    figures.tell(30, what, f"{told}, without the hostile ones {clean:.1f} s")


def test_req_30_a_decoder_that_died_unasked_is_replaced(holes):
    assert decoding.decode(coded(1)).size == (48, 36)
    one = holes.get()
    one._process.kill()
    one._process.wait()
    holes.put(one)
    assert decoding.decode(coded(2)).size == (48, 36)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_req_30_a_picture_is_the_same_from_another_process(kind):
    data = coded(3, kind)
    assert decoding.decode(data).tobytes() == decoding.load_image(data).tobytes()


@pytest.mark.parametrize("data", [b"", b"x" * 100, coded(4)[:200]])
def test_req_30_a_refusal_is_the_same_from_another_process(data):
    with pytest.raises(BadInput) as here:
        decoding.load_image(data)
    with pytest.raises(BadInput) as there:
        decoding.decode(data)
    assert str(here.value) == str(there.value)


def test_req_30_a_large_picture_passes(tmp_path):
    path = tmp_path / "large.png"
    Image.linear_gradient("L").resize((6000, 4000)).save(path)
    assert decoding.decode(path.read_bytes()).size == (6000, 4000)
