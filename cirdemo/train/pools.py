"""Training pools: drawn once into a cache folder, then memory-mapped by every recipe."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cirdemo.data.drawn import galleries, queries
from cirdemo.data.drawn.paint.canvas import Box

IMAGE_SIZE = 128  # pixels a side, the input size of the embedded models


@dataclass(frozen=True, slots=True, eq=False)
class DrawnPool:
    """A pool with its pictures."""

    pool: queries.Pool
    pictures: np.ndarray  # (N, 128, 128, 3) uint8
    boxes: list[dict[str, Box]]
    targets: list[tuple[int, ...]]  # by query

    @property
    def fingerprint(self) -> str:
        """Hash of the contents and of a sample of the pixels."""
        digest = hashlib.sha256(repr(self.pool.contents[:1000]).encode())
        digest.update(np.ascontiguousarray(self.pictures[:: max(1, len(self.pictures) // 64)]))
        return digest.hexdigest()[:16]


def drawn_pool(
    world: str,
    families: int,
    seed: int,
    cache: Path,
    progress: Callable[[int, int], None] | None = None,
) -> DrawnPool:
    """A training pool of so many families of ten pictures; drawn if the cache lacks it."""
    pool = queries.make_pool(world, ("train",) * families, seed)
    stem = cache / f"{world}-{families}-{seed}"
    pixels, boxes_file = stem.with_suffix(".npy"), stem.with_suffix(".json")
    if not (pixels.exists() and boxes_file.exists()):
        cache.mkdir(parents=True, exist_ok=True)
        pictures, boxes = galleries.paint_pool(pool, seed, IMAGE_SIZE, progress)
        part = stem.with_suffix(f".{os.getpid()}.npy")
        np.save(part, pictures)
        boxes_file.write_text(json.dumps(boxes))
        part.replace(pixels)
    pictures = np.load(pixels, mmap_mode="r")
    boxes = json.loads(boxes_file.read_text())
    return DrawnPool(pool, pictures, boxes, queries.targets(pool))
