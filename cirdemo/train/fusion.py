"""Trainers of the learned coarse methods: inversion's phi, the Q-Former, and Retrieval-DPO.

The encoder stays as it is, so a gallery's vectors serve every method; what is trained learns to
end in their space, and negatives are vectors that are on hand.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cirdemo.data.drawn import phrases
from cirdemo.data.drawn.queries import FAMILY_PICTURES
from cirdemo.models import fusion, trained
from cirdemo.train.encoded import Encoded
from cirdemo.train.encoder import multi_positive_loss
from cirdemo.train.pools import DrawnPool


@dataclass(frozen=True, slots=True, kw_only=True)
class InversionRecipe:
    """phi: contrastive loss between the pseudo-word's sentence and the picture, as in Pic2Word."""

    families: int = 2000  # of each world
    hidden: int = 448
    batch: int = 256  # pictures; of one batch all others are negatives
    lr: float = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class QFormerRecipe:
    """The Q-Former; sizes are our choice, the learnable temperature starts as SPRC's."""

    families: int = 2000  # of each world
    queries: int = 8
    hidden: int = 192
    layers: int = 4
    inner: int = 512
    batch: int = 128  # queries, of one world
    wardrobe: float = 0.6  # share of batches
    single: float = 0.2  # share of wardrobe texts with one caption in place of two
    fresh: float = 0.3  # share of fables queries that are made up beside the pool's own
    bank: int = 4096  # pictures drawn as negatives, beside in-batch targets and mined near misses
    hidden_words: float = 0.03  # share of words replaced, so that no single one is relied on
    terse: float = 0.5  # share of texts that lose words of their phrasing ...
    dropped: float = 0.4  # ... each with this probability: what is left has to do in any order
    temperature: float = 0.07
    lr: float = 2e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class DpoRecipe:
    """Retrieval-DPO; beta and the rate of AdamW are the report's."""

    families: int = 2000  # of each world
    published: bool = False  # as the report's code does it, or as its text means it
    batch: int = 64  # the report's log
    wardrobe: float = 0.6  # share of batches
    top: int = 50  # nearest pictures that a negative is sampled from
    beta: float = 0.1
    lr: float = 1e-4


class Asks:
    """Queries of a batch: the pool's own and fresh ones, of one world at a time."""

    def __init__(
        self,
        worlds: dict[str, Encoded],
        drawn: dict[str, DrawnPool],
        wardrobe: float,
        seed: int,
    ) -> None:
        """The pools, and the same pools as the frozen encoder sees (a part of) them."""
        self.worlds, self.wardrobe = worlds, wardrobe
        self.rng = random.Random(seed)
        self.own = {name: _own(world, drawn[name]) for name, world in worlds.items()}

    def world(self) -> Encoded:
        """The world of the next batch."""
        return self.worlds["wardrobe" if self.rng.random() < self.wardrobe else "fables"]

    def draw(
        self, world: Encoded, count: int, *, fresh: float = 1.0, single: float = 0.0
    ) -> tuple[list[int], list[str], list[list[int]]]:
        """References, texts and targets of so many queries."""
        rng, own = self.rng, self.own[world.world]
        drawn = [
            world.draw(rng, single) if rng.random() < fresh or not own else rng.choice(own)
            for _ in range(count)
        ]
        return [r for r, _, _ in drawn], [t for _, t, _ in drawn], [h for _, _, h in drawn]


def _own(world: Encoded, drawn: DrawnPool) -> list[tuple[int, str, list[int]]]:
    """The pool's own queries whose reference and some targets are among the encoded pictures."""
    found = []
    for asked, all_targets in zip(drawn.pool.asked, drawn.targets, strict=True):
        targets = [i for i in all_targets if i < len(world.contents)]
        if asked.reference < len(world.contents) and targets:
            found.append((asked.reference, asked.edit.text, targets))
    return found


