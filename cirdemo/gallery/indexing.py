"""Builds a gallery from a user's pictures; may be killed at any moment and goes on where it was.

Pictures are known by the digest of their bytes. What an earlier build or the journal holds is
taken from there; the rest is encoded in groups whose make-up depends on the files alone, so a
build that was interrupted ends with the same bytes as one that was not, and one that other
machines helped with as one that was made here.
"""

from __future__ import annotations

import base64
import errno
import itertools
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from cirdemo.archives import LeftOut, told
from cirdemo.gallery import fast_index, milvus, milvus_index, near
from cirdemo.gallery.encoding import drop_failed, encode, one_thread_each
from cirdemo.gallery.groups import known
from cirdemo.gallery.items import Item
from cirdemo.gallery.own import Home
from cirdemo.gallery.progress import Progress, Report
from cirdemo.gallery.work import Helper, Source, Work
from cirdemo.types import BadInput, CirError, Encoder, SpaceMismatch

WORKERS = 2  # pictures decoded at once, or as many as there are cores to use
JOURNAL = 2  # version of the journal's rows


def index(
    home: Home,
    source: Source,
    encoder: Encoder,
    *,
    add: bool = False,
    replace_space: bool = False,
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
            work = Work(home, encoder, not source.stays, helper, store)
            yield from _index(work, source, add, replace_space)
    except OSError as fault:
        raise _no_room(home, fault) from fault


def _index(work: Work, source: Source, add: bool, replace_space: bool) -> Iterator[Progress]:
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
        work.take(journal.rows)
        yield work.progress("looking")
        found, work.out = source.scan()
        work.of = len(found)
        yield work.progress("encoding")
        with one_thread_each() as cores:
            steps = encode(work, journal, found, workers=max(WORKERS, cores), beside=cores)
            yield from steps
        drop_failed(work)
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


def _take_over(work: Work, replace_space: bool) -> tuple[Item, ...]:
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


def _publish(work: Work, held: tuple[Item, ...], about: Mapping[str, Any]) -> Report:
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
