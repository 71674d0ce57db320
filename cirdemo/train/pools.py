"""Training pools: drawn once into a cache folder, then memory-mapped by every recipe."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cirdemo.data.drawn import galleries, queries
from cirdemo.data.drawn.paint.canvas import Box

IMAGE_SIZE = 128  # pixels a side, the input size of the embedded models
DRAWN_AT_ONCE = 2000  # pictures between two points from which drawing can go on


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
    """A training pool of so many families of ten pictures; drawn if the cache lacks it.

    Drawing that was stopped goes on where it ended: boxes are appended after their pictures.
    """
    pool = queries.make_pool(world, ("train",) * families, seed)
    cache.mkdir(parents=True, exist_ok=True)
    stem = cache / f"{world}-{families}-{seed}"
    pixels, boxes_file = stem.with_suffix(".npy"), stem.with_suffix(".jsonl")
    shape = (len(pool.contents), IMAGE_SIZE, IMAGE_SIZE, 3)
    if not pixels.exists():
        boxes_file.unlink(missing_ok=True)
        np.lib.format.open_memmap(pixels, "w+", np.uint8, shape).flush()
    lines = boxes_file.read_text().splitlines(keepends=True) if boxes_file.exists() else []
    if lines and not lines[-1].endswith("\n"):  # cut short while it was written
        boxes_file.write_text("".join(lines := lines[:-1]))
    if len(lines) < len(pool.contents):
        canvas = np.load(pixels, mmap_mode="r+")
        for start in range(len(lines), len(pool.contents), DRAWN_AT_ONCE):
            count = min(DRAWN_AT_ONCE, len(pool.contents) - start)
            pictures, boxes = galleries.paint_pool(pool, seed, IMAGE_SIZE, start, count)
            canvas[start : start + count] = pictures
            canvas.flush()
            with boxes_file.open("a") as file:
                file.writelines(json.dumps(named) + "\n" for named in boxes)
            if progress:
                progress(start + count, len(pool.contents))
        lines = boxes_file.read_text().splitlines()
    pictures = np.load(pixels, mmap_mode="r")
    return DrawnPool(pool, pictures, [json.loads(line) for line in lines], queries.targets(pool))
