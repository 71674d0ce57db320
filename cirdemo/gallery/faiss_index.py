"""Exact nearest neighbours with FAISS."""

from __future__ import annotations

import faiss
import numpy as np

EXTRA = 16  # candidates beyond k, so that most ties at the cut are seen in one pass


class FlatIndex:
    """Exact search by dot product; equal scores come in row order.

    Source: Douze et al., The FAISS library, 2024 (IndexFlatIP).
    """

    exact = True

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._index = faiss.IndexFlatIP(dim)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, vectors: np.ndarray) -> None:
        """Append (N, D) float32 rows.

        Raises:
            ValueError: Another shape, or a value that is not finite.
        """
        self._index.add(checked(vectors, self.dim))

    def search(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores (Q, K) float32 and rows (Q, K) int64, best first.

        Where the index holds fewer than k rows, the row is -1 and the score -inf.

        Raises:
            ValueError: Another shape, a value that is not finite, or k below 1.
        """
        queries, scores, rows = begun(vectors, self.dim, k)
        if not len(self) or not len(queries):
            return scores, rows
        kept = min(k, len(self))
        fetched = min(k + EXTRA, len(self))
        found, where = self._index.search(queries, fetched)  # (Q, fetched)
        while fetched < len(self) and np.any(found[:, kept - 1] == found[:, -1]):
            fetched = min(2 * fetched, len(self))  # a tie crosses the cut: see all of it
            found, where = self._index.search(queries, fetched)
        for query, (values, ids) in enumerate(zip(found, where, strict=True)):
            order = np.lexsort((ids, -values))[:kept]
            scores[query, :kept], rows[query, :kept] = values[order], ids[order]
        return scores, rows


def begun(vectors: np.ndarray, dim: int, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Checked queries (Q, dim), and scores and rows (Q, K) of an answer that holds nothing yet.

    Raises:
        ValueError: Another shape, a value that is not finite, or k below 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    queries = checked(vectors, dim)
    scores = np.full((len(queries), k), -np.inf, np.float32)
    return queries, scores, np.full((len(queries), k), -1, np.int64)


def checked(vectors: np.ndarray, dim: int) -> np.ndarray:
    """Rows (N, dim) as FAISS takes them.

    Raises:
        ValueError: Another shape, or a value that is not finite.
    """
    if vectors.ndim != 2 or vectors.shape[1] != dim:
        raise ValueError(f"vectors must have shape (N, {dim}), got {vectors.shape}")
    array = np.ascontiguousarray(vectors, dtype=np.float32)
    if not np.isfinite(array).all():
        raise ValueError("vectors must be finite, got NaN or infinity")
    return array
