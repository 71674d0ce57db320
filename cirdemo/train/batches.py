"""Pictures of training pools as batches of tensors, with light augmentation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from cirdemo.data.drawn.queries import FAMILY_PICTURES
from cirdemo.train.attributes import cell_labels, labels
from cirdemo.train.pools import DrawnPool

HELD_OUT = 50  # every so manieth family is never trained on, so that a loss on it can be trusted
SHIFT = 6  # pixels; pictures of the galleries are resized and so never aligned to the pixel


def held_out(pictures: int) -> np.ndarray:
    """Which of so many pictures are of families that are held out, (pictures,) bool."""
    return np.arange(pictures) // FAMILY_PICTURES % HELD_OUT == 0


class Pictures:
    """All pictures of some pools as one numbered set, with labels."""

    def __init__(self, pools: Sequence[DrawnPool], *, grid: int = 8) -> None:
        self.pools = pools
        self.starts = np.cumsum([0, *(len(p.pictures) for p in pools)])
        self.labels = torch.from_numpy(np.concatenate([labels(p.pool.contents) for p in pools]))
        self.cells = torch.from_numpy(
            np.concatenate([cell_labels(p.pool.contents, p.boxes, grid) for p in pools])
        )

    def __len__(self) -> int:
        return int(self.starts[-1])

    def families(self, rng: np.random.Generator, families: int, each: int) -> np.ndarray:
        """Indices of some pictures of some families, so that a batch holds hard negatives."""
        there = len(self) // FAMILY_PICTURES
        chosen = rng.choice(there, min(families, there), replace=False)
        inside = np.argsort(rng.random((families, FAMILY_PICTURES)), axis=1)[:, :each]
        return (chosen[:, None] * FAMILY_PICTURES + inside).ravel()

    def raw(self, indices: np.ndarray) -> np.ndarray:
        """Pixels (N, 128, 128, 3) uint8."""
        out = np.empty((len(indices), *self.pools[0].pictures.shape[1:]), np.uint8)
        which = np.searchsorted(self.starts, indices, side="right") - 1
        for pool in np.unique(which):
            rows = np.flatnonzero(which == pool)
            out[rows] = self.pools[pool].pictures[indices[rows] - self.starts[pool]]
        return out

    def batch(self, indices: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, bool]:
        """Augmented pixels (N, 3, 128, 128) in [-1, 1], and whether they were mirrored.

        One shift and one mirroring for the whole batch keep it cheap; brightness is per picture.
        """
        pixels = torch.from_numpy(self.raw(indices)).permute(0, 3, 1, 2).float()
        dx, dy = rng.integers(-SHIFT, SHIFT + 1, 2)
        pixels = torch.roll(pixels, (int(dy), int(dx)), (2, 3))
        mirrored = bool(rng.random() < 0.5)
        if mirrored:
            pixels = pixels.flip(3)
        gain = torch.from_numpy(rng.uniform(0.94, 1.06, (len(indices), 1, 1, 1)).astype(np.float32))
        return pixels * gain / 127.5 - 1, mirrored

    def cell_labels(self, indices: np.ndarray, mirrored: bool) -> Tensor:
        """Cell classes (N, tasks, grid * grid), row-major, mirrored as the batch was."""
        cells = self.cells[torch.from_numpy(indices)]
        side = int(cells.shape[2] ** 0.5)
        cells = cells.view(*cells.shape[:2], side, side)
        return (cells.flip(3) if mirrored else cells).flatten(2)
