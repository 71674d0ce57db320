"""Builds a gallery from a user's pictures; may be killed at any moment and goes on where it was.

Pictures are known by the digest of their bytes. What an earlier build or the journal holds is
taken from there; the rest is encoded in batches whose make-up depends on the pictures alone, so a
build that was interrupted ends with the same bytes as one that was not.
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
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from PIL import Image

from cirdemo.archives import Found, LeftOut, told
from cirdemo.gallery import near
from cirdemo.gallery.files import write_file
from cirdemo.gallery.journal import Journal, Row
from cirdemo.gallery.own import Home, Item
from cirdemo.gallery.progress import Progress, Report
from cirdemo.gallery.store import write_thumbnail
from cirdemo.intake import NO_PICTURE, load_image, may_be_picture
from cirdemo.types import BadInput, CirError, Encoder, SpaceMismatch

BATCH = 32  # pictures encoded and noted together: what a kill can cost
BATCH_PIXELS = 60_000_000  # 180 MB decoded
AHEAD = 4  # pictures decoded before they are needed
COPY_SIDE = 1024  # pixels of the longer side, for pictures that do not stay where they were
WINDOW = 20.0  # seconds that the rate is measured over
JOURNAL = 1  # version of the journal's rows


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


@dataclass(slots=True, kw_only=True, eq=False)
class _Looked:
    """A picture that was decoded and waits to be encoded."""

    sha256: str
    picture: Image.Image
    signature: np.ndarray
    copy: bool  # the file does not stay: the gallery keeps a copy


@dataclass(slots=True, eq=False)
class _Work:
    """The state of one build."""

    home: Home
    encoder: Encoder
    keep_copies: bool
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
    start: float = field(default_factory=time.monotonic)
    marks: deque[tuple[float, int]] = field(default_factory=deque)

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
) -> Iterator[Progress]:
    """Build or update a gallery; close the iterator to stop, call again to go on.

    Args:
        home: The gallery's folder.
        source: Its pictures; files that are gone since the last build leave the gallery.
        encoder: Its space and preprocessing are written into the manifest.
        add: Keep what the gallery holds beside the new pictures.
        replace_space: Build anew where the gallery is of another encoder.
        workers: Threads that decode.

    Yields:
        Progress, often; the last one has the report.

    Raises:
        SpaceMismatch: The gallery is of another encoder; both are named.
        BadInput: No picture can be read, the gallery is being built already, or the disk is full.
    """
    try:
        with home.lock():
            yield from _index(home, source, encoder, add, replace_space, workers)
    except OSError as fault:
        raise _no_room(home, fault) from fault


def _index(
    home: Home, source: Source, encoder: Encoder, add: bool, replace_space: bool, workers: int
) -> Iterator[Progress]:
    home.thumbnails.mkdir(parents=True, exist_ok=True)
    (home.folder / "pictures").mkdir(exist_ok=True)
    work = _Work(home, encoder, keep_copies=not source.stays)
    held = _take_over(work, replace_space)
    home.remember(source.about)
    journal = home.journal(format=JOURNAL, space=encoder.space, preprocessing=encoder.preprocessing)
    try:
        work.rows |= {row["sha256"]: row for row in journal.rows}
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
                item.sha256, _row(item.sha256, vector, small, item.width, item.height)
            )
    work.before = set(work.rows)
    return held


def _encode(work: _Work, journal: Journal, found: list[Found], workers: int) -> Iterator[Progress]:
    """Look at every file in order; what is not known is decoded ahead and encoded in batches."""
    queued: deque[tuple[Found, str, Future[_Looked]]] = deque()
    batch: list[_Looked] = []
    asked: set[str] = (
        set()
    )  # digests on their way: a second file with the same bytes waits for none
    told_at = time.monotonic()

    def settle(most: int) -> Iterator[Progress]:
        while len(queued) > most:
            one, digest, future = queued.popleft()
            try:
                batch.append(future.result())
            except CirError as fault:
                work.failed[digest] = str(fault)
                work.out.append(_unreadable(one.image_id, str(fault)))
            if len(batch) >= BATCH or sum(_area(b) for b in batch) >= BATCH_PIXELS:
                yield from flush()

    def flush() -> Iterator[Progress]:
        if batch:
            _write_batch(work, journal, batch)
            batch.clear()
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
                if not _known(work, item) and digest not in asked:
                    asked.add(digest)
                    queued.append((one, digest, pool.submit(_look, data, digest, at is None)))
                    yield from settle(AHEAD)
                    continue
                work.new += digest not in work.before
                if time.monotonic() - told_at > 0.5:
                    told_at = time.monotonic()
                    yield work.progress("encoding")
            yield from settle(0)
            yield from flush()
        finally:
            for _, _, future in queued:
                future.cancel()


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


def _look(data: bytes, digest: str, copy: bool) -> _Looked:
    picture = load_image(data)
    return _Looked(sha256=digest, picture=picture, signature=near.signature(picture), copy=copy)


def _write_batch(work: _Work, journal: Journal, batch: list[_Looked]) -> None:
    """Encode a batch, write its small copies, then note it: from here on it is never lost."""
    vectors = work.encoder.encode_images([b.picture for b in batch])  # (N, D)
    if not np.isfinite(vectors).all():
        raise CirError("The encoder gave values that are not finite; another profile may help.")
    rows = []
    for looked, vector in zip(batch, vectors, strict=True):
        width, height = looked.picture.size
        rows.append(_row(looked.sha256, vector, looked.signature, width, height))
        write_thumbnail(looked.picture, work.home.thumbnails / f"{looked.sha256}.webp")
        if looked.copy:
            write_file(work.home.picture(looked.sha256), _copy(looked.picture))
    journal.add(rows)
    work.rows |= {row["sha256"]: row for row in rows}
    work.new += len(rows)


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
    work.home.publish(
        items,
        vectors,
        extra,
        space=work.encoder.space,
        preprocessing=work.encoder.preprocessing,
        about=dict(about),
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
        seconds=round(time.monotonic() - work.start, 2),
    )


def _row(digest: str, vector: np.ndarray, small: np.ndarray, width: int, height: int) -> Row:
    coded = base64.b64encode(np.ascontiguousarray(vector, "<f4").tobytes()).decode()
    return {
        "sha256": digest,
        "vector": coded,
        "signature": base64.b64encode(small.tobytes()).decode(),
        "sides": [width, height],
    }


def _area(looked: _Looked) -> int:
    return looked.picture.width * looked.picture.height


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
