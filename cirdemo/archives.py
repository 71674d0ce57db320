"""The gate for archives: entries are counted while they are read, and nothing is ever unpacked.

No size that an archive states is believed, and no name of it becomes a path on this machine: an
entry's bytes go from the archive into memory, up to limits.
"""

from __future__ import annotations

import functools
import re
import stat
import struct
import threading
import unicodedata
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from cirdemo.types import BadInput, ImageId

BLOCK = 1 << 20  # bytes read at a time, so that a lie is noticed soon
ENTRY_BYTES = 1024  # of the directory an entry may take on average: a long name and its fields
SMALL = 1 << 20  # below this no ratio is suspicious
MAX_NAME = 512  # characters of a path inside an archive or a folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may come in at once."""

    entries: int  # files, pictures or not
    total_bytes: int  # of all, unpacked
    file_bytes: int  # of one, unpacked
    ratio: int = 100  # unpacked to packed, for an entry above 1 MiB


LOCAL = Limits(entries=200_000, total_bytes=200 << 30, file_bytes=256 << 20)
PUBLIC = Limits(entries=2_000, total_bytes=1 << 30, file_bytes=20 << 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A file that did not become a picture of a gallery, and why."""

    path: str  # inside the folder or the archive
    kind: str  # unreadable | other file | hidden | link | name | limit | missing
    reason: str  # a sentence


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """A file that may be a picture; `read` gives its bytes or raises BadInput."""

    image_id: ImageId
    read: Callable[[], bytes]
    path: Path | None = None  # where it lies, None inside an archive


class ZipGate:
    """The files of one ZIP archive, under limits."""

    def __init__(self, path: Path, limits: Limits = LOCAL, prefix: str = "") -> None:
        """Open an archive.

        Args:
            path: Of the archive, told by its content whatever its name.
            limits: What may come out of it.
            prefix: Put before every name.

        Raises:
            BadInput: It is no ZIP archive, damaged, or its directory is too large.
        """
        self.limits, self.prefix = limits, prefix
        self._read, self._lock = 0, threading.Lock()
        try:
            with path.open("rb") as stream:
                claimed, size = _directory(stream)
            most = min(limits.entries * ENTRY_BYTES, 64 << 20)
            if claimed > limits.entries or size > most:
                raise BadInput(
                    f"The archive '{path.name}' claims {claimed:,} files; at most "
                    f"{limits.entries:,} can be taken. Split it into smaller ones."
                )
            self._zip = zipfile.ZipFile(path)
        except (
            OSError,
            zipfile.BadZipFile,
            ValueError,
            struct.error,
            NotImplementedError,
        ) as fault:
            raise BadInput(
                f"'{path.name}' is not a ZIP archive that can be read. Pack it again."
            ) from fault

    def scan(self) -> tuple[list[Found], list[LeftOut]]:
        """The files to look at and those refused by name or kind, in the order of their names."""
        found: list[Found] = []
        out: list[LeftOut] = []
        # by hand: what zipfile asks fails on an entry without a name
        infos = [i for i in self._zip.infolist() if not i.filename.endswith("/")]
        twisted = _overlapping(infos)
        seen: set[str] = set()
        for info in sorted(infos, key=lambda i: i.filename):
            name = info.filename.replace("\\", "/")
            shown = self.prefix + (printable(name) or "(no name)")
            fold = unicodedata.normalize("NFC", name).casefold()
            refused = refused_name(name) or _refused_kind(info)
            if refused is None and info.header_offset in twisted:
                refused = ("unreadable", "It overlaps another entry of the archive.")
            if refused is None and fold in seen:
                refused = ("name", "Another entry of the archive has the same name.")
            if refused is None and len(found) >= self.limits.entries:
                refused = ("limit", f"At most {self.limits.entries:,} files are taken.")
            if refused is None:
                seen.add(fold)
                read = functools.partial(self._bytes, info)
                found.append(Found(image_id=self.prefix + name, read=read))
            else:
                out.append(LeftOut(path=shown, kind=refused[0], reason=refused[1]))
        return found, out

    def _bytes(self, info: zipfile.ZipInfo) -> bytes:
        """An entry unpacked, counted as it comes."""
        parts: list[bytes] = []
        size = 0
        try:
            with self._zip.open(info) as stream:
                while block := stream.read(BLOCK):
                    size += len(block)
                    with self._lock:
                        self._read += len(block)
                        total = self._read
                    self._check(size, total, info.compress_size)
                    parts.append(block)
        except BadInput:
            raise
        except Exception as fault:  # zipfile and its decoders raise nearly anything
            raise BadInput("It is damaged inside the archive. Pack it again.") from fault
        return b"".join(parts)

    def _check(self, size: int, total: int, packed: int) -> None:
        limits = self.limits
        if total > limits.total_bytes:
            raise BadInput(f"The archive unpacks to more than {told(limits.total_bytes)}.")
        if size > limits.file_bytes:
            raise BadInput(f"It is larger than {told(limits.file_bytes)}.")
        if size > SMALL and size > limits.ratio * max(packed, 1):
            raise BadInput(f"It unpacks to more than {limits.ratio} times its packed size.")


def refused_name(name: str) -> tuple[str, str] | None:
    """Why a path inside a folder or an archive is not taken: (kind, reason), or None."""
    parts = PurePosixPath(name).parts
    try:
        name.encode()
    except UnicodeEncodeError:
        return "name", "Its name is not valid text. Rename it."
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        return "name", "Its name holds control characters. Rename it."
    if len(name) > MAX_NAME:
        return "name", f"Its path has more than {MAX_NAME} characters. Shorten it."
    if not parts:
        return "name", "It has no name."
    if name.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", name):
        return "name", "Its path leads out of the archive."
    if "__MACOSX" in parts or any(p.startswith(".") for p in parts):
        return "hidden", "It is a hidden file."
    return None


def printable(name: str) -> str:
    """A name that can be shown and stored whatever it holds."""
    text = name.encode("utf-8", "replace").decode("utf-8")[:MAX_NAME]
    return "".join(c if unicodedata.category(c) not in ("Cc", "Cs") else "\ufffd" for c in text)


def told(count: float) -> str:
    """Bytes as people write them: '3.1 MB'."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return (
                f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
            )
        count /= 1000
    raise ValueError(count)


