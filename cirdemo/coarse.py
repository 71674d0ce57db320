"""The one way from a query to a list: compose the members, score the gallery, fuse, rank.

A coarse method is a composer (one vector) or a fusion (of other methods' lists). A fusion's name
may choose its lists: "rrf:text+image".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cirdemo.parts import Parts
from cirdemo.registry import unknown
from cirdemo.types import BadInput, Composed, Fusion, ImageId, Ranking

if TYPE_CHECKING:
    from cirdemo.gallery.store import Gallery


def fusion_of(parts: Parts, method: str) -> Fusion | None:
    """The fusion of a name, or None where the name is a composer's.

    Raises:
        BadInput: The lists behind the colon do not fit the fusion.
        UnknownName: There is no such method.
    """
    head, colon, listed = method.partition(":")
    if head in parts.fusions:
        make = parts.fusions[head]
        return make(tuple(m.strip() for m in listed.split("+"))) if colon else make()
    if method not in parts.composers:
        raise unknown("method", method, [*parts.composers, *parts.fusions])
    return None


def composers_of(parts: Parts, method: str) -> tuple[str, ...]:
    """Names of the composers that a method's list comes from; its own where it is one.

    Raises:
        BadInput: The lists behind the colon do not fit the fusion.
        UnknownName: A method does not exist.
    """
    fusion = fusion_of(parts, method)
    if fusion is None:
        return (method,)
    return tuple(dict.fromkeys(c for m in fusion.members for c in composers_of(parts, m)))


def why_not(parts: Parts, method: str) -> str | None:
    """Why a method cannot run, or None; a fusion's reason is that of its members."""
    reasons = (parts.composers[name].why_not() for name in composers_of(parts, method))
    return next(filter(None, reasons), None)


def rank(
    parts: Parts,
    shelf: Gallery,
    method: str,
    composed: Mapping[str, Composed],
    k: int,
    *,
    exclude: ImageId | None = None,
    query_id: str = "",
    where: str = "",
) -> Ranking:
    """A method's best k pictures by (-score, image_id), the excluded one left out.

    Args:
        parts: For the fusions.
        shelf: The gallery.
        method: A composer or a fusion.
        composed: The query's vector by composer, for at least `composers_of` the method.
        k: How many.
        exclude: The reference, if it is one of the gallery's.
        query_id: For the ranking.
        where: A filter of the gallery's index; see `Gallery.search`.

    Raises:
        BadInput: There is a filter, and the method or the index knows none.
        SpaceMismatch: A vector is of another space than the gallery.
    """
    if fusion_of(parts, method) is None:  # an index need not look at every picture
        options: dict[str, Any] = {"exclude": exclude, "query_id": query_id, "where": where}
        return shelf.search(composed[method], k, method=method, **options)
    if where:
        raise BadInput(f"{method!r} scores every picture, so there is no filter. Leave one out.")
    left = np.array([i != exclude for i in shelf.ids])  # (N,)
    scores = np.full(len(shelf.ids), -np.inf)  # (N,)
    scores[left] = _scores(parts, shelf, method, composed, left)
    return shelf.ranked(scores, k, exclude=exclude, query_id=query_id, method=method)


def _scores(
    parts: Parts, shelf: Gallery, method: str, composed: Mapping[str, Composed], left: np.ndarray
) -> np.ndarray:
    """A method's scores of the pictures that can be found."""
    fusion = fusion_of(parts, method)
    if fusion is None:
        found: np.ndarray = shelf.scores(composed[method])[left]
        return found
    return fusion.fuse({m: _scores(parts, shelf, m, composed, left) for m in fusion.members})


def check_cosines(parts: Parts, method: str) -> None:
    """Check that a method's scores are cosines, which a prior can be made of.

    Raises:
        BadInput: They are a fusion's.
    """
    if fusion_of(parts, method) is not None:
        raise BadInput(
            f"The scores of {method!r} are no cosines, so the judge's order cannot be fused with "
            "them. Re-rank another list, or leave the fused order out."
        )
