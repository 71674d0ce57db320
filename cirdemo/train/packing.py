"""Several turns over one shared beginning as one sequence, for training at the price of one.

A *tree* of segments: each sees itself (causally) and its ancestors, and its rope positions go on
where its parent ends, so every branch computes exactly what it would compute as a turn of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

ROUND = 16  # sequences are padded to a multiple, so that few shapes are compiled
IGNORED = -100


@dataclass(slots=True)
class Segment:
    """Token ids with pictures (their index, once per picture) and what is to be predicted."""

    ids: list[int]
    parent: int | None = None
    pictures: list[int] = field(default_factory=list)  # rows of the feature table, in order
    answer_from: int | None = None  # tokens from here on are to be predicted


@dataclass(slots=True)
class Packed:
    """A batch of trees as tensors."""

    ids: Tensor  # (N, T)
    positions: Tensor  # (3, N, T)
    mask: Tensor  # (N, 1, T, T) additive
    labels: Tensor  # (N, T): the next token where it is to be predicted, IGNORED elsewhere
    slots: Tensor  # (M,) flat places of picture tokens in (N * T)
    pictures: Tensor  # (M / tokens,) rows of the feature table
    ends: list[list[int]]  # by tree: flat place of each segment's last token


def rope_positions(ids: Sequence[int], image: int, side: int, start: int) -> tuple[np.ndarray, int]:
    """Positions (3, T) of a token run whose pictures are side x side tokens, and where it ends."""
    out = np.empty((3, len(ids)), np.int64)
    at, i = start, 0
    grid = np.arange(side)
    while i < len(ids):
        if ids[i] == image:
            n = side * side
            out[0, i : i + n] = at
            out[1, i : i + n] = at + np.repeat(grid, side)
            out[2, i : i + n] = at + np.tile(grid, side)
            at, i = at + side, i + n
        else:
            out[:, i] = at
            at, i = at + 1, i + 1
    return out, at


def pack(
    trees: Sequence[Sequence[Segment]], *, image: int, side: int, pad: int, multiple: int = ROUND
) -> Packed:
    """Trees of segments as one batch, padded to a multiple of so many tokens."""
    longest = max(sum(len(s.ids) for s in tree) for tree in trees)
    t = -(-longest // multiple) * multiple
    n = len(trees)
    ids = np.full((n, t), pad, np.int64)
    labels = np.full((n, t), IGNORED, np.int64)
    positions = np.zeros((3, n, t), np.int64)
    allowed = np.zeros((n, t, t), bool)
    allowed[:, np.arange(t), np.arange(t)] = True  # padding sees itself, so no row is empty
    pictures: list[int] = []
    ends: list[list[int]] = []
    for row, tree in enumerate(trees):
        at = 0
        spans: list[tuple[int, int]] = []
        stops: list[int] = []
        for segment in tree:
            m = len(segment.ids)
            ids[row, at : at + m] = segment.ids
            start = 0 if segment.parent is None else stops[segment.parent]
            positions[:, row, at : at + m], stop = rope_positions(segment.ids, image, side, start)
            allowed[row, at : at + m, at : at + m] = np.tri(m, dtype=bool)
            parent = segment.parent
            while parent is not None:
                a, b = spans[parent]
                allowed[row, at : at + m, a:b] = True
                parent = tree[parent].parent
            if segment.answer_from is not None:
                first = segment.answer_from
                labels[row, at + first - 1 : at + m - 1] = segment.ids[first:]
            spans.append((at, at + m))
            stops.append(stop)
            pictures += segment.pictures
            at += m
        ends.append([row * t + b - 1 for _, b in spans])
    mask = torch.zeros((n, 1, t, t)).masked_fill_(~torch.from_numpy(allowed)[:, None], -1e4)
    flat = torch.from_numpy(ids)
    return Packed(
        ids=flat,
        positions=torch.from_numpy(positions),
        mask=mask,
        labels=torch.from_numpy(labels),
        slots=(flat.view(-1) == image).nonzero()[:, 0],
        pictures=torch.tensor(pictures, dtype=torch.long),
        ends=ends,
    )