def is_zip(head: bytes) -> bool:
    """Whether a file that begins like this is a ZIP archive."""
    return head[:4] in (b"PK\x03\x04", b"PK\x05\x06")


def _refused_kind(info: zipfile.ZipInfo) -> tuple[str, str] | None:
    mode = info.external_attr >> 16
    if stat.S_ISLNK(mode):
        return "link", "It is a link."
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "other file", "It is no plain file."
    if info.flag_bits & 1:
        return "unreadable", "It is encrypted. Pack it without a password."
    return None


def _overlapping(infos: list[zipfile.ZipInfo]) -> set[int]:
    """Header offsets of entries that share bytes with another: a bomb, never a real archive."""
    bad: set[int] = set()
    ordered = sorted(infos, key=lambda i: i.header_offset)
    reach, owner = -1, -1
    for info in ordered:
        if info.header_offset < reach:
            bad |= {info.header_offset, owner}
        end = info.header_offset + 30 + info.compress_size  # 30: the local header without names
        if end > reach:
            reach, owner = end, info.header_offset
    return bad


def _directory(stream: BinaryIO) -> tuple[int, int]:
    """What the end of an archive claims: files, and bytes of the directory.

    Asked before `zipfile` opens it, because that reads the whole directory into memory.
    """
    size = stream.seek(0, 2)
    tail_at = max(0, size - 65_557)  # the longest comment and the record before it
    stream.seek(tail_at)
    tail = stream.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0:
        raise zipfile.BadZipFile("no end record")
    entries, length = struct.unpack("<HL", tail[at + 10 : at + 16])
    if entries == 0xFFFF or length == 0xFFFFFFFF:
        locator = tail[max(0, at - 20) : at]
        if locator[:4] == b"PK\x06\x07":
            stream.seek(struct.unpack("<Q", locator[8:16])[0])
            record = stream.read(56)
            if record[:4] == b"PK\x06\x06":
                entries, length = struct.unpack("<QQ", record[32:48])
    return entries, length
