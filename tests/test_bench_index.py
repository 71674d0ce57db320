"""`bench index` on a few pictures: its parts, its builds, what they are held against."""

import subprocess
import sys

import pytest

from cirdemo.bench import clock, index, tables
from cirdemo.gallery.work import AHEAD, Work
from tests.fixtures_pictures import SlowEncoder, write_folder


@pytest.fixture
def files(tmp_path):
    return sorted(write_folder(tmp_path / "photos", 20).rglob("*.*"))


def test_a_report_holds_the_parts_the_bound_and_three_builds(files):
    report = index.bench(files, SlowEncoder(), rounds=1)
    assert report["builds"]["whole"]["encoded"] == len(files) - 1
    assert report["builds"]["unchanged"]["encoded"] == 0
    assert report["builds"]["added"]["encoded"] == 1
    assert report["bounds"]["encode_decode"] > report["bounds"]["all_parts"] > 0
    assert report["bf16"] is None  # it is no encoder of open_clip's
    whole = report["builds"]["whole"]
    assert 0 <= whole["decoders"] < whole["processor"] and report["busy"] > 0
    text = tables.markdown(report)
    assert (
        "| **built** |" in text and "unchanged folder: pictures encoded | 0 | ≤ 0 | met |" in text
    )


def test_what_children_take_is_counted_while_they_run_and_when_they_have_ended():
    code = "import sys, time\nwhile time.process_time() < 0.3: pass\nprint(flush=True); input()"
    before = clock.of_children()
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1) as child:
        child.stdout.readline()
        assert clock.of_children() - before >= 0.25  # it is told in hundredths
        child.communicate(b"\n")
    assert clock.of_children() - before >= 0.25


def test_more_small_pictures_than_large_ones_are_decoded_ahead():
    work = Work(None, None, keep_copies=False)
    least, most = AHEAD
    assert work.ahead() == least  # the first may be of any size
    work.area = 256 * 256.0
    assert work.ahead() == most
    work.area = 4e6
    assert least < work.ahead() < most
