"""Coarse methods: each turns a query into one vector in the gallery's space.

Searching, leaving the reference out, ties and timing are the gallery's, so a method is short.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cirdemo.types import Composed, Composer, Description, Mode, Query


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector as float32 with unit L2 norm.

    Raises:
        ValueError: It has no direction: zero, or not finite.
    """
    vector = np.asarray(vector, dtype=np.float32)
    norm = float(np.linalg.norm(vector))
    if not np.isfinite(norm) or norm == 0.0:
        raise ValueError(f"a query vector has the norm {norm}")
    return vector / np.float32(norm)


def compose_many(composer: Composer, queries: Sequence[Query]) -> list[Composed]:
    """The queries' vectors: in one batch where the method can, else one by one."""
    batched = getattr(composer, "compose_many", None)
    if batched is not None:
        return list(batched(queries))
    return [composer.compose(query) for query in queries]


def compose(composer: Composer, query: Query, descriptions: Mapping[Mode, Description]) -> Composed:
    """The query's vector, from its description where the method has one and it is written."""
    mode = getattr(composer, "mode", None)
    if mode is None or mode not in descriptions:
        return composer.compose(query)
    return composer.encode([descriptions[mode]])[0]  # type: ignore[attr-defined,no-any-return]
