"""Pictures that are encoded and noted together, here or on another machine.

A group is so many new files in the order of the gallery, whatever each turns out to be. So the
same files give the same groups, and the same groups the same bytes, wherever they are encoded and
however often the build was interrupted between two of them.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from cirdemo.gallery.journal import Row
from cirdemo.types import CirError, Encoder

SIZE = 32  # files of a group: what a kill can cost, for each that is under way
PIXELS = 60_000_000  # of pictures that are encoded together: 180 MB decoded

Waiting = tuple[Row, Image.Image]


@dataclass(slots=True, eq=False)
class Group:
    """A group under way."""

    rows: list[Row] = field(default_factory=list)  # finished
    waiting: list[Waiting] = field(default_factory=list)  # to be encoded together
    files: int = 0  # that were added, whatever became of them

    @property
    def full(self) -> bool:
        """Whether it holds all its files."""
        return self.files >= SIZE

    @property
    def pixels(self) -> int:
        """Of what waits."""
        return sum(picture.width * picture.height for _, picture in self.waiting)

    @property
    def ripe(self) -> bool:
        """Whether what waits is to be encoded before more is added."""
        return self.full or self.pixels >= PIXELS

    def add(self, sha256: str, picture: Image.Image, signature: np.ndarray) -> None:
        """A picture that was decoded."""
        row = {
            "sha256": sha256,
            "signature": base64.b64encode(signature.tobytes()).decode(),
            "sides": list(picture.size),
        }
        self.waiting.append((row, picture))
        self.files += 1

    def fail(self, sha256: str, why: str) -> None:
        """A file that cannot be decoded; a build that goes on need not try it again."""
        self.rows.append({"sha256": sha256, "failed": why})
        self.files += 1

    def take(self) -> list[Waiting]:
        """What waits; nothing waits then."""
        taken, self.waiting = self.waiting, []
        return taken


def encoded(encoder: Encoder, waiting: Sequence[Waiting]) -> list[Row]:
    """The finished rows of pictures that are encoded together.

    Raises:
        CirError: A value is not finite.
    """
    if not waiting:
        return []
    vectors = encoder.encode_images([picture for _, picture in waiting])  # (N, D)
    if not np.isfinite(vectors).all():
        raise CirError("The encoder gave values that are not finite; another profile may help.")
    pairs = zip(waiting, vectors, strict=True)
    return [{**row, "vector": coded(vector)} for (row, _), vector in pairs]


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
