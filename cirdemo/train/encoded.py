"""What the frozen encoder makes of a training pool: kept in the cache, as it does not change.

A method that is trained on top of the frozen towers needs each picture's vector and patch tokens
many times; the pass over the pictures costs minutes and is the same for every such recipe.
"""

from __future__ import annotations

import hashlib
import logging
import random
from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cirdemo.data.drawn import edits, edits_wardrobe, fables, phrases
from cirdemo.data.drawn.queries import FAMILY_PICTURES
from cirdemo.train.compiled import compiled
from cirdemo.train.encoder import image_tower
from cirdemo.train.pools import DrawnPool
from cirdemo.train.precision import autocast

log = logging.getLogger(__name__)
CHUNK = 250  # pictures in one pass
SCENE_KINDS, GARMENT_KINDS = sorted(phrases.FABLES), sorted(phrases.WARDROBE)
TRIES = 50  # edits drawn for a reference before another reference is taken


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """The first pictures of a world's training pool as the frozen encoder sees them."""

    world: str
    contents: tuple[Any, ...]
    vectors: Tensor  # (N, D) float32, unit norm
    tokens: np.ndarray  # (N, P, width) float16 patch tokens; memory-mapped
    rows: dict[Hashable, list[int]]  # pictures by what a target is known by

    def targets(self, edit: Any) -> list[int]:
        """Pictures that satisfy an edit."""
        wanted = edit.wanted if self.world == "wardrobe" else _wanted_subject(edit)
        return [i for i in self.rows.get(wanted, ()) if edit.satisfied(self.contents[i])]

    def draw(self, rng: random.Random, single: float = 0.0) -> tuple[int, str, list[int]]:
        """A fresh query over these pictures: reference, modification text, targets (never empty).

        Any picture may be the reference, so there are many more queries than the pool's own.

        Args:
            rng: What is drawn from.
            single: wardrobe: share of texts with one caption in place of two joined by "and".
        """
        while True:
            reference = rng.randrange(len(self.contents))
            content = self.contents[reference]
            one = rng.random() < single
            for _ in range(TRIES):
                edit: Any
                if self.world == "fables":
                    edit = edits.sample_edit(content, rng, "train", {rng.choice(SCENE_KINDS)})
                elif one:
                    kind = rng.choice(GARMENT_KINDS)
                    edit = edits_wardrobe.one_edit(content, kind, rng, test=False)
                else:
                    edit = edits_wardrobe.sample_edit(content, rng, "train")
                hits = [] if edit is None else [i for i in self.targets(edit) if i != reference]
                if edit is not None and hits:
                    return reference, edit.text, hits


def _wanted_subject(edit: Any) -> Hashable:
    subject: Hashable = fables.make_scene(edit.animals, edit.action, "", "", "", "").subject
    return subject


def encoded(model: nn.Module, drawn: DrawnPool, families: int, cache: Path) -> Encoded:
    """A pool's first families as the encoder sees them; computed if the cache lacks them.

    Args:
        model: The frozen encoder, an open_clip model with a vision transformer.
        drawn: The pool.
        families: How many of its families, at most.
        cache: Folder of the files.
    """
    world, count = drawn.pool.world, min(families * FAMILY_PICTURES, len(drawn.pictures))
    stem = cache / f"{world}-{count}-{drawn.fingerprint}-{digest(model)}"
    files = [stem.with_name(f"{stem.name}-{part}.npy") for part in ("vectors", "tokens")]
    if not all(file.exists() for file in files):
        cache.mkdir(parents=True, exist_ok=True)
        _encode(model, drawn.pictures[:count], *files)
    contents = drawn.pool.contents[:count]
    rows: dict[Hashable, list[int]] = defaultdict(list)
    for i, content in enumerate(contents):
        rows[content if world == "wardrobe" else content.subject].append(i)
    vectors = torch.from_numpy(np.load(files[0]))
    return Encoded(world, contents, vectors, np.load(files[1], mmap_mode="r"), dict(rows))


def _encode(model: nn.Module, pictures: np.ndarray, vectors: Path, tokens: Path) -> None:
    look = compiled(image_tower)
    part = tokens.with_suffix(".part")
    out: np.memmap | None = None
    found = []
    with torch.no_grad(), autocast():
        for start in range(0, len(pictures), CHUNK):
            pixels = torch.from_numpy(np.array(pictures[start : start + CHUNK]))
            vector, patches = look(model, pixels.permute(0, 3, 1, 2).float() / 127.5 - 1)
            found.append(functional.normalize(vector.float(), dim=1).numpy())
            if out is None:
                shape = (len(pictures), *patches.shape[1:])
                out = np.lib.format.open_memmap(part, "w+", np.float16, shape)
            out[start : start + len(patches)] = patches.to(torch.float16).numpy()
            if start % (20 * CHUNK) == 0:
                log.info("encoding pictures: %d of %d", start, len(pictures))
    np.save(vectors, np.concatenate(found))
    if out is not None:
        out.flush()
    part.replace(tokens)  # last, so that a stopped pass leaves no whole pair behind


def digest(model: nn.Module) -> str:
    """A hash of a model's weights."""
    found = hashlib.sha256()
    for tensor in model.state_dict().values():
        found.update(tensor.detach().float().sum().numpy().tobytes())
    return found.hexdigest()[:12]
