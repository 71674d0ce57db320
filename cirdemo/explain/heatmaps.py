"""Similarity heatmaps: where a picture carries its similarity to a text. Tensors only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from pytorch_grad_cam import HiResCAM

from cirdemo.types import CirError, Encoder, Heatmap, ImageId

Kind = Literal["hirescam", "patch-cosine"]

BLOCKS = 3  # last blocks that the shares are averaged over
BATCH = 16  # texts per backward pass; the picture is repeated for each


def similarity_maps(
    encoder: Encoder,
    image: Image.Image,
    texts: Sequence[str],
    image_id: ImageId,
    *,
    kind: Kind = "hirescam",
) -> list[Heatmap]:
    """Heatmaps of one picture under several texts, all on one value range.

    `hirescam`: gradient times activation of the patches before each of the last blocks, over the
    channels: the first-order share of each patch in the cosine between picture and text. Unlike
    Grad-CAM it keeps the gradient's place, which is where the attention is in the last block of
    a vision transformer. Source: Draelos and Carin, Use HiResCAM instead of Grad-CAM, 2020.

    `patch-cosine`: cosine of each patch embedding with the text, minus the mean over the patches.
    Differs: no gradients, and it sees patches the class token does not attend to.

    Only the positive part is kept. Values are scaled by the largest of all the maps, never map by
    map, so a text that is nowhere in the picture gives a dark map.

    Args:
        encoder: An `OpenClipEncoder` with a vision transformer.
        image: RGB.
        texts: One map each.
        image_id: For the records.
        kind: How the maps are made.

    Raises:
        CirError: The encoder has no patch grid.
        ValueError: The kind is unknown.
    """
    makers: dict[str, Callable[[Any, Image.Image, np.ndarray], np.ndarray]] = {
        "hirescam": gradient_shares,
        "patch-cosine": patch_cosines,
    }
    if kind not in makers:
        raise ValueError(f"kind must be one of {', '.join(makers)}, got {kind!r}")
    if not hasattr(encoder, "visual_transformer"):
        raise CirError(
            f"The encoder '{encoder.space}' shows no inner layers, so there is nothing to explain. "
            "Pick an open_clip encoder for heatmaps."
        )
    if not texts:
        return []
    raw = makers[kind](encoder, image, encoder.encode_texts(texts))  # (N, Gh, Gw)
    positive = np.maximum(raw, 0).astype(np.float32)
    high = float(positive.max())
    values = positive / high if high > 0 else positive  # (N, Gh, Gw) in [0, 1]
    return [
        Heatmap(image_id=image_id, text=text, kind=kind, values=value, value_range=(0.0, high))
        for text, value in zip(texts, values, strict=True)
    ]


def gradient_shares(
    encoder: Any, image: Image.Image, vectors: np.ndarray, *, blocks: int = BLOCKS
) -> np.ndarray:
    """Signed first-order share of each patch in the cosine with each text.

    Args:
        encoder: An `OpenClipEncoder`.
        image: RGB.
        vectors: Text embeddings (N, D), unit norm.
        blocks: How many of the last blocks are averaged.

    Returns:
        (N, Gh, Gw) float32.
    """
    visual = encoder.visual_transformer()
    pixels = encoder.pixels([image])  # (1, 3, H, W)
    wanted = torch.from_numpy(np.ascontiguousarray(vectors)).to(pixels.device)  # (N, D)
    maps = []
    # hooks see every pass of the tower, also other threads'
    with encoder.lock, torch.enable_grad():
        cam = _RawHiResCAM(visual, blocks)
        try:
            for start in range(0, len(wanted), BATCH):
                batch = wanted[start : start + BATCH]
                targets = [_CosineTarget(vector) for vector in batch]
                maps.append(cam(pixels.repeat(len(batch), 1, 1, 1), targets))
        finally:
            cam.activations_and_grads.release()
    return np.concatenate(maps).astype(np.float32)


def patch_cosines(encoder: Any, image: Image.Image, vectors: np.ndarray) -> np.ndarray:
    """Cosine of each patch with each text, minus its mean over the patches.

    Args:
        encoder: An `Encoder`.
        image: RGB.
        vectors: Text embeddings (N, D), unit norm.

    Returns:
        (N, Gh, Gw) float32.
    """
    patches: np.ndarray = encoder.encode_patches(image)  # (Gh, Gw, D)
    cosines: np.ndarray = np.einsum("hwd,nd->nhw", patches, vectors)  # (N, Gh, Gw)
    return np.asarray(cosines - cosines.mean(axis=(1, 2), keepdims=True), np.float32)


class _CosineTarget:
    """Cosine similarity of the visual tower's output with a text vector."""

    def __init__(self, vector: torch.Tensor) -> None:
        self.vector = vector  # (D,) unit norm

    def __call__(self, output: torch.Tensor) -> torch.Tensor:
        features = output[0] if isinstance(output, tuple) else output  # (D,)
        return torch.nn.functional.cosine_similarity(features, self.vector, dim=-1)


class _RawHiResCAM(HiResCAM):
    """HiResCAM on the patch grid without grad-cam's clipping and its 0-1 scaling per picture.

    The scaling would make a map of noise look as sure as a map of a find.
    """

    def __init__(self, visual: Any, blocks: int) -> None:
        height, width = visual.grid_size

        def grid(tokens: torch.Tensor) -> torch.Tensor:
            """(N, 1 + Gh * Gw, C) -> (N, C, Gh, Gw), without the class token."""
            patches = tokens[:, 1:].reshape(len(tokens), height, width, -1)
            return patches.permute(0, 3, 1, 2)

        # the mean over the last blocks is as exact as the last alone and less spiky
        layers = [block.ln_1 for block in visual.transformer.resblocks[-blocks:]]
        super().__init__(visual, layers, reshape_transform=grid)
        # the weights are frozen, so the graph has to start at the pixels
        self.compute_input_gradient = True

    def compute_cam_per_layer(
        self, input_tensor: torch.Tensor, targets: list[Any], eigen_smooth: bool
    ) -> list[np.ndarray]:
        shares = [
            (gradient * activation).sum(dim=1).cpu().numpy()  # (N, Gh, Gw)
            for gradient, activation in zip(
                self.activations_and_grads.gradients,
                self.activations_and_grads.activations,
                strict=True,
            )
        ]
        return shares

    def aggregate_multi_layers(self, cam_per_target_layer: list[np.ndarray]) -> np.ndarray:
        return np.asarray(np.mean(cam_per_target_layer, axis=0))  # (N, Gh, Gw)
