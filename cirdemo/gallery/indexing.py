"""Builds a gallery from a user's pictures; may be killed at any moment and goes on where it was.

Pictures are known by the digest of their bytes. What an earlier build or the journal holds is
taken from there; the rest is encoded in groups whose make-up depends on the files alone, so a
build that was interrupted ends with the same bytes as one that was not, and one that other
machines helped with as one that was made here.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import io
import itertools
import json
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from PIL import Image

from cirdemo.archives import Found, LeftOut, told
from cirdemo.gallery import fast_index, milvus, milvus_index, near
from cirdemo.gallery.decoding import decode
from cirdemo.gallery.files import write_file
from cirdemo.gallery.groups import SIZE, Group, known
from cirdemo.gallery.items import Item
from cirdemo.gallery.journal import Journal, Row
from cirdemo.gallery.own import Home
from cirdemo.gallery.progress import Progress, Report
from cirdemo.gallery.store import keep_thumbnail, write_thumbnail
from cirdemo.intake import NO_PICTURE, may_be_picture
from cirdemo.types import BadInput, CirError, Encoder, SpaceMismatch

AHEAD_PIXELS = 60_000_000  # decoded before they are needed: more of small pictures,
AHEAD = (4, 2 * SIZE)  # but so many at least and at most
COPY_SIDE = 1024  # pixels of the longer side, for pictures that do not stay where they were
WINDOW = 20.0  # seconds that the rate is measured over
JOURNAL = 2  # version of the journal's rows


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
class _Work:
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


def index(
    home: Home,
    source: Source,
    encoder: Encoder,
    *,
    add: bool = False,
    replace_space: bool = False,
    workers: int = 2,
    store: str = "",
    helper: Helper | None = None,
) -> Iterator[Progress]:
    """Build or update a gallery; close the iterator to stop, call again to go on.

    Args:
        home: The gallery's folder.
        source: Its pictures; files that are gone since the last build leave the gallery.
        encoder: Its space and preprocessing are written into the manifest.
        add: Keep what the gallery holds beside the new pictures.
        replace_space: Build anew where the gallery is of another encoder.
        workers: Pictures decoded at once, each in a process of its own.
        store: Where it is searched: "faiss", "milvus:URI", or "" to leave that as it is.
        helper: Other machines that encode, for pictures that stay where they are.

    Yields:
        Progress, often; the last one has the report.

    Raises:
        SpaceMismatch: The gallery is of another encoder; both are named.
        BadInput: No picture can be read, the gallery is being built already, or the disk is full.
        CirError: Milvus is asked for and does not answer.
    """
    try:
        with home.lock():
            work = _Work(home, encoder, not source.stays, helper, store)
            yield from _index(work, source, add, replace_space, workers)
    except OSError as fault:
        raise _no_room(home, fault) from fault


def _index(
    work: _Work, source: Source, add: bool, replace_space: bool, workers: int
) -> Iterator[Progress]:
    home, encoder = work.home, work.encoder
    if work.helper is not None and work.keep_copies:
        raise BadInput("Other machines read a folder that they all see. Unpack the archive first.")
    home.thumbnails.mkdir(parents=True, exist_ok=True)
    (home.folder / "pictures").mkdir(exist_ok=True)
    held = _take_over(work, replace_space)
    work.store = work.store if work.store in ("", "faiss") else milvus.address(work.store)
    if "://" in work.store:
        milvus.connect(work.store).close()  # said now, and not when all is encoded
    home.remember(source.about)
    journal = home.journal(format=JOURNAL, space=encoder.space, preprocessing=encoder.preprocessing)
    try:
        _take(work, journal.rows)
        yield work.progress("looking")
        found, work.out = source.scan()
        work.of = len(found)
        yield work.progress("encoding")
        yield from _encode(work, journal, found, workers)
        _drop_failed(work)
        if add:
            there = {item.image_id for item in work.items}
            work.items += [item for item in held if item.image_id not in there]
        work.items.sort(key=lambda item: item.image_id)
        if not work.items:
            (home.folder / "journal").unlink()  # there is nothing to go on with
            raise BadInput(_nothing(work.out))
        yield work.progress("writing")
        report = _publish(work, held, source.about)
    finally:
        journal.close()
    yield replace(work.progress("done"), report=report, seconds_left=0.0)


def _take_over(work: _Work, replace_space: bool) -> tuple[Item, ...]:
    """Vectors of earlier builds of the same encoder; returns the pictures now in the gallery."""
    held: tuple[Item, ...] = ()
    mine = (work.encoder.space, work.encoder.preprocessing)
    for number, build in enumerate(work.home.usable()):
        theirs = (build.manifest["space"], build.manifest["preprocessing"])
        if number == 0 and not work.store:
            work.store = str(build.manifest.get("index", {}).get("uri", ""))
        if theirs != mine:
            if number == 0 and not replace_space:
                raise SpaceMismatch(
                    f"Gallery '{work.home.name}' was built by encoder '{theirs[0]}' ({theirs[1]}); "
                    f"the one in use is '{mine[0]}' ({mine[1]}). Give another name, use the "
                    "profile it was built with, or build it anew with --replace."
                )
            continue
        held = held or build.items
        for item, vector, small in zip(build.items, build.vectors, build.signatures, strict=True):
            work.rows.setdefault(
                item.sha256, known(item.sha256, vector, small, item.width, item.height)
            )
    work.before = set(work.rows)
    return held


def _encode(work: _Work, journal: Journal, found: list[Found], workers: int) -> Iterator[Progress]:
    """Look at every file in order; what is not known is decoded ahead and encoded in groups."""
    queued: deque[tuple[str, Future[tuple[Image.Image, np.ndarray]]]] = deque()
    group = Group(work.encoder)
    elsewhere: list[tuple[str, str]] = []
    asked: set[str] = (
        set()
    )  # digests on their way: a second file with the same bytes waits for none
    told_at = time.monotonic()

    def settle(most: int) -> Iterator[Progress]:
        while len(queued) > most:
            digest, future = queued.popleft()
            try:
                picture, signature = future.result()
                group.add(digest, picture, signature)
                work.area += 0.2 * (picture.width * picture.height - work.area)
            except BadInput as fault:
                group.fail(digest, str(fault))
            if group.full:
                yield from flush()

    def flush() -> Iterator[Progress]:
        nonlocal group
        group.encode()
        _note(work, journal, group.rows)
        group = Group(work.encoder)
        yield work.progress("encoding")

    with ThreadPoolExecutor(max(1, workers)) as pool:
        try:
            for one in found:
                work.done += 1
                data = _read(work, one)
                if data is None:
                    continue
                digest = hashlib.sha256(data).hexdigest()
                at = None if work.keep_copies or one.path is None else str(one.path)
                item = Item(
                    image_id=one.image_id,
                    sha256=digest,
                    width=0,
                    height=0,
                    size=len(data),
                    at=work.places.setdefault(digest, at),
                )
                work.items.append(item)
                work.unchanged += digest in work.before
                if digest in work.failed:
                    continue
                if not _known(work, item) and digest not in asked:
                    asked.add(digest)
                    if work.helper is not None:
                        work.done -= 1  # it is read once more
                        elsewhere.append((str(one.path), digest))
                        continue
                    queued.append((digest, pool.submit(_look, work.home, data, digest, at)))
                    yield from settle(work.ahead())
                    continue
                work.new += digest not in work.before
                if time.monotonic() - told_at > 0.5:
                    told_at = time.monotonic()
                    yield work.progress("encoding")
            yield from settle(0)
            yield from flush()
        finally:
            for _, future in queued:
                future.cancel()
    if elsewhere and work.helper is not None:
        for rows, copies in work.helper.encoded(elsewhere):
            for digest, data in copies.items():
                keep_thumbnail(data, work.home.thumbnails / f"{digest}.webp")
            _note(work, journal, rows)
            work.done += len(rows)
            yield work.progress("encoding")


def _drop_failed(work: _Work) -> None:
    """Leave out what could not be decoded, copies of it under other names too."""
    told = {one.path for one in work.out}
    for item in work.items:
        if item.sha256 in work.failed and item.image_id not in told:
            work.out.append(_unreadable(item.image_id, work.failed[item.sha256]))
    work.items = [item for item in work.items if item.sha256 not in work.failed]


def _read(work: _Work, one: Found) -> bytes | None:
    """The bytes of a file that begins like a picture, or None with a note of why not."""
    try:
        data = one.read()
    except BadInput as fault:
        work.out.append(_unreadable(one.image_id, str(fault)))
        return None
    if not may_be_picture(one.image_id, data[:32]):
        work.out.append(LeftOut(path=one.image_id, kind="other file", reason=NO_PICTURE))
        return None
    return data


def _known(work: _Work, item: Item) -> bool:
    """Whether the picture needs no encoding: its vector is there, and its copy if it needs one."""
    if item.sha256 not in work.rows:
        return False
    return item.at is not None or work.home.picture(item.sha256).is_file()


def _look(home: Home, data: bytes, digest: str, at: str | None) -> tuple[Image.Image, np.ndarray]:
    """Decode a picture and write its small copies, beside the encoder's work on those before.

    A copy that is there and was never noted, because of a kill, is written again or tidied away.
    """
    picture = decode(data)
    write_thumbnail(picture, home.thumbnails / f"{digest}.webp")
    if at is None:  # the file does not stay: the gallery keeps a copy
        write_file(home.picture(digest), _copy(picture))
    return picture, near.signature(picture)


def _note(work: _Work, journal: Journal, rows: Sequence[Row]) -> None:
    """Note a group: from here on it is never lost."""
    if rows:
        journal.add(rows)
        work.new += sum("vector" in row for row in rows)
        _take(work, rows)


def _take(work: _Work, rows: Sequence[Row]) -> None:
    """Use what is noted: vectors, and why there is none."""
    for row in rows:
        if "failed" in row:
            work.failed[row["sha256"]] = row["failed"]
        else:
            work.rows[row["sha256"]] = row


def _copy(picture: Image.Image) -> bytes:
    """A picture without its metadata, no larger than any model here looks at."""
    small = picture.copy()
    small.thumbnail((COPY_SIDE, COPY_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def _publish(work: _Work, held: tuple[Item, ...], about: Mapping[str, Any]) -> Report:
    rows = [work.rows[item.sha256] for item in work.items]
    items = [
        replace(item, width=row["sides"][0], height=row["sides"][1])
        for item, row in zip(work.items, rows, strict=True)
    ]
    vectors = np.stack([np.frombuffer(base64.b64decode(r["vector"]), "<f4") for r in rows])
    small = np.stack([np.frombuffer(base64.b64decode(r["signature"]), np.uint8) for r in rows])
    pairs = [(items[i].image_id, items[j].image_id, d) for i, j, d in near.near_pairs(small)]
    work.out.sort(key=lambda one: one.path)
    extra = {
        "signatures.bin": small.tobytes(),
        "left_out.json": json.dumps([asdict(one) for one in work.out]).encode(),
        "near.json": json.dumps(pairs).encode(),
    }
    if work.store in ("", "faiss"):
        index, exact = fast_index.fitted(vectors, work.encoder)
        facts = exact.told()
        if index is not None:
            extra[fast_index.FILE] = index.dump()
    else:
        facts = milvus_index.fitted(work.home, items, vectors, work.encoder, work.store)
    work.home.publish(
        items,
        vectors,
        extra,
        space=work.encoder.space,
        preprocessing=work.encoder.preprocessing,
        about=dict(about),
        index=facts,
        built=time.strftime("%Y-%m-%d %H:%M"),
    )
    new = sum(item.sha256 not in work.before for item in items)
    now = {item.image_id for item in items}
    return Report(
        gallery=work.home.name,
        pictures=len(items),
        new=new,
        unchanged=len(items) - new,
        removed=sum(item.image_id not in now for item in held),
        left_out=tuple(work.out),
        near=tuple(pairs),
        space=work.encoder.space,
        index=facts,
        seconds=round(time.monotonic() - work.start, 2),
    )


def _unreadable(path: str, why: str) -> LeftOut:
    return LeftOut(path=path, kind="unreadable", reason=why)


def _nothing(out: list[LeftOut]) -> str:
    text = "There is no picture that can be read."
    if out:
        first = "; ".join(f"{o.path}: {o.reason}" for o in itertools.islice(out, 3))
        text += f" {len(out)} files were left out, such as {first}"
    return f"{text} Add JPEG, PNG, WebP, GIF, BMP or TIFF files."


def _no_room(home: Home, fault: OSError) -> CirError:
    if fault.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        held = home.folder / "journal"
        size = held.stat().st_size if held.is_file() else 0
        need = told(max(50e6, 2.0 * size))
        why = f"The disk is full. Free at least {need}"
    else:
        why = f"It cannot be written ({fault.strerror or fault}). Check the rights of its folder"
    return BadInput(
        f"Gallery '{home.name}': {why} and run the same again: what is finished is kept, and the "
        "gallery that was there before still works."
    )
