"""What frozen models make of the training pictures: computed once, read by several recipes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cirdemo.data.drawn import queries
from cirdemo.models import qwen
from cirdemo.models.familiar import Familiar, token_statistics
from cirdemo.train.compiled import compiled
from cirdemo.train.encoded import digest, encoded
from cirdemo.train.job import READ, Job
from cirdemo.train.pools import DrawnPool
from cirdemo.train.precision import autocast

CHUNK = 250  # pictures encoded at once
SEEN = 1500  # pictures of each world that say what is familiar
HARD = 100  # coarse candidates a query's negatives are drawn from


def familiar_pictures(visual: torch.nn.Module, drawn: dict[str, DrawnPool]) -> Familiar:
    """What seen pictures look like to the tower, from a spread of every pool."""
    rows = []
    for pool in drawn.values():
        some = pool.pictures[:: max(1, len(pool.pictures) // SEEN)][:SEEN]
        x = torch.from_numpy(np.array(some)).permute(0, 3, 1, 2).float() / 127.5 - 1
        rows.append(token_statistics(visual.eval(), x))
    return Familiar.fit(np.concatenate(rows))


def features(visual: torch.nn.Module, drawn: dict[str, DrawnPool], cache: Path) -> Tensor:
    """Picture tokens (pictures, tokens, D) in bf16 of all pools, one after another.

    They are kept in the cache: the language model and its adapters read the same ones.
    """
    told = "-".join(f"{d.fingerprint}-{len(d.pictures)}" for d in drawn.values())
    file = cache / f"{told}-{digest(visual)}.pt"
    if file.exists():
        return torch.load(file, weights_only=True)

    def tokens(tower: torch.nn.Module, pixels: Tensor) -> Tensor:
        x = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
        return qwen.batched_vision(tower, qwen.to_patches(x), (qwen.GRID, qwen.GRID))[1]

    look = compiled(tokens)
    out = []
    with torch.no_grad(), autocast():
        for pool in drawn.values():
            for start in range(0, len(pool.pictures), CHUNK):
                pixels = torch.from_numpy(np.array(pool.pictures[start : start + CHUNK]))
                out.append(look(visual, pixels).to(torch.bfloat16))
    cache.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".{os.getpid()}")
    torch.save(table := torch.cat(out), part)
    part.replace(file)
    return table


def gallery_vectors(encoder: Any, job: Job) -> dict[str, Tensor]:
    """The dual encoder's vectors (N, D) of the pictures that are read, unit norm, by world."""
    cache = job.kept("encoded")
    return {w: encoded(encoder, d, READ[w], cache).vectors for w, d in job.read().items()}


class Coarse:
    """The coarse retriever over the training pictures, as the app has it over a gallery."""

    def __init__(self, encoder: Any, tokenizer: Any, vectors: dict[str, Tensor]) -> None:
        """The dual encoder, and its vectors (N, D) of the pictures by world, unit norm."""
        self.encoder, self.tokenizer, self.vectors = encoder, tokenizer, vectors

    def best(self, world: str, texts: list[str], count: int) -> np.ndarray:
        """Rows (texts, count) of the pictures nearest to each text, best first."""
        from cirdemo.train.encoder import text_tower

        with torch.inference_mode():
            with autocast():
                said = text_tower(self.encoder, self.tokenizer(texts)).float()
            scores = torch.nn.functional.normalize(said, dim=1) @ self.vectors[world].T
            found = scores.topk(min(count, scores.shape[1]), dim=1).indices
        rows: np.ndarray = found.to(torch.int32).numpy()
        return rows

    def hard_negatives(self, drawn: dict[str, DrawnPool]) -> dict[str, np.ndarray]:
        """Rows of the best pictures for every query of the pools, (queries, HARD), by world."""
        out = {}
        for world, pool in drawn.items():
            texts = [
                queries.describe(pool.pool, asked)["intersection"] for asked in pool.pool.asked
            ]
            parts = range(0, len(texts), CHUNK)
            out[world] = np.concatenate(
                [self.best(world, texts[i : i + CHUNK], HARD) for i in parts]
            )
        return out
