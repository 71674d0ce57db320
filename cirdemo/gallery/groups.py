"""Pictures that are encoded and noted together, here or on another machine.

A group is so many new files in the order of the gallery, whatever each turns out to be. So the
same files give the same groups, and the same groups the same bytes, wherever they are encoded and
however often the build was interrupted between two of them.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from cirdemo.gallery.journal import Row
from cirdemo.types import CirError, Encoder

SIZE = 32  # files of a group: what a kill can cost
PIXELS = 60_000_000  # of pictures that are encoded together: 180 MB decoded


@dataclass(slots=True, eq=False)
class Group:
    """A group under way."""

    encoder: Encoder
    rows: list[Row] = field(default_factory=list)  # finished
    waiting: list[tuple[Row, Image.Image]] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether it holds all its files."""
        return len(self.rows) + len(self.waiting) >= SIZE

    def add(self, sha256: str, picture: Image.Image, signature: np.ndarray) -> None:
        """A picture that was decoded."""
        row = {
            "sha256": sha256,
            "signature": base64.b64encode(signature.tobytes()).decode(),
            "sides": list(picture.size),
        }
        self.waiting.append((row, picture))
        if sum(one.width * one.height for _, one in self.waiting) >= PIXELS:
            self.encode()

    def fail(self, sha256: str, why: str) -> None:
        """A file that cannot be decoded; a build that goes on need not try it again."""
        self.rows.append({"sha256": sha256, "failed": why})

    def encode(self) -> None:
        """Encode what waits.

        Raises:
            CirError: A value is not finite.
        """
        if not self.waiting:
            return
        vectors = self.encoder.encode_images([picture for _, picture in self.waiting])  # (N, D)
        if not np.isfinite(vectors).all():
            raise CirError("The encoder gave values that are not finite; another profile may help.")
        for (row, _), vector in zip(self.waiting, vectors, strict=True):
            self.rows.append({**row, "vector": coded(vector)})
        self.waiting.clear()


def coded(vector: np.ndarray) -> str:
    """A vector as a row holds it."""
    return base64.b64encode(np.ascontiguousarray(vector, "<f4").tobytes()).decode()


def known(sha256: str, vector: np.ndarray, small: np.ndarray, width: int, height: int) -> Row:
    """The row of a picture that an earlier build has encoded."""
    return {
        "sha256": sha256,
        "vector": coded(vector),
        "signature": base64.b64encode(small.tobytes()).decode(),
        "sides": [width, height],
    }
