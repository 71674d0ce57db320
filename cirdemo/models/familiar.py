"""Whether a picture looks like those an encoder was trained on.

The mean and spread of a picture's patch tokens lie near a low-dimensional plane for the pictures
of the training set; a picture far from that plane is one the encoder has never seen the like of.
It notices most photographs, not all, and now and then calls a drawn picture strange; the distance
to the nearest gallery vector told almost none of them apart.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

FILE = "familiar.npz"
DIMENSIONS = 100  # of the plane
QUANTILE = 0.995  # of seen pictures that count as familiar


@torch.no_grad()
def token_statistics(visual: nn.Module, pixels: Tensor) -> np.ndarray:
    """Mean and standard deviation of the patch tokens, (N, 2 * width)."""
    x = visual.transformer(visual._embeds(pixels))
    tokens = visual.ln_post(x)[:, 1:].float()  # (N, P, width)
    return torch.cat([tokens.mean(1), tokens.std(1)], 1).cpu().numpy()


class Familiar:
    """A plane through token statistics and how far from it seen pictures lie."""

    def __init__(self, mean: np.ndarray, basis: np.ndarray, limit: float) -> None:
        """Mean (S,), basis (DIMENSIONS, S), and the distance of the farthest familiar picture."""
        self.mean, self.basis, self.limit = mean, basis, limit

    @classmethod
    def fit(cls, statistics: np.ndarray) -> Familiar:
        """From the statistics of seen pictures; half of them set the limit."""
        own, held = statistics[::2], statistics[1::2]
        mean = own.mean(0)
        basis = np.linalg.svd(own - mean, full_matrices=False)[2][:DIMENSIONS]
        plane = cls(mean, basis, 0.0)
        plane.limit = float(np.quantile(plane.distance(held), QUANTILE))
        return plane

    def distance(self, statistics: np.ndarray) -> np.ndarray:
        """Distance from the plane, (N,)."""
        offset = statistics - self.mean
        return np.linalg.norm(offset - (offset @ self.basis.T) @ self.basis, axis=1)

    def save(self, folder: Path) -> None:
        """Write beside the weights."""
        np.savez(
            folder / FILE,
            mean=self.mean.astype(np.float32),
            basis=self.basis.astype(np.float16),
            limit=np.float32(self.limit),
        )

    @classmethod
    def load(cls, folder: Path) -> Familiar | None:
        """From beside the weights; None where there is no such file."""
        path = folder / FILE
        if not path.is_file():
            return None
        with np.load(path) as data:
            basis = data["basis"].astype(np.float32)
            return cls(data["mean"], basis, float(data["limit"]))
