"""Methods that make one list out of the lists of others; they need no model of their own.

A fusion sees scores (N,) of the pictures that can be found, the reference already left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cirdemo.types import BadInput


class Product:
    """Multiplies two similarities: a picture must agree with both, an intersection of scores.

    Each member's similarities are centred and scaled by their minimum, so that the two are
    comparable and none is negative; then s = a * b - lambda * (a + b)^2, the Harris criterion,
    which for lambda < 1/4 ranks as a * b - mu * (a - b)^2 with mu = lambda / (1 - 4 * lambda).

    Source: BASIC (Psomas et al., "Instance-Level Composed Image Retrieval", NeurIPS 2025, arXiv
        2510.25387): late fusion, lambda 0.1.
    Needs: nothing; its members need the encoder.
    Differs: from `sum` in that one high similarity cannot make up for a low one. From BASIC in
        that means and minima are those of the query's own scores and not of LAION and a synthetic
        set, that texts are not centred, and that contrastive projection, query expansion and
        contextualised texts are left out.
    """

    name = "product"

    def __init__(self, members: Sequence[str] = ("image", "text"), *, harris: float = 0.1) -> None:
        """Of two methods' lists.

        Raises:
            BadInput: There are not two.
        """
        if len(members) != 2:
            raise BadInput(f"'product' takes two lists, got {len(members)}: product:image+text.")
        self.members = tuple(members)
        self._harris = harris

    def fuse(self, scores: Mapping[str, np.ndarray]) -> np.ndarray:
        """Scores (N,) of the product from the members' scores (N,)."""
        a, b = (_comparable(scores[name]) for name in self.members)  # (N,) each
        return np.asarray(a * b - self._harris * (a + b) ** 2)


def _comparable(scores: np.ndarray) -> np.ndarray:
    """Scores (N,) with the least at 0 and the mean at 1; all 0 where there is no difference."""
    least = float(scores.min())
    spread = float(scores.mean()) - least
    shifted = scores.astype(np.float64) - least
    return shifted / spread if spread > 0 else shifted


class ReciprocalRank:
    """Adds 1 / (60 + rank) over the lists: what stands high in several of them comes first.

    Source: Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion outperforms Condorcet and
        individual Rank Learning Methods", SIGIR 2009; k = 60 as there.
    Needs: what its members need; which lists are fused is free ("rrf:text+image").
    Differs: from `product` in that only ranks count, so that lists of any spaces and score scales
        can be fused. Pictures with the same score in a list share the better rank.
    """

    name = "rrf"

    def __init__(
        self, members: Sequence[str] = ("union", "intersection", "cot"), *, k: int = 60
    ) -> None:
        """Of two or more methods' lists.

        Raises:
            BadInput: There are fewer than two, or one is named twice.
        """
        if len(set(members)) != len(members) or len(members) < 2:
            raise BadInput(f"'rrf' takes two or more different lists, got {', '.join(members)}.")
        self.members = tuple(members)
        self._k = k

    def fuse(self, scores: Mapping[str, np.ndarray]) -> np.ndarray:
        """Sums (N,) of reciprocal ranks from the members' scores (N,)."""
        return np.asarray(sum(1.0 / (self._k + _ranks(scores[name])) for name in self.members))


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Rank (N,) of each score, from 1 for the highest; equal scores share the better rank."""
    return np.searchsorted(np.sort(-scores), -scores) + 1
