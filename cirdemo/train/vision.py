"""Pretraining of the language model's vision tower: name every attribute of a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from cirdemo.models.qwen import GRID, batched_vision, grid_positions, to_patches
from cirdemo.train.attributes import ABSENT, NAMES, AttributeHeads, attribute_loss
from cirdemo.train.batches import Pictures, held_out

CHECKS = 4  # batches of held-out pictures that say whether training still helps


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionRecipe:
    """Settings of the attribute pretraining; all of them our choice."""

    batch: int = 128
    pairs: float = 3.0  # how often two animals are drawn, against 1: they are misread most often
    garments: float = 0.5  # how often a garment is: they are read nearly without error
    cell_weight: float = 1.0
    heads_first: int = 40  # steps in which a tower that has been trained before stays as it is
    lr: float = 3e-3


class VisionTrainer:
    """Step of the attribute pretraining of a Qwen2.5-VL vision tower."""

    def __init__(
        self, visual: nn.Module, pictures: Pictures, recipe: VisionRecipe, seed: int, *, fresh: bool
    ) -> None:
        """`fresh`: the tower has random weights; else fresh heads must not spoil it at first."""
        self.visual, self.pictures, self.recipe = visual, pictures, recipe
        self.rng = np.random.default_rng(seed)
        self.heads = AttributeHeads(256)
        self.modules = {"visual": visual, "heads": self.heads}
        self.forward = batched_vision  # a compiled version may replace it
        self.frozen = 0 if fresh else recipe.heads_first
        self.shares = self._shares()
        self.held = False  # whether batches are of held-out pictures
        place = grid_positions(GRID, GRID)
        self.order = place[:, 0] * GRID + place[:, 1]  # row-major index of each patch

    def _shares(self) -> np.ndarray:
        """How often each picture is drawn, summed up to it; those held out never."""
        count = self.pictures.labels[:, NAMES.index("count")].numpy()
        shares = np.where(count == ABSENT, self.recipe.garments, 1.0)
        shares[count == 1] = self.recipe.pairs  # the second class: two animals
        shares[held_out(len(count))] = 0.0
        return shares.cumsum()

    def draw(self, count: int) -> np.ndarray:
        """Indices of random pictures."""
        if self.held:
            return self.rng.choice(np.flatnonzero(held_out(len(self.pictures))), count)
        return np.searchsorted(self.shares, self.rng.random(count) * self.shares[-1], side="right")

    def step(self) -> dict[str, Tensor]:
        """One batch."""
        indices = self.draw(self.recipe.batch)
        pixels, mirrored = self.pictures.batch(indices, self.rng)
        patches, merged = self.forward(self.visual, to_patches(pixels), (GRID, GRID))
        if self.frozen > 0:  # not under no_grad, which would be compiled anew
            patches, merged = patches.detach(), merged.detach()
            self.frozen -= 1
        attributes, right = attribute_loss(
            self.heads(merged), self.pictures.labels[torch.from_numpy(indices)]
        )
        cells = self.pictures.cell_labels(indices, mirrored)[:, :, self.order]
        cell = self.heads.cell_loss(patches, cells)
        loss = attributes + self.recipe.cell_weight * cell
        return {"loss": loss, "attributes": right, "cell": cell}

    def check(self) -> float:
        """Mean loss on held-out pictures, always the same ones."""
        kept, self.rng, self.held = self.rng, np.random.default_rng(0), True
        try:
            return float(np.mean([float(self.step()["loss"].detach()) for _ in range(CHECKS)]))
        finally:
            self.rng, self.held = kept, False
