"""Steering a query by hand: towards pictures, away from pictures, against a cue.

Source: Rocchio, "Relevance feedback in information retrieval", 1971: the query moves towards what
was liked and away from what was not. Differs: every direction is weighed in units of the spread of
scores it causes over the gallery, since cosines among pictures vary far more than cosines between
pictures and texts; so one weight means the same for every method and encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cirdemo.types import Composed, ImageId

if TYPE_CHECKING:
    from cirdemo.gallery.store import Gallery

MORE = 0.5  # of the query's own spread, shared among the liked pictures
LESS = 0.5
WITHOUT = 0.75  # of each cue
SAMPLE = 4096  # gallery vectors that the spread is measured on


@dataclass(frozen=True, slots=True, kw_only=True)
class Steer:
    """What moves a query, beside its words."""

    more: tuple[ImageId, ...] = ()
    less: tuple[ImageId, ...] = ()
    without: tuple[str, ...] = ()  # cues

    def __bool__(self) -> bool:
        return bool(self.more or self.less or self.without)


def steered(
    composed: Composed,
    steer: Steer,
    shelf: Gallery,
    encode_texts: Callable[[Sequence[str]], np.ndarray],
) -> Composed:
    """A query vector moved by hand.

    Args:
        composed: The query.
        steer: What moves it; nothing leaves it as it is.
        shelf: For the pictures' vectors and the spread.
        encode_texts: Cues to vectors (N, D).

    Raises:
        UnknownName: The gallery has no picture of an id.
    """
    if not steer:
        return composed
    step = max(1, len(shelf.vectors) // SAMPLE)
    seen = shelf.vectors[::step]  # (S, D)
    spread = float((seen @ composed.vector).std())
    vector = composed.vector.astype(np.float64)

    def push(direction: np.ndarray, weight: float) -> None:
        nonlocal vector
        own = float((seen @ direction).std())
        if own > 0:
            vector = vector + weight * spread / own * direction

    for ids, weight in ((steer.more, MORE), (steer.less, -LESS)):
        if ids:
            push(np.mean([shelf.vector(i) for i in ids], axis=0) - seen.mean(axis=0), weight)
    for cue in encode_texts(list(steer.without)) if steer.without else ():
        push(cue, -WITHOUT)
    return replace(composed, vector=(vector / np.linalg.norm(vector)).astype(np.float32))
