"""Similarity heatmaps: where a picture carries its similarity to a text. Tensors only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from open_clip.transformer import ResidualAttentionBlock
from PIL import Image
from pytorch_grad_cam import HiResCAM

from cirdemo.types import CirError, Encoder, Heatmap, ImageId
from cirdemo.words import phrases

Kind = Literal["attention", "hirescam", "patch-cosine"]

BLOCKS = 3  # last blocks that the shares are summed or averaged over; chosen on val
BATCH = 16  # texts per backward pass; the picture is repeated for each
SPREAD = (1.0, 4.0, 1.0)  # each way; a patch says what it saw in its neighbours too


def similarity_maps(
    encoder: Encoder,
    image: Image.Image,
    texts: Sequence[str],
    image_id: ImageId,
    *,
    kind: Kind = "attention",
) -> list[Heatmap]:
    """Heatmaps of one picture under several texts, all on one value range.

    `attention`: what the class token reads from each patch in the last blocks, times the gradient
    of the cosine between picture and text: HiResCAM on the messages of attention (see
    `attention_shares`), each spread a little over its neighbours. A tower whose attention cannot
    be laid open gets `hirescam` instead, and the record says so.

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
        "attention": lambda *given: spread(attention_shares(*given)),
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
    if kind == "attention" and not _is_readable(encoder.visual_transformer()):
        kind = "hirescam"
    raw = makers[kind](encoder, image, encoder.encode_texts(texts))  # (N, Gh, Gw)
    positive = np.maximum(raw, 0).astype(np.float32)
    high = float(positive.max())
    values = positive / high if high > 0 else positive  # (N, Gh, Gw) in [0, 1]
    return [
        Heatmap(image_id=image_id, text=text, kind=kind, values=value, value_range=(0.0, high))
        for text, value in zip(texts, values, strict=True)
    ]


def word_maps(
    encoder: Encoder,
    image: Image.Image,
    text: str,
    image_id: ImageId,
    *,
    control: str = "",
    kind: Kind = "attention",
) -> list[Heatmap]:
    """The map of a text, one of each of its phrases, and one of a control; on one value range.

    Args:
        encoder: As in `similarity_maps`.
        image: RGB.
        text: A description; its phrases are those of `cirdemo.words.phrases`.
        image_id: For the records.
        control: A text that is not true of the picture, as of `cirdemo.words.control_word`; its
            map is the last one and shows what the method draws where there is nothing to find.
        kind: As in `similarity_maps`.
    """
    parts = phrases(text)
    texts = [text, *(parts if len(parts) > 1 else ()), *([control] if control else ())]
    return similarity_maps(encoder, image, texts, image_id, kind=kind)


def attention_shares(
    encoder: Any, image: Image.Image, vectors: np.ndarray, *, blocks: int = BLOCKS
) -> np.ndarray:
    """Signed share of each patch in the cosine with each text, through the class token's reading.

    In every block the class token adds up messages, one from each token: attention weight times
    value. The picture reaches the embedding through them alone, so the gradient of the cosine with
    respect to a message, times the message, says how much the patch it came from moved the cosine.
    Summed over the last blocks; messages between patches are not followed.

    Source: Draelos and Carin, HiResCAM, 2020, for gradient times activation; Gandelsman, Efros and
    Steinhardt, Interpreting CLIP's image representation via text-based decomposition, 2024, for
    the messages of a CLIP tower as what its embedding is the sum of.

    Args:
        encoder: An `OpenClipEncoder` whose tower has a class token and plain attention.
        image: RGB.
        vectors: Text embeddings (N, D), unit norm.
        blocks: How many of the last blocks count; at most all but the first.

    Returns:
        (N, Gh, Gw) float32.
    """
    visual = encoder.visual_transformer()
    depth = len(visual.transformer.resblocks)
    blocks = max(1, min(blocks, depth - 1))
    pixels = encoder.pixels([image])  # (1, 3, H, W)
    with encoder.lock, torch.no_grad():  # the hooks of another kind of map would see this pass
        found = visual.forward_intermediates(
            pixels,
            indices=list(range(depth - 1 - blocks, depth - 1)),
            stop_early=True,
            intermediates_only=True,
            output_fmt="NLC",
            output_extra_tokens=True,
        )
    pairs = zip(
        found["image_intermediates_prefix"], found["image_intermediates"], strict=True
    )  # before each of the last blocks: (1, 1, C) and (1, Gh * Gw, C)
    tokens = torch.stack([torch.cat(pair, dim=1) for pair in pairs], dim=1)  # (1, blocks, T, C)
    wanted = torch.from_numpy(np.ascontiguousarray(vectors)).to(tokens)  # (N, D)
    maps = []
    with torch.enable_grad():
        reader = _ClassReader(visual, blocks)
        cam = _RawHiResCAM(reader, list(reader.messages), visual.grid_size, np.sum)
        for start in range(0, len(wanted), BATCH):
            targets = [_CosineTarget(vector) for vector in wanted[start : start + BATCH]]
            maps.append(cam(tokens.expand(len(targets), -1, -1, -1), targets))
    return np.concatenate(maps).astype(np.float32)


