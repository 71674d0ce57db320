"""The long part of a build: every new picture is decoded, copied and encoded.

Decoding runs ahead, each picture in a process of its own; groups are encoded beside each other, a
group on one thread. Threads of one product would wait for each other at every layer, the longer
the busier the machine is; and one thread's sums are the same to the last bit on every build.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import sys
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from cirdemo.archives import Found, LeftOut
from cirdemo.gallery import copies, groups, near
from cirdemo.gallery.decoding import decode
from cirdemo.gallery.files import write_file
from cirdemo.gallery.groups import Group
from cirdemo.gallery.items import Item
from cirdemo.gallery.journal import Journal, Row
from cirdemo.gallery.own import Home
from cirdemo.gallery.progress import Progress
from cirdemo.gallery.work import Work, unreadable
from cirdemo.intake import NO_PICTURE, may_be_picture
from cirdemo.types import BadInput

COPY_SIDE = 1024  # pixels of the longer side, for pictures that do not stay where they were

Look = tuple[Image.Image, np.ndarray]  # a picture and its signature


def encode(
    work: Work, journal: Journal, found: list[Found], *, workers: int, beside: int
) -> Iterator[Progress]:
    """Look at every file in order; what is not known is decoded ahead and encoded in groups.

    Args:
        work: Takes what is found.
        journal: Notes it, a group at a time.
        found: The files.
        workers: Pictures decoded at once.
        beside: Groups encoded at once.
    """
    queued: deque[tuple[str, Future[Look]]] = deque()
    elsewhere: list[tuple[str, str]] = []
    asked: set[str] = set()  # on their way: a second file with the same bytes waits for none
    told_at = time.monotonic()
    with ThreadPoolExecutor(workers) as pool, ThreadPoolExecutor(beside) as encoders:
        passes = _Passes(work, journal, encoders, beside)

        def settle(most: int) -> Iterator[Progress]:
            while len(queued) > most:
                yield from passes.add(*queued.popleft())

        try:
            for one in found:
                work.done += 1
                data = _read(work, one)
                if data is None:
                    continue
                item = _item(work, one, data)
                digest = item.sha256
                if digest in work.failed:
                    continue
                if not _known(work, item) and digest not in asked:
                    asked.add(digest)
                    if work.helper is not None:
                        work.done -= 1  # it is read once more
                        elsewhere.append((str(one.path), digest))
                        continue
                    queued.append((digest, pool.submit(_look, work.home, data, digest, item.at)))
                    yield from settle(work.ahead())
                    continue
                work.new += digest not in work.before
                if time.monotonic() - told_at > 0.5:
                    told_at = time.monotonic()
                    yield work.progress("encoding")
            yield from settle(0)
            yield from passes.end()
        finally:
            for _, future in queued:
                future.cancel()
            passes.cancel()
    if elsewhere and work.helper is not None:
        for rows, made in work.helper.encoded(elsewhere):
            for digest, data in made.items():
                copies.keep(data, copies.place(work.home.thumbnails, digest))
            work.note(journal, rows)
            work.done += len(rows)
            yield work.progress("encoding")


@contextlib.contextmanager
def one_thread_each() -> Iterator[int]:
    """Operations on one thread meanwhile; gives how many of them may run beside each other.

    So many as one operation had threads: work that falls into equal parts is done sooner side by
    side than by threads that wait for each other within each part.
    """
    torch = sys.modules.get("torch")
    if torch is None or (threads := torch.get_num_threads()) == 1:
        yield 1
        return
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


def drop_failed(work: Work) -> None:
    """Leave out what could not be decoded, copies of it under other names too."""
    told = {one.path for one in work.out}
    for item in work.items:
        if item.sha256 in work.failed and item.image_id not in told:
            work.out.append(unreadable(item.image_id, work.failed[item.sha256]))
    work.items = [item for item in work.items if item.sha256 not in work.failed]


@dataclass(slots=True, eq=False)
class _Pass:
    """Pictures that are being encoded together."""

    rows: Future[list[Row]]
    group: Group
    pixels: int
    last: bool  # of its group


class _Passes:
    """Groups on their way through the encoder; noted in their order, whichever is ready first."""

    def __init__(self, work: Work, journal: Journal, pool: ThreadPoolExecutor, beside: int) -> None:
        self._work, self._journal, self._pool, self._beside = work, journal, pool, beside
        self._group = Group()
        self._under_way: deque[_Pass] = deque()

    def add(self, digest: str, look: Future[Look]) -> Iterator[Progress]:
        """The next picture, once it is decoded."""
        try:
            picture, signature = look.result()
            self._group.add(digest, picture, signature)
            self._work.area += 0.2 * (picture.width * picture.height - self._work.area)
        except BadInput as fault:
            self._group.fail(digest, str(fault))
        if self._group.ripe:
            self._send()
            while self._too_many():
                yield from self._finish()

    def end(self) -> Iterator[Progress]:
        """No more pictures come."""
        self._group.files = groups.SIZE
        self._send()
        while self._under_way:
            yield from self._finish()

    def cancel(self) -> None:
        """Begin nothing more."""
        for one in self._under_way:
            one.rows.cancel()

    def _send(self) -> None:
        group, pixels = self._group, self._group.pixels
        rows = self._pool.submit(groups.encoded, self._work.encoder, group.take())
        self._under_way.append(_Pass(rows, group, pixels, group.full))
        if group.full:
            self._group = Group()

    def _too_many(self) -> bool:
        """Whether to wait: one more than run is ready, or the pictures take too much memory."""
        if len(self._under_way) > self._beside + 1:
            return True
        held = sum(one.pixels for one in self._under_way)
        return len(self._under_way) > 1 and held > groups.PIXELS

    def _finish(self) -> Iterator[Progress]:
        first = self._under_way.popleft()
        first.group.rows += first.rows.result()
        if first.last:
            self._work.note(self._journal, first.group.rows)
            yield self._work.progress("encoding")


def _item(work: Work, one: Found, data: bytes) -> Item:
    """A file's place in the gallery; its sides are known later."""
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
    return item


def _read(work: Work, one: Found) -> bytes | None:
    """The bytes of a file that begins like a picture, or None with a note of why not."""
    try:
        data = one.read()
    except BadInput as fault:
        work.out.append(unreadable(one.image_id, str(fault)))
        return None
    if not may_be_picture(one.image_id, data[:32]):
        work.out.append(LeftOut(path=one.image_id, kind="other file", reason=NO_PICTURE))
        return None
    return data


def _known(work: Work, item: Item) -> bool:
    """Whether the picture needs no encoding: its vector is there, and its copy if it needs one."""
    if item.sha256 not in work.rows:
        return False
    return item.at is not None or work.home.picture(item.sha256).is_file()


def _look(home: Home, data: bytes, digest: str, at: str | None) -> Look:
    """Decode a picture and write its small copies, beside the encoder's work on those before.

    A copy that is there and was never noted, because of a kill, is written again or tidied away.
    """
    picture = decode(data)
    small = copies.reduced(picture)
    copies.keep(copies.coded(small), copies.place(home.thumbnails, digest))
    if at is None:  # the file does not stay: the gallery keeps a copy
        write_file(home.picture(digest), _copy(picture))
    return picture, near.signature(small)


def _copy(picture: Image.Image) -> bytes:
    """A picture without its metadata, no larger than any model here looks at."""
    small = picture.copy()
    small.thumbnail((COPY_SIDE, COPY_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()
