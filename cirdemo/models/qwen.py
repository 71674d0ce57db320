"""The Qwen2.5-VL architecture at small size, and its vision tower run on a whole batch at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    Qwen2_5_VisionTransformerPretrainedModel,
    apply_rotary_pos_emb,
)

PATCH, MERGE, TEMPORAL = 16, 2, 2
GRID = 8  # patches a side of a 128-pixel picture
IMAGE_TOKENS = (GRID // MERGE) ** 2
# a picture is read three times, moved by so many of its 128 pixels across and down, and the tokens
# are averaged: this tower has seen few pictures, and what it misreads hangs on where edges fall
SHIFTS = ((0, 0), (3, 2), (-3, -2))


def small_config(vocab_size: int, special: dict[str, int]) -> Qwen2_5_VLConfig:
    """Configuration of the embedded model; `special` maps token names to ids."""
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": vocab_size,
            "hidden_size": 256,
            "intermediate_size": 768,
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "max_position_embeddings": 1024,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [8, 12, 12],
            },
            "tie_word_embeddings": True,
            "pad_token_id": special["pad"],
            "bos_token_id": special["im_start"],
            "eos_token_id": special["im_end"],
        },
        vision_config={
            "depth": 6,
            "hidden_size": 256,
            "intermediate_size": 768,
            "num_heads": 4,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": TEMPORAL,
            "out_hidden_size": 256,
            "window_size": 128,
            "fullatt_block_indexes": list(range(6)),
            "hidden_act": "silu",
            "shifts": [list(shift) for shift in SHIFTS],  # read by `merged_tokens`
        },
        tie_word_embeddings=True,
        image_token_id=special["image_pad"],
        video_token_id=special["video_pad"],
        vision_start_token_id=special["vision_start"],
        vision_end_token_id=special["vision_end"],
    )


def small_model(config: Qwen2_5_VLConfig) -> Qwen2_5_VLForConditionalGeneration:
    """The model with fresh weights."""
    return Qwen2_5_VLForConditionalGeneration(config)


def to_patches(pixels: Tensor, patch: int = PATCH, merge: int = MERGE) -> Tensor:
    """Pixels (N, 3, H, W) as the processor lays them out: (N, P, 3 * 2 * patch * patch).

    Patches of one merged token stand together; a still picture fills both frames of a patch.
    """
    n, c, height, width = pixels.shape
    gh, gw = height // (patch * merge), width // (patch * merge)
    x = pixels.reshape(n, c, gh, merge, patch, gw, merge, patch)
    x = x.permute(0, 2, 5, 3, 6, 1, 4, 7)  # (N, gh, gw, merge, merge, C, patch, patch)
    x = x.reshape(n, gh * gw * merge * merge, c, 1, patch * patch)
    return x.expand(-1, -1, -1, TEMPORAL, -1).reshape(n, x.shape[1], -1)


def from_patches(
    patches: Tensor, grid: tuple[int, int], patch: int = PATCH, merge: int = MERGE
) -> Tensor:
    """Pixels (N, 3, H, W) of still pictures that the processor has laid out; see `to_patches`."""
    n, (down, across) = len(patches), grid
    x = patches.view(n, down * across, -1, TEMPORAL, patch * patch)[:, :, :, 0]
    x = x.reshape(n, down // merge, across // merge, merge, merge, -1, patch, patch)
    x = x.permute(0, 5, 1, 3, 6, 2, 4, 7)  # (N, C, gh, merge, patch, gw, merge, patch)
    return x.reshape(n, -1, down * patch, across * patch)


def shifted(pixels: Tensor, shifts: Sequence[Sequence[int]]) -> list[Tensor]:
    """Pictures (N, C, H, W) moved across and down by so many pixels, their edges drawn out."""
    height, width = pixels.shape[2:]
    far = max(abs(step) for shift in shifts for step in shift)
    wide = functional.pad(pixels, (far,) * 4, mode="replicate")
    return [
        wide[:, :, far - dy : far - dy + height, far - dx : far - dx + width] for dx, dy in shifts
    ]


def grid_positions(gh: int, gw: int, merge: int = MERGE) -> Tensor:
    """Row and column of every patch in the processor's order, (P, 2)."""
    rows = torch.arange(gh).view(gh, 1).expand(gh, gw)
    columns = torch.arange(gw).view(1, gw).expand(gh, gw)
    grid = torch.stack([rows, columns], -1)  # (gh, gw, 2)
    grid = grid.view(gh // merge, merge, gw // merge, merge, 2).transpose(1, 2)
    return grid.reshape(-1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax attention, (N, heads, T, head_dim) each; `mask` is added to the scores.

    Written out where it is trained, because the fused CPU kernel's backward pass was measured
    several times slower than these two matrix products at 64 to 200 tokens.
    """
    if not torch.is_grad_enabled():
        return functional.scaled_dot_product_attention(q, k, v, mask)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)  # (N, heads, T, T)
    if mask is not None:
        scores = scores + mask
    return scores.softmax(-1).to(v.dtype) @ v


def signed(sin: Tensor) -> Tensor:
    """The sines of a rotation (..., head_dim) as `turned` takes them."""
    first, second = sin.chunk(2, -1)
    return torch.cat([-first, second], -1)


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rows (..., head_dim) under rope; the sines are `signed`.

    The halves are exchanged and no sign of theirs: two passes over memory less than the usual
    `x * cos + rotate_half(x) * sin`.
    """
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """As `turned`, in place: where no gradient needs the rows, memory is what it waits for."""
    first, second = x.chunk(2, -1)
    (of_first, of_second), (across, back) = cos.chunk(2, -1), sin.chunk(2, -1)
    moved = first * back
    first.mul_(of_first).addcmul_(second, across)
    second.mul_(of_second).add_(moved)
    return x


def gated(mlp: nn.Module, x: Tensor) -> Tensor:
    """A gated layer (..., D) to (..., D); in place, where no gradient needs what it replaces."""
    gate, up = mlp.act_fn(mlp.gate_proj(x)), mlp.up_proj(x)
    return mlp.down_proj(gate * up if torch.is_grad_enabled() else gate.mul_(up))


def batched_vision(
    visual: nn.Module, patches: Tensor, grid: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """The vision tower on N pictures of one size in one batch.

    Equal to `visual(patches, grid_thw)` with full attention in every block, which loops over the
    pictures one by one; here they share each matrix product.

    Args:
        visual: a Qwen2.5-VL vision tower without windowed blocks at this size.
        patches: (N, P, C) in the processor's order, of still pictures.
        grid: patches down and across.

    Returns:
        Patch states (N, P, Dv) and merged tokens (N, P / 4, D).
    """
    n, p, _ = patches.shape
    weight = visual.patch_embed.proj.weight  # (Dv, 3, frames, patch, patch)
    # both frames of a still picture are the same: one product with the sum of their weights
    frame = patches.view(n, p, *weight.shape[1:3], -1)[:, :, :, 0].flatten(2)
    x = functional.linear(frame, weight.sum(2).flatten(1))  # (N, P, Dv)
    cos, sin = visual.rotary_pos_emb(x, grid_positions(*grid).to(x.device))  # (P, head_dim)
    cos, sin = cos.float(), signed(sin.float())
    rotate = turned if torch.is_grad_enabled() else turn
    for block in visual.blocks:
        attention = block.attn
        qkv = attention.qkv(block.norm1(x)).view(n, p, 3, attention.num_heads, attention.head_dim)
        qkv = qkv.permute(2, 0, 3, 1, 4)  # (3, N, heads, P, head_dim)
        q, k = rotate(qkv[:2].float(), cos, sin).to(x.dtype)
        y = attend(q, k, qkv[2])
        x = x + attention.proj(y.transpose(1, 2).reshape(n, p, -1))
        x = x + gated(block.mlp, block.norm2(x))
    merged = visual.merger(x.reshape(n * p, -1))
    return x, merged.view(n, -1, merged.shape[-1])


def whole_batch(visual: nn.Module, grid: Tensor) -> bool:
    """Whether `batched_vision` gives what a tower gives: one size, still, nothing windowed."""
    blocks = getattr(visual, "fullatt_block_indexes", None)
    return (
        isinstance(visual, Qwen2_5_VisionTransformerPretrainedModel)
        and set(blocks or ()) == set(range(len(visual.blocks)))
        and bool((grid == grid[0]).all())
        and int(grid[0, 0]) == 1
    )


def merged_tokens(visual: nn.Module, pixels: Tensor, grid: Tensor) -> list[Tensor]:
    """The tokens (T, D) of each picture of a batch that the processor has laid out."""
    down, across = int(grid[0, 1]), int(grid[0, 2])
    patches = pixels.view(len(grid), down * across, -1)
    return [*read(visual, patches, (down, across), getattr(visual.config, "shifts", None))]


def read(
    visual: nn.Module,
    patches: Tensor,
    grid: tuple[int, int],
    shifts: Sequence[Sequence[int]] | None = None,
) -> Tensor:
    """Merged tokens (N, T, D) of pictures (N, P, C): the mean over what shifted copies give.

    The language model reads the mean as it reads one picture's tokens, since they mostly agree;
    where one copy makes a cat a rabbit, the others outvote it.

    Args:
        visual: As for `batched_vision`.
        patches: The same.
        grid: The same.
        shifts: Pixels across and down of each copy; none: the picture is read once, as it is.
    """
    if not shifts:
        return batched_vision(visual, patches, grid)[1]
    size = {"patch": visual.config.patch_size, "merge": visual.config.spatial_merge_size}
    copies = shifted(from_patches(patches, grid, **size), shifts)
    each = [batched_vision(visual, to_patches(copy, **size), grid)[1] for copy in copies]
    return torch.stack(each).mean(0)


def language_states(language: nn.Module, embeds: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
    """Last hidden states (N, T, D) of a Qwen2.5-VL language model under any attention mask.

    Args:
        language: the language model (its projections may carry LoRA adapters).
        embeds: (N, T, D) token and picture embeddings.
        positions: (3, N, T) rope positions in time, height and width.
        mask: (N, 1, T, T), added to the attention scores.
    """
    n, t, _ = embeds.shape
    cos, sin = language.rotary_emb(embeds, positions)  # (3, N, T, head_dim)
    x = embeds
    for layer in language.layers:
        a = layer.self_attn
        h = layer.input_layernorm(x)
        q, k, v = (
            p(h).view(n, t, -1, a.head_dim).transpose(1, 2) for p in (a.q_proj, a.k_proj, a.v_proj)
        )  # (N, heads, T, head_dim)
        q, k = apply_rotary_pos_emb(q, k, cos, sin)
        if a.num_key_value_groups > 1:
            k, v = (z.repeat_interleave(a.num_key_value_groups, 1) for z in (k, v))
        y = attend(q.to(v.dtype), k.to(v.dtype), v, mask.to(v.dtype))
        x = x + a.o_proj(y.transpose(1, 2).reshape(n, t, -1))
        x = x + layer.mlp(layer.post_attention_layernorm(x))
    return language.norm(x)
