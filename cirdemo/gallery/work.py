"""The state of one build: what is asked, what is known, how far it is."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from cirdemo.archives import Found, LeftOut
from cirdemo.gallery.groups import SIZE
from cirdemo.gallery.items import Item
from cirdemo.gallery.journal import Journal, Row
from cirdemo.gallery.own import Home
from cirdemo.gallery.progress import Progress
from cirdemo.types import Encoder

AHEAD_PIXELS = 60_000_000  # decoded before they are needed: more of small pictures,
AHEAD = (4, 2 * SIZE)  # but so many at least and at most
WINDOW = 20.0  # seconds that the rate is measured over


class Source(Protocol):
    """Where the pictures come from: `cirdemo.data.folder.Pictures`."""

    @property
    def about(self) -> Mapping[str, Any]:
        """Kind and path, for the gallery's card."""

    @property
    def stays(self) -> bool:
        """Whether the files remain where they are."""

    def scan(self) -> tuple[list[Found], list[LeftOut]]:
        """Files to look at, and files left out."""


class Helper(Protocol):
    """Encodes elsewhere: `cirdemo.gallery.ray_engine.Cluster`."""

    def encoded(
        self, files: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[list[Row], dict[str, bytes]]]:
        """Rows and small copies, a group at a time, of (path, digest)."""


@dataclass(slots=True, eq=False)
class Work:
    """The state of one build."""

    home: Home
    encoder: Encoder
    keep_copies: bool
    helper: Helper | None = None
    store: str = ""  # faiss, milvus:URI, or "" for what the gallery has
    rows: dict[str, Row] = field(default_factory=dict)  # by digest: vector, signature, sides
    before: set[str] = field(default_factory=set)  # digests of the build in force
    items: list[Item] = field(default_factory=list)
    out: list[LeftOut] = field(default_factory=list)
    done: int = 0
    of: int = 0
    new: int = 0
    unchanged: int = 0
    places: dict[str, str | None] = field(default_factory=dict)  # of equal files the first's
    failed: dict[str, str] = field(default_factory=dict)  # why, by digest
    area: float = float(AHEAD_PIXELS)  # of a picture, lately; the first may be of any size
    start: float = field(default_factory=time.monotonic)
    marks: deque[tuple[float, int]] = field(default_factory=deque)

    def ahead(self) -> int:
        """How many pictures may be decoded before they are needed."""
        least, most = AHEAD
        return int(min(most, max(least, AHEAD_PIXELS / max(1.0, self.area))))

    def progress(self, phase: str) -> Progress:
        """How far it is."""
        now = time.monotonic()
        self.marks.append((now, self.done))
        while now - self.marks[0][0] > WINDOW and len(self.marks) > 2:
            self.marks.popleft()
        span, first = now - self.marks[0][0], self.marks[0][1]
        rate = (self.done - first) / span if span > 0.2 else 0.0
        return Progress(
            phase=phase,
            done=self.done,
            of=self.of,
            new=self.new,
            unchanged=self.unchanged,
            left_out=len(self.out),
            rate=rate,
            seconds_left=(self.of - self.done) / rate if rate else None,
            seconds=now - self.start,
        )

    def take(self, rows: Sequence[Row]) -> None:
        """Use what is noted: vectors, and why there is none."""
        for row in rows:
            if "failed" in row:
                self.failed[row["sha256"]] = row["failed"]
            else:
                self.rows[row["sha256"]] = row

    def note(self, journal: Journal, rows: Sequence[Row]) -> None:
        """Note a group: from here on it is never lost."""
        if rows:
            journal.add(rows)
            self.new += sum("vector" in row for row in rows)
            self.take(rows)


def unreadable(path: str, why: str) -> LeftOut:
    """A file whose picture cannot be read."""
    return LeftOut(path=path, kind="unreadable", reason=why)