def spread(maps: np.ndarray) -> np.ndarray:
    """Maps (..., Gh, Gw) blurred with `SPREAD` each way; the border weighs as much as the middle.

    A border filled up with zeros would pull the hottest place towards the middle of the picture.
    """
    kernel = np.outer(SPREAD, SPREAD)
    height, width = maps.shape[-2:]

    def blurred(values: np.ndarray) -> np.ndarray:
        padded = np.pad(values, [(0, 0)] * (values.ndim - 2) + [(1, 1), (1, 1)])
        parts = [
            kernel[i, j] * padded[..., i : i + height, j : j + width]
            for i in range(3)
            for j in range(3)
        ]
        return np.asarray(np.sum(parts, axis=0))

    return np.asarray(blurred(maps) / blurred(np.ones((height, width))), np.float32)


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
        # the mean over the last blocks is as exact as the last alone and less spiky
        layers = [block.ln_1 for block in visual.transformer.resblocks[-blocks:]]
        # the weights are frozen, so the graph has to start at the pixels
        cam = _RawHiResCAM(visual, layers, visual.grid_size, np.mean, from_input=True)
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


class _ClassReader(torch.nn.Module):
    """The last blocks of a vision transformer for the class token alone, its messages laid open.

    The patches are as the whole tower left them, so the output is the tower's own.
    """

    def __init__(self, visual: Any, blocks: int) -> None:
        super().__init__()
        self.visual = visual
        self.messages = torch.nn.ModuleList(torch.nn.Identity() for _ in range(blocks))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens before each of the blocks (N, blocks, T, C) -> embeddings (N, D)."""
        own = tokens[:, 0, :1]  # (N, 1, C)
        blocks = self.visual.transformer.resblocks[-len(self.messages) :]
        for number, (block, opened) in enumerate(zip(blocks, self.messages, strict=True)):
            normed = block.ln_1(torch.cat([own, tokens[:, number, 1:]], dim=1))  # (N, T, C)
            messages = _messages(block.attn, normed)  # (N, T, C)
            if not messages.requires_grad:  # the first ones: the graph starts here
                messages.requires_grad_()
            read = opened(messages).sum(dim=1, keepdim=True) + block.attn.out_proj.bias
            own = own + block.ls_1(read)
            own = own + block.ls_2(block.mlp(block.ln_2(own)))
        pooled = self.visual.ln_post(own[:, 0])  # (N, C)
        return pooled if self.visual.proj is None else pooled @ self.visual.proj


def _messages(attention: torch.nn.MultiheadAttention, tokens: torch.Tensor) -> torch.Tensor:
    """What the first token takes from each token (N, T, C): weight times value, projected."""
    count, length, width = tokens.shape
    heads = attention.num_heads
    split = torch.nn.functional.linear(tokens, attention.in_proj_weight, attention.in_proj_bias)
    query, key, value = split.view(count, length, 3, heads, width // heads).unbind(2)
    logits = torch.einsum("nhd,nthd->nht", query[:, 0], key) / (width // heads) ** 0.5
    weights = logits.softmax(dim=-1)  # (N, heads, T)
    taken = torch.einsum("nht,nthd->nthd", weights, value).reshape(count, length, width)
    return torch.nn.functional.linear(taken, attention.out_proj.weight)


def _is_readable(visual: Any) -> bool:
    """Whether the tower ends in a class token that reads through plain attention."""
    blocks = visual.transformer.resblocks
    plain = all(type(block) is ResidualAttentionBlock for block in blocks)
    return plain and len(blocks) > 1 and visual.pool_type == "tok"


class _RawHiResCAM(HiResCAM):
    """HiResCAM on the patch grid without grad-cam's clipping and its 0-1 scaling per picture.

    The scaling would make a map of noise look as sure as a map of a find.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        layers: list[torch.nn.Module],
        grid_size: tuple[int, int],
        join: Callable[..., Any],
        *,
        from_input: bool = False,
    ) -> None:
        def grid(tokens: torch.Tensor) -> torch.Tensor:
            """(N, 1 + Gh * Gw, C) -> (N, C, Gh, Gw), without the class token."""
            patches = tokens[:, 1:].reshape(len(tokens), *grid_size, -1)
            return patches.permute(0, 3, 1, 2)

        super().__init__(model, layers, reshape_transform=grid)
        self.compute_input_gradient = from_input
        self.join = join  # of the layers' maps

    def compute_cam_per_layer(
        self, input_tensor: torch.Tensor, targets: list[Any], eigen_smooth: bool
    ) -> list[np.ndarray]:
        return [
            (gradient * activation).sum(dim=1).cpu().numpy()  # (N, Gh, Gw)
            for gradient, activation in zip(
                self.activations_and_grads.gradients,
                self.activations_and_grads.activations,
                strict=True,
            )
        ]

    def aggregate_multi_layers(self, cam_per_target_layer: list[np.ndarray]) -> np.ndarray:
        return np.asarray(self.join(cam_per_target_layer, axis=0))  # (N, Gh, Gw)
