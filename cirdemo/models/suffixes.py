"""A language model run over many short endings behind one common beginning.

transformers runs a batch behind a cache only where the cache has the batch's own copy of every key
and value, and runs the last layer over tokens whose answer nobody reads. Here the beginning's keys
and values are read where they are by the queries of all rows at once, and the last layer answers
for the last token alone; of the beginning it makes keys and values, and no answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache

from cirdemo.models.qwen import gated, signed, turn

# attentions that differ in nothing but norms of queries and keys; others run through the library
KNOWN = {"Qwen2VLAttention", "Qwen2_5_VLAttention", "Qwen3VLTextAttention"}


_known: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()  # 3 ms a model, asked at every batch


def can_run(language: Any) -> bool:
    """Whether a language model is of a kind that `last_states` knows."""
    if language not in _known:
        _known[language] = _can_run(language)
    return _known[language]


def _can_run(language: Any) -> bool:
    attentions = [getattr(layer, "self_attn", None) for layer in language.layers]
    return (
        all(type(a).__name__ in KNOWN for a in attentions)
        and not any(getattr(a, "sliding_window", None) for a in attentions)
        and all(hasattr(layer.mlp, "gate_proj") for layer in language.layers)
        and len({weight.device for weight in language.parameters()}) == 1  # not spread over some
    )


def keep(
    language: Any,
    embeds: Tensor,
    positions: Tensor,
    cache: DynamicCache,
    seen: Tensor | None = None,
    deeper: Sequence[Tensor] = (),
) -> None:
    """Put the keys and values of a beginning into an empty cache.

    Args:
        language: The language model.
        embeds: (1, P, D) of tokens and pictures.
        positions: (3, 1, P) rope positions.
        cache: Gets (1, heads, P, head_dim) a layer.
        seen: (P,) which tokens are pictures'; needed with `deeper`.
        deeper: (1, picture tokens, D) a layer, added behind the first layers (Qwen3-VL).
    """
    cos, sin = _rotation(language, embeds, positions)
    x, last = embeds, len(language.layers) - 1
    for number, layer in enumerate(language.layers):
        attention = layer.self_attn
        h = layer.input_layernorm(x)
        k, v = turn(_heads(attention, "k", h), cos, sin), _heads(attention, "v", h)
        cache.update(k, v, number)
        if number == last:
            return
        q = turn(_heads(attention, "q", h), cos, sin)
        k, v = (z.repeat_interleave(q.shape[1] // z.shape[1], 1) for z in (k, v))
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = _answered(layer, x, y.transpose(1, 2).flatten(2))
        if number < len(deeper) and seen is not None:
            x[:, seen] = x[:, seen] + deeper[number]


def last_states(
    language: Any,
    embeds: Tensor,
    positions: Tensor,
    cache: DynamicCache,
    seen: Tensor | None = None,
    deeper: Sequence[Tensor] = (),
) -> Tensor:
    """The last hidden state of each row, behind what a cache holds; the cache is only read.

    Args:
        language: The language model.
        embeds: (K, S, D) of tokens and pictures.
        positions: (3, 1, S) rope positions, the same for every row.
        cache: Keys and values of one row, (1, heads, P, head_dim) a layer.
        seen: (S,) which tokens are a picture's; needed with `deeper`.
        deeper: (K, picture tokens, D) a layer, added behind the first layers (Qwen3-VL).

    Returns:
        (K, D).
    """
    length = embeds.shape[1]
    cos, sin = _rotation(language, embeds, positions)
    later = torch.full((length, length), -torch.inf, dtype=embeds.dtype, device=embeds.device)
    later = later.triu(1)  # (S, S): a token sees those before it
    x, last = embeds, len(language.layers) - 1
    for number, layer in enumerate(language.layers):
        attention = layer.self_attn
        h = layer.input_layernorm(x)
        asking = h[:, -1:] if number == last else h  # (K, Q, D)
        asked = asking.shape[1]
        q = _heads(attention, "q", asking)  # (K, heads, Q, head_dim)
        k, v = _heads(attention, "k", h), _heads(attention, "v", h)  # (K, kv heads, S, head_dim)
        q, k = turn(q, cos[-asked:], sin[-asked:]), turn(k, cos, sin)
        kept = cache.layers[number]
        y = _attend(q, k, v, kept.keys, kept.values, later[-asked:])
        x = _answered(layer, x[:, -1:] if number == last else x, y)
        if number < len(deeper) and seen is not None and number != last:
            x[:, seen] = x[:, seen] + deeper[number]
    return language.norm(x[:, -1])  # (K, D)


def _rotation(language: Any, embeds: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and signed sines (S, head_dim) of one row's positions (3, 1, S)."""
    cos, sin = language.rotary_emb(embeds, positions)  # (1, S, head_dim)
    return cos[0], signed(sin[0])


def _answered(layer: Any, x: Tensor, y: Tensor) -> Tensor:
    """What a layer makes of its input and its attention's answers, (K, Q, D) each."""
    x = x + layer.self_attn.o_proj(y)
    return x + gated(layer.mlp, layer.post_attention_layernorm(x))


def _heads(attention: Any, name: str, h: Tensor) -> Tensor:
    """Queries, keys or values: (K, heads, S, head_dim)."""
    x = getattr(attention, f"{name}_proj")(h)
    x = x.view(*h.shape[:2], -1, attention.head_dim)
    norm = getattr(attention, f"{name}_norm", None)
    return (norm(x) if norm is not None else x).transpose(1, 2)


def _attend(
    q: Tensor, k: Tensor, v: Tensor, before: Tensor, values: Tensor, later: Tensor
) -> Tensor:
    """Attention over a common beginning and each row's own tokens: (K, Q, heads * head_dim).

    Args:
        q: (K, heads, Q, head_dim).
        k: (K, kv heads, S, head_dim).
        v: The same.
        before: (1, kv heads, P, head_dim) keys of the beginning.
        values: The same.
        later: (Q, S), added to the scores.
    """
    rows, heads, asked, width = q.shape
    groups = heads // k.shape[1]
    # queries of all rows that share a key head, one after the other: one product for all of them
    # with the beginning, and one a row with its own tokens
    q = q * width**-0.5
    of_all = q.reshape(rows, -1, groups, asked, width).permute(1, 0, 2, 3, 4)
    of_all = of_all.reshape(k.shape[1], -1, width)  # (kv heads, K * groups * Q, head_dim)
    far = of_all @ before[0].transpose(1, 2)  # (kv heads, K * groups * Q, P)
    far = far.view(-1, rows, groups, asked, before.shape[2]).transpose(0, 1)
    near = q.reshape(rows, -1, groups * asked, width) @ k.transpose(2, 3)
    near = near.view(rows, -1, groups, asked, k.shape[2]) + later
    shares = functional.softmax(torch.cat([far, near], -1), -1)
    split = before.shape[2]
    own = shares[..., split:].reshape(rows, -1, groups * asked, k.shape[2]) @ v
    common = shares[..., :split].transpose(0, 1).reshape(k.shape[1], -1, split) @ values[0]
    common = common.view(-1, rows, groups * asked, width).transpose(0, 1)
    y = (own + common).reshape(rows, heads, asked, width)
    return y.transpose(1, 2).reshape(rows, asked, -1)
