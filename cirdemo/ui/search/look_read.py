"""What the two maps of a picture say, in sentences read off the maps themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cirdemo.types import Heatmap
from cirdemo.ui.cards import esc
from cirdemo.words import phrases

HOT = 0.2  # of the area: a spread-out map holds about so much of its warmth there
STANDS_OUT = 0.4  # of the warmth: twice what that area holds where nothing stands out
ALIKE = 0.5  # correlation from which a phrase's own map is said to be the same


def read(union: Heatmap, intersection: Heatmap, words: Sequence[Heatmap]) -> str:
    """Which phrase's map each of the two is most like, and how much stands out in it.

    Args:
        union: Map under the union.
        intersection: Map under the intersection.
        words: Maps of phrases of either.
    """
    first, second = (_one(heat, words) for heat in (union, intersection))
    return (
        f'<p class="look-carried">Under union {first}; under intersection {second}. The warmest '
        f"{HOT:.0%} of the picture hold {_held(union):.0%} of the warmth under union and "
        f"{_held(intersection):.0%} under intersection.</p>"
    )


def _one(heat: Heatmap, words: Sequence[Heatmap]) -> str:
    if _held(heat) < STANDS_OUT:
        return "no part of the picture stands out"
    own = set(phrases(heat.text))
    found = [(_alike(heat, word), word.text) for word in words if word.text in own]
    most, phrase = max(found, default=(0.0, ""))
    if most < ALIKE:
        return "the warm part is that of no single phrase"
    return f"the warm part is that of “{esc(phrase)}”"


def _held(heat: Heatmap) -> float:
    """The share of a map's warmth in its warmest part."""
    low, high = heat.value_range
    raw = np.sort(np.clip(low + heat.values.ravel() * (high - low), 0, None))[::-1]
    total = float(raw.sum())
    return float(raw[: round(len(raw) * HOT)].sum()) / total if total > 0 else 0.0


def _alike(a: Heatmap, b: Heatmap) -> float:
    """Correlation of two maps; 0 where one of them is flat."""
    x, y = a.values.ravel(), b.values.ravel()
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])
