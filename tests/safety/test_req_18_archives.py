"""Requirement 18: archives are counted while they are read, and nothing is ever unpacked.

tests/test_archives.py makes the single kinds: links, devices, twins, lies, overlaps, claims.
"""

import io
import stat
import zipfile

import pytest

from cirdemo.archives import Limits, ZipGate
from cirdemo.types import BadInput

SMALL = Limits(entries=20, total_bytes=300_000, file_bytes=200_000)
BLOCK = 1 << 20


def entry(name, mode=0, flags=0):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.flag_bits |= flags
    return info


def packed(*entries, compression=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as out:
        for name, data in entries:
            out.writestr(name, data)
    return buffer.getvalue()


def nested():
    inner = packed(("deep.png", b"x" * 1000))
    for _ in range(5):
        inner = packed(*[(f"{n}.zip", inner) for n in range(8)])
    return inner


def nameless():
    """An entry without a name, which Python 3.11's zipfile stumbles over."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        out.writestr("a.png", b"x")
        out.filelist[0].filename = ""
    return buffer.getvalue()


ARCHIVES = {
    "no name": nameless,
    "leading out": lambda: packed(("../../evil.png", b"x"), ("a/../../evil.png", b"x")),
    "absolute": lambda: packed(("/etc/evil.png", b"x")),
    "a drive": lambda: packed(("C:\\evil.png", b"x"), ("c:/evil.png", b"x")),
    "backslashes": lambda: packed(("..\\..\\evil.png", b"x")),
    "a link": lambda: packed((entry("link.png", stat.S_IFLNK | 0o777), b"/etc/passwd")),
    "a device": lambda: packed((entry("dev.png", stat.S_IFCHR | 0o666), b"")),
    "encrypted": lambda: packed((entry("a.png"), b"x")).replace(
        b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00"
    ),
    "twins by case": lambda: packed(("A.png", b"1"), ("a.png", b"2")),
    "twins by composition": lambda: packed(("\u00e9.png", b"1"), ("e\u0301.png", b"2")),
    "hidden": lambda: packed((".ssh/id.png", b"x"), ("__MACOSX/a.png", b"x")),
    "control characters": lambda: packed(("a\x1b[2Jb.png", b"x")),
    "a long name": lambda: packed(("n" * 600 + ".png", b"x")),
    "too many": lambda: packed(*[(f"{n}.png", b"x") for n in range(50)]),
    "a bomb": lambda: packed(("bomb.png", b"\0" * (60 << 20))),
    "many small bombs": lambda: packed(*[(f"{n}.png", b"\0" * 190_000) for n in range(15)]),
    "archives in archives": nested,
    "no archive": lambda: b"PK\x03\x04 and nothing",
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_a_hostile_archive_is_refused_or_partly_taken(kind, tmp_path):
    file = tmp_path / "in" / "album.zip"
    file.parent.mkdir()
    file.write_bytes(ARCHIVES[kind]())
    taken, refused = 0, 0
    try:
        gate = ZipGate(file, SMALL)
        found, out = gate.scan()
        refused += len(out)
        assert all(one.reason.endswith(".") and one.path for one in out)
        assert len(found) <= SMALL.entries
        for one in found:
            try:
                data = one.read()
                taken += len(data)
                refused += data[:2] == b"PK"  # an archive inside one is no picture, never opened
            except BadInput as fault:
                refused += 1
                assert str(fault).endswith(".")
    except BadInput as fault:
        refused += 1
        assert "album.zip" in str(fault)
    assert refused > 0, "nothing was refused"
    assert taken <= SMALL.total_bytes * 1.1
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [file]  # no byte outside


def test_reading_stops_soon_behind_the_limit(tmp_path):
    """Not only is the rest not kept: it is not unpacked."""
    file = tmp_path / "bomb.zip"
    file.write_bytes(packed(("bomb.png", b"\0" * (200 << 20))))
    gate = ZipGate(file, Limits(entries=5, total_bytes=4 << 20, file_bytes=4 << 20))
    found, _ = gate.scan()
    with pytest.raises(BadInput):
        found[0].read()
    assert gate._read <= (4 << 20) + BLOCK
