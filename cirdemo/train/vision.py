"""Pretraining of the language model's vision tower: name every attribute of a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from cirdemo.models.qwen import GRID, batched_vision, grid_positions, to_patches
from cirdemo.train.attributes import AttributeHeads, attribute_loss
from cirdemo.train.batches import Pictures

CHECKS = 4  # batches of held-out pictures that say whether training still helps


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionRecipe:
    """Settings of the attribute pretraining; all of them our choice."""

    batch: int = 128
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
        self.held = False  # whether batches are of held-out pictures
        place = grid_positions(GRID, GRID)
        self.order = place[:, 0] * GRID + place[:, 1]  # row-major index of each patch

    def step(self) -> dict[str, Tensor]:
        """One batch."""
        indices = self.pictures.some(self.rng, self.recipe.batch, held_out=self.held)
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
