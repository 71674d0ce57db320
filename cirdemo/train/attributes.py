"""Reading attributes off picture tokens: labels, heads and loss for pretraining vision towers.

A small decoder with one query a slot (scene, first to third animal, garment) attends to the tower's
tokens and classifies every attribute. Language-model or contrastive losses alone teach a small
tower next to nothing about a picture; this teaches it to name what is there first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cirdemo.data.drawn import fables as f
from cirdemo.data.drawn import wardrobe as w

ABSENT = -100  # cross-entropy's ignore index: the attribute does not exist in this picture
SCENE, ANIMALS, GARMENT = 0, (1, 2, 3), 4  # slots
ACTIONS = tuple(dict.fromkeys((*f.SOLO_ACTIONS, *f.PAIR_ACTIONS)))
ATTRIBUTES: tuple[tuple[str, int, tuple[Any, ...]], ...] = (
    ("setting", SCENE, tuple(f.SETTINGS)),
    ("time", SCENE, tuple(f.TIMES)),
    ("weather", SCENE, tuple(f.WEATHERS)),
    ("prop", SCENE, tuple(f.PROPS)),
    ("action", SCENE, ACTIONS),
    ("count", SCENE, (1, 2, 3)),
    *((f"species{i}", s, f.SPECIES) for i, s in enumerate(ANIMALS)),
    *((f"coat{i}", s, f.COATS) for i, s in enumerate(ANIMALS)),
    *((f"accessory{i}", s, ("", *f.ACCESSORIES)) for i, s in enumerate(ANIMALS)),
    ("category", GARMENT, w.CATEGORIES),
    *((name, GARMENT, values) for name, values in w.ATTRIBUTES.items()),
)
NAMES = tuple(a[0] for a in ATTRIBUTES)


def labels(contents: tuple[Any, ...]) -> np.ndarray:
    """Class of every attribute of every picture, (N, A) int64, ABSENT where there is none."""
    out = np.full((len(contents), len(ATTRIBUTES)), ABSENT, np.int64)
    for row, content in enumerate(contents):
        values: dict[str, Any] = {}
        if isinstance(content, f.Scene):
            values = {
                k: getattr(content, k) for k in ("setting", "time", "weather", "prop", "action")
            }
            values["count"] = len(content.animals)
            for i, animal in enumerate(content.animals[:2]):
                values |= {f"{k}{i}": getattr(animal, k) for k in ("species", "coat", "accessory")}
        else:
            values = content.to_json()
        for column, (name, _, known) in enumerate(ATTRIBUTES):
            if name in values:
                out[row, column] = known.index(values[name])
    return out


# (name, box that bounds the cells, classes): what each cell of the grid shows. Many labels a
# picture, and local ones, are what makes a transformer tower learn shapes from few pictures.
CELLS: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    ("species", "head", f.SPECIES),
    ("coat", "head", f.COATS),
    ("accessory", "head", ("", *f.ACCESSORIES)),
    ("action", "animal", ACTIONS),
    ("prop", "prop", tuple(f.PROPS)),
    ("category", "garment", w.CATEGORIES),
    ("pattern", "garment", w.PATTERNS),
    ("sleeve", "sleeves", w.SLEEVES),
    ("neckline", "neckline", w.NECKLINES),
    ("length", "hem", w.LENGTHS),
    ("detail", "detail", w.DETAILS),
)


def _cell_values(content: Any, name: str) -> list[tuple[str, Any]]:
    """(box, value) of everything in a picture that has this attribute."""
    if isinstance(content, f.Scene):
        if name in ("species", "coat", "accessory"):
            return [(f"head:{i}", getattr(a, name)) for i, a in enumerate(content.animals)]
        if name == "action":
            return [(f"animal:{i}", content.action) for i in range(len(content.animals))]
        return [("prop", content.prop)] if name == "prop" and content.prop else []
    if not hasattr(content, name):
        return []
    box = next(b for n, b, _ in CELLS if n == name)
    return [(box, getattr(content, name))]


def cell_labels(contents: tuple[Any, ...], boxes: list[dict[str, Any]], grid: int) -> np.ndarray:
    """Class of every cell under every cell task, (N, tasks, grid * grid) int8.

    Cells outside the boxes get the class behind the last ("nothing here") where the picture is of
    the task's world, and are left out (-1) where it is not.
    """
    out = np.full((len(contents), len(CELLS), grid, grid), -1, np.int8)
    centres = (np.arange(grid) + 0.5) / grid
    for row, (content, named) in enumerate(zip(contents, boxes, strict=True)):
        for task, (name, _, known) in enumerate(CELLS):
            if isinstance(content, f.Scene) == (task >= 5):  # the first five are of the fables
                continue
            out[row, task] = len(known)
            for box, value in _cell_values(content, name):
                if box not in named:
                    continue
                x0, y0, x1, y1 = named[box]
                across, down = (centres > x0) & (centres < x1), (centres > y0) & (centres < y1)
                out[row, task][down[:, None] & across] = known.index(value)
    return out.reshape(len(contents), len(CELLS), -1)


class AttributeHeads(nn.Module):
    """Queries that read attributes off tokens (N, T, D); only used while pretraining."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(5, dim) * 0.5)
        self.reader = nn.TransformerDecoderLayer(
            dim, 4, 2 * dim, dropout=0.0, batch_first=True, norm_first=True
        )
        self.norm = nn.LayerNorm(dim)
        self.heads = nn.ModuleList([nn.Linear(dim, len(values)) for _, _, values in ATTRIBUTES])
        self.cells = nn.ModuleList([nn.Linear(dim, len(known) + 1) for _, _, known in CELLS])

    def forward(self, tokens: Tensor) -> list[Tensor]:
        """Logits (N, classes) of every attribute."""
        queries = self.queries.expand(len(tokens), -1, -1)
        slots = self.norm(self.reader(queries, self.norm(tokens)))  # (N, 5, D)
        return [h(slots[:, s]) for h, (_, s, _) in zip(self.heads, ATTRIBUTES, strict=True)]

    def cell_loss(self, tokens: Tensor, wanted: Tensor) -> Tensor:
        """Mean cross-entropy of the cell tasks; tokens (N, T, D), wanted (N, tasks, T)."""
        total = tokens.new_zeros((), dtype=torch.float32)
        for task, head in enumerate(self.cells):
            rows = wanted[:, task, 0] >= 0  # pictures of the task's world
            if rows.any():
                logits = head(tokens[rows]).float().flatten(0, 1)
                total = total + functional.cross_entropy(
                    logits, wanted[rows, task].flatten().long()
                )
        return total / len(self.cells)


def attribute_loss(logits: list[Tensor], wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy over the attributes that exist, and the share read correctly."""
    total, right, seen = wanted.new_zeros((), dtype=torch.float32), 0.0, 0
    for i, scores in enumerate(logits):
        there = wanted[:, i] != ABSENT
        n = int(there.sum())
        if n:
            total = total + functional.cross_entropy(scores[there].float(), wanted[there, i])
            right += float((scores[there].argmax(1) == wanted[there, i]).sum())
            seen += n
    return total / len(logits), torch.tensor(right / max(1, seen))


@torch.no_grad()
def accuracies(logits: list[Tensor], wanted: Tensor) -> dict[str, float]:
    """Share of pictures read correctly, by attribute."""
    out = {}
    for name, scores, column in zip(NAMES, logits, wanted.T, strict=True):
        there = column != ABSENT
        if there.any():
            out[name] = float((scores[there].argmax(1) == column[there]).float().mean())
    return out