class InversionTrainer:
    """Pictures alone: no text of any picture is used."""

    def __init__(
        self, model: Any, tokenizer: Any, vectors: Tensor, recipe: InversionRecipe, seed: int
    ) -> None:
        """`vectors`: (N, D) of the frozen encoder."""
        torch.manual_seed(seed)
        self.tower = fusion.TextTower(model)
        self.ids, self.place = fusion.pseudo_ids(self.tower, tokenizer, [fusion.SENTENCE])
        width = self.tower.token_embedding.weight.shape[1]
        self.net = fusion.Inverter(vectors.shape[1], width, recipe.hidden)
        self.modules = {"phi": self.net}
        self.vectors, self.recipe = vectors, recipe
        self.scale = float(model.logit_scale.detach().exp())
        self.rng = np.random.default_rng(seed)

    def step(self) -> dict[str, Tensor]:
        """One batch."""
        rows = self.rng.choice(len(self.vectors), self.recipe.batch, replace=False)
        wanted = self.vectors[torch.from_numpy(rows)]  # (N, D)
        words = self.net(wanted)  # (N, V)
        said = self.tower(self.ids.expand(len(words), -1), words, self.place)
        scores = functional.normalize(said.float(), dim=1) @ wanted.T  # (N, N)
        labels = torch.arange(len(words))
        logits = self.scale * scores
        contrast = functional.cross_entropy(logits, labels)
        contrast = (contrast + functional.cross_entropy(logits.T, labels)) / 2
        return {"loss": contrast, "cosine": scores.diagonal().mean()}

    def save(self, folder: Path, space: str) -> None:
        """A folder that `InversionComposer` loads."""
        trained.save(folder, self.net, space, self.net.config)


class QFormerTrainer:
    """InfoNCE with in-batch, mined and random negatives; the encoder's towers are not touched."""

    def __init__(
        self,
        tokenizer: Any,
        vocab: int,
        asks: Asks,
        recipe: QFormerRecipe,
        seed: int,
    ) -> None:
        """`vocab`: rows of the encoder's token embedding."""
        torch.manual_seed(seed)
        some = next(iter(asks.worlds.values()))
        self.net = fusion.FusionNet(
            vocab=vocab,
            width=some.tokens.shape[2],
            dim=some.vectors.shape[1],
            queries=recipe.queries,
            hidden=recipe.hidden,
            layers=recipe.layers,
            inner=recipe.inner,
        )
        self.heat = Scale(recipe.temperature)
        self.modules = {"qformer": self.net, "scale": self.heat}
        self.tokenizer, self.vocab, self.asks, self.recipe = tokenizer, vocab, asks, recipe
        self.words = torch.Generator().manual_seed(seed)
        self.forward = self.net.forward

    def shorten(self, text: str) -> str:
        """The text, or the same with fewer of the words that only its phrasing has."""
        r, rng = self.recipe, self.asks.rng
        if rng.random() >= r.terse:
            return text
        kept = [w for w in text.split() if w not in phrases.MANNER or rng.random() >= r.dropped]
        return " ".join(kept) or text

    def hide(self, ids: Tensor) -> Tensor:
        """Ids (N, T) with some words replaced by others; first and last tokens stay."""
        inner = torch.zeros_like(ids, dtype=torch.bool)
        inner[:, 1:-1] = (ids != 0)[:, 2:]
        hit = inner & (torch.rand(ids.shape, generator=self.words) < self.recipe.hidden_words)
        other = torch.randint(1, self.vocab, ids.shape, generator=self.words)
        return torch.where(hit, other, ids)

    def candidates(
        self, world: Encoded, references: list[int], targets: list[list[int]]
    ) -> tuple[list[int], Tensor]:
        """Pictures that a batch is compared with, and which of them are whose targets (N, C).

        Random ones, all targets of the batch, and the families of its references, which hold the
        reference itself and the near misses of its edits.
        """
        rng = self.asks.rng
        rows = set(rng.sample(range(len(world.contents)), min(self.recipe.bank, len(world.rows))))
        for reference, hits in zip(references, targets, strict=True):
            first = reference // FAMILY_PICTURES * FAMILY_PICTURES
            rows.update(hits, range(first, min(first + FAMILY_PICTURES, len(world.contents))))
        order = sorted(rows)
        where = {row: column for column, row in enumerate(order)}
        positive = torch.zeros(len(targets), len(order), dtype=torch.bool)
        for n, hits in enumerate(targets):
            positive[n, [where[i] for i in hits]] = True
        return order, positive

    def step(self) -> dict[str, Tensor]:
        """One batch, of one world."""
        r = self.recipe
        world = self.asks.world()
        fresh = r.fresh if world.world == "fables" else 1.0
        references, texts, targets = self.asks.draw(world, r.batch, fresh=fresh, single=r.single)
        texts = [self.shorten(text) for text in texts]
        ids = self.hide(fusion.text_ids(self.tokenizer, texts))
        tokens = torch.from_numpy(world.tokens[references].astype(np.float32))  # (N, P, W)
        vectors = self.forward(tokens, ids)  # (N, D)
        rows, positive = self.candidates(world, references, targets)
        cosines = vectors.float() @ world.vectors[rows].T  # (N, candidates)
        loss = multi_positive_loss(self.heat(cosines), positive)
        best = cosines.argmax(1, keepdim=True)
        top = positive.gather(1, best).float().mean()
        return {"loss": loss, f"{world.world}_top1": top, f"{world.world}_loss": loss}

    def save(self, folder: Path, space: str) -> None:
        """A folder that `QFormerComposer` loads."""
        trained.save(folder, self.net, space, self.net.config)


