"""What the language model says of pictures, written once and read by every stage."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

from PIL import Image

from cirdemo.cache import Memory

KEPT = 512  # captions, of reference images


class Captioner(Protocol):
    """A model that says in a sentence what is in a picture."""

    def caption(self, images: Sequence[Image.Image]) -> list[str]:
        """One sentence a picture."""


class Captions:
    """A model's captions, kept by content.

    Descriptions, the judge and the rationale of one query all start from the same sentence, so
    that what they make of the reference can be compared, and is computed once.
    """

    def __init__(self, model: Captioner) -> None:
        """Captions by a language model without adapters."""
        self._model = model
        self._kept: Memory[str] = Memory(KEPT)

    def of(self, image: Image.Image) -> str:
        """The caption of one picture."""
        return self.of_many([image])[0]

    def of_many(self, images: Sequence[Image.Image]) -> list[str]:
        """One caption a picture; of those seen lately, from memory."""
        keys = [hashlib.sha256(repr(i.size).encode() + i.tobytes()).digest() for i in images]
        found = {key: self._kept.get(key) for key in keys}
        new = {k: i for k, i in zip(keys, images, strict=True) if found[k] is None}
        if new:
            found |= zip(new, self._model.caption(list(new.values())), strict=True)
            for key in new:
                self._kept.put(key, found[key] or "")
        return [found[key] or "" for key in keys]
