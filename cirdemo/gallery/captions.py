"""Captions that a language model wrote, once for each picture, model and prompt."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

from PIL import Image

from cirdemo.gallery.journal import Journal
from cirdemo.gallery.own import Home
from cirdemo.gallery.store import Gallery
from cirdemo.types import BadInput

FILE = "captions"
BATCH = 8  # pictures captioned together
Write = Callable[[Sequence[Image.Image]], list[str]]


def read(home: Home) -> dict[str, tuple[str, str]]:
    """Caption and model by the digest of the picture; the latest one of each."""
    if not (home.folder / FILE).is_file():
        return {}
    journal = _open(home)
    journal.close()
    return {row["sha256"]: (row["text"], row["model"]) for row in journal.rows}


def write(home: Home, gallery: Gallery, caption: Write, model: str, prompt: str) -> Iterator[int]:
    """Caption the pictures that have none of this model and prompt.

    Args:
        home: Where they are kept.
        gallery: Its pictures; of equal ones only one is captioned.
        caption: One sentence a picture.
        model: Identity of what writes.
        prompt: What it is asked.

    Yields:
        How many pictures have one so far, first of all those from before; written means on disk.
    """
    with home.lock():
        journal = _open(home)
        try:
            there = {row["key"] for row in journal.rows}
            ids = {gallery.digest(i): i for i in gallery.ids}
            keys = {
                d: hashlib.sha256("\0".join((d, model, prompt)).encode()).hexdigest() for d in ids
            }
            wanted = [d for d in ids if keys[d] not in there]
            done = len(ids) - len(wanted)
            yield done
            for start in range(0, len(wanted), BATCH):
                batch, images = [], []
                for digest in wanted[start : start + BATCH]:
                    try:
                        images.append(gallery.image(ids[digest]))
                        batch.append(digest)
                    except BadInput:  # it is gone since it was indexed; the others go on
                        continue
                texts = caption(images) if images else []
                journal.add(
                    {"key": keys[d], "sha256": d, "model": model, "text": text}
                    for d, text in zip(batch, texts, strict=True)
                )
                done += len(batch)
                yield done
        finally:
            journal.close()


def _open(home: Home) -> Journal:
    return Journal(home.folder / FILE, {"format": 1})