class Scale(nn.Module):
    """A learnable inverse temperature."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.tensor(1 / temperature).log())

    def forward(self, cosines: Tensor) -> Tensor:
        """Logits."""
        return self.log.exp().clamp(max=100) * cosines


def preference_loss(
    wanted: Tensor, unwanted: Tensor, beta: float, base: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """-log sigmoid(beta * margin), mean over rows.

    Args:
        wanted: (N,) policy scores of the preferred pictures.
        unwanted: (N,) of the others.
        beta: How strongly to hold to the reference policy.
        base: the frozen reference policy's scores of the same; DPO's margin is the policy's less
            the reference policy's. None leaves that term out, as the report's code does.
    """
    margin = wanted - unwanted
    if base is not None:
        margin = margin - (base[0] - base[1])
    return -functional.logsigmoid(beta * margin).mean()


class DpoTrainer:
    """Both kinds of Retrieval-DPO; `DpoPublished` in `retrieve.tuned` lists how they differ."""

    def __init__(
        self, model: Any, tokenizer: Any, asks: Asks, recipe: DpoRecipe, seed: int
    ) -> None:
        """`model`: the frozen encoder; its text blocks are copied, and the copy is trained.

        Raises:
            CirError: The published kind cannot compare this encoder's texts with its pictures.
        """
        torch.manual_seed(seed)
        self.base = fusion.TextTower(model)
        if recipe.published:
            self.base.check_width()
        self.policy = fusion.TextTower(model, own_blocks=True)
        self.policy.blocks.requires_grad_(True)
        self.modules = {"blocks": self.policy.blocks}
        self.tokenizer, self.asks, self.recipe = tokenizer, asks, recipe
        self.scale = float(model.logit_scale.detach().exp())
        self.rng = np.random.default_rng(seed)

    def pairs(
        self, world: Encoded, references: list[int], texts: list[str], targets: list[list[int]]
    ) -> tuple[list[int], list[int]]:
        """Rows of the preferred picture and of the other one, by query."""
        if self.recipe.published:  # the reference itself, and its single nearest neighbour
            near = world.vectors[references] @ world.vectors.T  # (N, pictures)
            near[torch.arange(len(references)), references] = -2.0
            return references, [int(i) for i in near.argmax(1)]
        wanted = [self.asks.rng.choice(hits) for hits in targets]
        near = world.vectors[wanted] @ world.vectors.T  # (N, pictures)
        others = []
        for hits, row in zip(targets, near, strict=True):
            row[hits] = -2.0
            top = row.topk(min(self.recipe.top, len(row) - len(hits))).indices
            others.append(int(top[self.asks.rng.randrange(len(top))]))
        return wanted, others

    def step(self) -> dict[str, Tensor]:
        """One batch."""
        r, world = self.recipe, self.asks.world()
        # the report takes FashionIQ's two captions one by one; the pool's own queries join them
        mixture = {"fresh": 1.0, "single": 1.0} if r.published else {"fresh": 0.5, "single": 0.2}
        references, texts, targets = self.asks.draw(world, r.batch, **mixture)
        wanted, others = self.pairs(world, references, texts, targets)
        said = [fusion.PUBLISHED_PROMPT.format(t) for t in texts] if r.published else texts
        ids = self.policy.ids(self.tokenizer, said)
        seen = world.vectors[wanted], world.vectors[others]  # (N, D) each

        def scores(tower: fusion.TextTower) -> tuple[Tensor, Tensor]:
            vectors = functional.normalize(tower(ids, project=not r.published).float(), dim=1)
            first, second = (self.scale * (vectors * rows).sum(1) for rows in seen)
            return first, second

        base = None
        if not r.published:
            with torch.no_grad():
                base = scores(self.base)
        plus, minus = scores(self.policy)
        loss = preference_loss(plus, minus, r.beta, base)
        return {"loss": loss, "preferred": (plus > minus).float().mean()}

    def save(self, folder: Path, space: str) -> None:
        """A folder that the DPO composers load: the text blocks alone."""
        trained.save(folder, self.policy.blocks, space, {"published": self.recipe.published})
