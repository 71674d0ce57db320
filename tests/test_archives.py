"""The archive gate: counted while reading, nothing unpacked, every refusal named."""

import struct
import warnings
import zipfile

import pytest

from cirdemo.archives import LOCAL, Limits, ZipGate, told
from cirdemo.types import BadInput
from tests.fixtures_pictures import coded, write_zip

SMALL = Limits(entries=10, total_bytes=4 << 20, file_bytes=3 << 20)


def refused(path, limits=LOCAL):
    """(taken names, {path: (kind, reason)}) with the reading done, too."""
    found, out = ZipGate(path, limits).scan()
    reasons = {o.path: (o.kind, o.reason) for o in out}
    taken = []
    for one in found:
        try:
            one.read()
            taken.append(one.image_id)
        except BadInput as fault:
            reasons[one.image_id] = ("read", str(fault))
    return taken, reasons


def test_names_that_lead_out_are_listed_and_nothing_is_written(tmp_path):
    names = ["../up.jpg", "/abs.jpg", "a/../../b.jpg", "C:\\win.jpg", "..\\win.jpg", "ok/in.jpg"]
    path = write_zip(tmp_path / "z.zip", {n: coded(1) for n in names})
    before = sorted(tmp_path.rglob("*"))
    taken, out = refused(path)
    assert taken == ["ok/in.jpg"]
    assert {kind for kind, _ in out.values()} == {"name"}
    assert len(out) == 5
    assert sorted(tmp_path.rglob("*")) == before


def test_links_devices_hidden_and_encrypted_entries_are_left_out(tmp_path):
    link, device = zipfile.ZipInfo("link.jpg"), zipfile.ZipInfo("device.jpg")
    link.external_attr, device.external_attr = 0o120777 << 16, 0o020666 << 16
    path = write_zip(
        tmp_path / "z.zip",
        [(link, "/etc/passwd"), (device, ""), (".secret.jpg", b"x"), ("__MACOSX/a.jpg", b"x")],
    )
    _, out = refused(path)
    assert {p: k for p, (k, _) in out.items()} == {
        "link.jpg": "link",
        "device.jpg": "other file",
        ".secret.jpg": "hidden",
        "__MACOSX/a.jpg": "hidden",
    }
    locked = write_zip(tmp_path / "locked.zip", {"a.jpg": coded(1)})
    data = bytearray(locked.read_bytes())
    data[6] |= 1  # the local header's and the directory's flag
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    locked.write_bytes(data)
    assert "encrypted" in refused(locked)[1]["a.jpg"][1]


def test_twins_by_case_and_by_composition_are_one(tmp_path):
    entries = [("a.jpg", b"1"), ("A.JPG", b"2"), ("e\u0301.jpg", b"3"), ("\u00e9.jpg", b"4")]
    taken, out = refused(write_zip(tmp_path / "z.zip", entries))
    assert len(taken) == 2
    assert all("same name" in reason for _, reason in out.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        double = write_zip(tmp_path / "d.zip", [("a.jpg", b"1"), ("a.jpg", b"2")])
    assert len(refused(double)[0]) == 1


def test_a_bomb_stops_at_the_limits(tmp_path):
    path = write_zip(tmp_path / "bomb.zip", {"bomb.jpg": bytes(2 << 20)})
    assert "100 times its packed size" in refused(path, SMALL)[1]["bomb.jpg"][1]
    path = write_zip(tmp_path / "large.zip", {"large.jpg": bytes(5 << 20)})
    gate = ZipGate(path, Limits(entries=9, total_bytes=9 << 30, file_bytes=2 << 20, ratio=10**6))
    with pytest.raises(BadInput, match=r"larger than 2\.1 MB"):
        gate.scan()[0][0].read()
    assert gate._read <= 1.5 * (2 << 20)
    many = {f"{n}.jpg": bytes(1 << 20) for n in range(9)}
    taken, out = refused(write_zip(tmp_path / "many.zip", many), SMALL)
    assert len(taken) == 4
    assert all("unpacks to more than" in reason for _, reason in out.values())


def test_a_size_that_lies_is_found_while_reading(tmp_path):
    path = write_zip(tmp_path / "z.zip", {"a.jpg": bytes(2 << 20)})
    data = bytearray(path.read_bytes())
    for at in (data.find(b"PK\x03\x04") + 22, data.rfind(b"PK\x01\x02") + 24):
        data[at : at + 4] = struct.pack("<I", 10)
    path.write_bytes(data)
    taken, out = refused(path)
    assert taken == []
    assert out["a.jpg"][0] == "read"


def test_overlapping_entries_are_refused(tmp_path):
    path = write_zip(tmp_path / "z.zip", {"a.jpg": coded(1), "b.jpg": coded(2)})
    data = bytearray(path.read_bytes())
    second = data.rfind(b"PK\x01\x02")
    data[second + 42 : second + 46] = struct.pack("<I", 0)  # b.jpg, too, begins where a.jpg does
    path.write_bytes(data)
    taken, out = refused(path)
    assert len(taken) <= 1
    assert any("overlaps" in reason or "damaged" in reason for _, reason in out.values())


def test_claims_of_entries_are_refused_before_they_are_read(tmp_path):
    path = write_zip(tmp_path / "z.zip", {"a.jpg": b"1"})
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\x05\x06")
    data[at + 8 : at + 12] = struct.pack("<HH", 60_000, 60_000)
    path.write_bytes(data)
    with pytest.raises(BadInput, match="claims 60,000 files"):
        ZipGate(path, SMALL)
    real = write_zip(tmp_path / "many.zip", {f"{n}.txt": b"" for n in range(100_000 // 50)})
    with pytest.raises(BadInput, match="claims 2,000 files"):
        ZipGate(real, SMALL)


def test_a_damaged_entry_costs_no_other(tmp_path):
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as out:
        out.writestr("a.jpg", coded(1))
        out.writestr("b.jpg", coded(2))
    data = bytearray(path.read_bytes())
    data[200] ^= 255
    path.write_bytes(data)
    taken, out = refused(path)
    assert taken == ["b.jpg"]
    assert "damaged" in out["a.jpg"][1]


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"x" * 100])
def test_what_is_no_archive_is_refused_or_empty(tmp_path, data):
    path = tmp_path / "z.zip"
    path.write_bytes(data)
    try:
        assert ZipGate(path).scan() == ([], [])
    except BadInput as fault:
        assert "not a ZIP archive" in str(fault)


def test_half_an_archive_at_every_length_is_refused_in_words(tmp_path):
    whole = write_zip(tmp_path / "w.zip", {"a.jpg": coded(1), "b.png": coded(2)}).read_bytes()
    path = tmp_path / "z.zip"
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(BadInput):
            ZipGate(path)


def test_bytes_are_told_as_people_do():
    assert [told(n) for n in (12, 1200, 3_100_000, 250e6, 5e12)] == [
        "12 bytes",
        "1.2 kB",
        "3.1 MB",
        "250 MB",
        "5000 GB",
    ]
