"""Vectors that lie as those of CLIP-like encoders do, for galleries larger than are at hand.

Pictures share one direction (their mean cosine is about 0.6), lie in clusters within a subspace
whose directions count less and less, and carry noise; texts share another direction. A query mixed
from both has a tight first fifty, which is what makes approximate search hard.
"""

from __future__ import annotations

import numpy as np

RANK = 128  # of the subspace
CLUSTERS = 2_000
STEP = 50_000  # rows made at a time


def gallery(count: int, dim: int = 512, seed: int = 0) -> np.ndarray:
    """Pictures: (count, dim) float32, unit norm."""
    random, common, basis, scale = _space(dim, seed)
    rank = len(scale)
    centres = random.standard_normal((CLUSTERS, rank)).astype(np.float32) * scale
    out = np.empty((count, dim), np.float32)
    for start in range(0, count, STEP):
        n = min(STEP, count - start)
        inside = centres[random.integers(0, CLUSTERS, n)]
        inside = 0.8 * inside + 0.6 * random.standard_normal((n, rank)).astype(np.float32) * scale
        noise = random.standard_normal((n, dim)).astype(np.float32) * (0.25 / dim**0.5)
        out[start : start + n] = _unit(common + inside @ basis + noise)
    return out


def texts(count: int, dim: int = 512, seed: int = 0) -> np.ndarray:
    """Texts: (count, dim) float32, unit norm; of another seed, in directions of their own."""
    _, common, basis, scale = _space(dim, seed)
    random = np.random.default_rng(seed + 1)
    away = random.standard_normal(dim).astype(np.float32)
    inside = random.standard_normal((count, len(scale))).astype(np.float32) * scale
    return _unit(0.2 * common + 0.8 * away / np.linalg.norm(away) + inside @ basis)


def _space(dim: int, seed: int) -> tuple[np.random.Generator, np.ndarray, np.ndarray, np.ndarray]:
    """The common direction (D,), the subspace (R, D), how much each of its directions counts."""
    random = np.random.default_rng(seed)
    rank = min(RANK, dim // 2)
    turned, _ = np.linalg.qr(random.standard_normal((dim, rank + 1)))
    scale = (np.arange(1, rank + 1) ** -0.25).astype(np.float32)
    scale *= 0.77 / np.linalg.norm(scale)
    rows = np.ascontiguousarray(turned.T, dtype=np.float32)
    return random, rows[0], rows[1:], scale


def _unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
