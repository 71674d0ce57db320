"""The embedded language model: captions, union and intersection descriptions, second pictures.

The vision tower has learnt to name what is in a picture (train/vision.py) and stays as it is, so
the tokens of every picture are computed once and training runs on the language model alone.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from cirdemo import prompts
from cirdemo.data.drawn import edits, edits_wardrobe, queries
from cirdemo.models import qwen
from cirdemo.train import vocabulary
from cirdemo.train.batches import HELD_OUT
from cirdemo.train.chat import Turns, answer_loss, states
from cirdemo.train.packing import Segment
from cirdemo.train.pools import DrawnPool

SPECIAL = ("pad", "im_start", "im_end", "image_pad", "video_pad", "vision_start", "vision_end")
KINDS = sorted(edits.KINDS)
NAMED = ("species", "colour", "accessory", "comparison")  # edits of one of two animals, by name
MISREAD = 0.7  # share of false captions that differ in one edit; others are of the same family
NAMING = 0.5  # share of them among the edits of two unlike animals: they are learnt last
TRIES = 100  # pictures drawn to find one of two unlike animals; about one in two is
CHECKS = 4  # batches of held-out queries
SHARD = "9MB"  # a plain push to a Space takes files up to 10 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class MllmRecipe:
    """Settings of the language model's training; all of them our choice."""

    batch: int = 24  # references; each gives two answers, and three more an edit
    edits: int = 2  # of each reference
    wardrobe: float = 0.25  # share of wardrobe queries
    fresh: float = 0.9  # share of queries made up on the spot: a fixed set is learnt by heart
    mixed: float = 0.8  # of those over fables, share about two different animals
    retold: float = 0.3  # share of edits of a caption that is not the picture's: words are followed
    lr: float = 1.5e-3


def fresh(seed: int) -> tuple[Qwen2_5_VLForConditionalGeneration, PreTrainedTokenizerFast]:
    """Model with fresh weights, and its tokenizer."""
    torch.manual_seed(seed)
    tokenizer = vocabulary.chat_tokenizer()
    special = {n: tokenizer.convert_tokens_to_ids(f"<|{n}|>") for n in SPECIAL}
    return qwen.small_model(qwen.small_config(len(tokenizer), special)), tokenizer


def continued(folder: Path) -> tuple[Qwen2_5_VLForConditionalGeneration, PreTrainedTokenizerFast]:
    """Model with the weights of an earlier training, under the words of today.

    A word that the earlier tokenizer lacks starts from a fresh embedding.
    """
    old = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    known = PreTrainedTokenizerFast.from_pretrained(folder).get_vocab()
    model, tokenizer = fresh(0)
    weights = old.state_dict()
    table = model.get_input_embeddings().weight.detach().clone()  # (vocabulary, D)
    before = old.get_input_embeddings().weight.detach()
    for word, row in tokenizer.get_vocab().items():
        if word in known:
            table[row] = before[known[word]]
    for name in [n for n, w in weights.items() if w.shape == before.shape]:
        weights[name] = table
    model.load_state_dict(weights)
    return model, tokenizer


def save(
    model: Qwen2_5_VLForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, folder: Path
) -> None:
    """A folder that AutoModelForImageTextToText and AutoProcessor load; bf16 shards."""
    folder.mkdir(parents=True, exist_ok=True)
    dtype = next(model.parameters()).dtype
    model.to(torch.bfloat16).save_pretrained(folder, max_shard_size=SHARD)
    model.to(dtype)
    side = qwen.PATCH * qwen.GRID
    frame = {
        "patch_size": qwen.PATCH,
        "merge_size": qwen.MERGE,
        "temporal_patch_size": qwen.TEMPORAL,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        "size": {"shortest_edge": side * side, "longest_edge": side * side},
    }
    processor = Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(**frame),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(**frame),
        chat_template=tokenizer.chat_template,
    )
    processor.save_pretrained(folder)
    for name in folder.glob("*.safetensors"):
        name.chmod(0o644)


class QueryStream:
    """Queries of the pools in random order, with global picture rows."""

    def __init__(self, pools: dict[str, DrawnPool], seed: int, *, held_out: bool = False) -> None:
        """`held_out`: the families that are never trained on, in place of the others."""
        self.rng = random.Random(seed)
        self.held_out = held_out
        self.pools = pools
        self.base: dict[str, int] = {}
        start = 0
        for world, drawn in pools.items():
            self.base[world] = start
            start += len(drawn.pictures)

    def draw(self, wardrobe: float) -> tuple[str, int]:
        """A world and the number of a query in it."""
        world = "wardrobe" if self.rng.random() < wardrobe else "fables"
        return world, self.number(world)

    def number(self, world: str) -> int:
        """The number of a query of a world."""
        families = len(self.pools[world].pool.asked) // queries.FAMILY_QUERIES
        family = self.rng.randrange(max(1, families // HELD_OUT)) * HELD_OUT
        if not self.held_out:
            family = min(family + self.rng.randrange(1, HELD_OUT), families - 1)
        return family * queries.FAMILY_QUERIES + self.rng.randrange(queries.FAMILY_QUERIES)

    def fresh(self, world: str, mixed: float = 0.0) -> queries.Asked:
        """A query that is not in the pool: any picture that is trained on, and a new edit.

        Args:
            world: Where the picture is from.
            mixed: fables: share of references that are drawn from those with two unlike animals;
                which of the two an edit is about is what language models of this size get wrong.
        """
        contents = self.pools[world].pool.contents
        unlike = world == "fables" and self.rng.random() < mixed
        tries = 0
        while True:
            tries += 1
            first = self.number(world) // queries.FAMILY_QUERIES * queries.FAMILY_PICTURES
            reference = first + self.rng.randrange(queries.FAMILY_PICTURES)
            if unlike and tries < TRIES and not edits.is_mixed(contents[reference].animals):
                continue
            edit = self.edit(world, contents[reference])
            if edit is not None:
                return queries.Asked(reference, edit, ())

    def edit(self, world: str, content: Any) -> Any:
        """A new edit of a scene or a garment whose target may be trained on, or None."""
        if world == "wardrobe":
            return edits_wardrobe.sample_edit(content, self.rng, "train")
        unlike = edits.is_mixed(content.animals) and self.rng.random() < NAMING
        kind = self.rng.choice(NAMED if unlike else KINDS)
        return edits.sample_edit(content, self.rng, "train", {kind})

    def retold(self, world: str, reference: int) -> tuple[Any, Any]:
        """What a caption might say that is not the picture's, and a new edit of what it says.

        One thing is misread or written otherwise by hand, or it is another picture's caption.
        """
        contents = self.pools[world].pool.contents
        while True:
            if self.rng.random() < MISREAD:
                slip = self.edit(world, contents[reference])
                content = slip and altered(contents[reference], slip)
            else:
                content = contents[self.family(world, reference)]
            edit = content and content != contents[reference] and self.edit(world, content)
            if edit:
                return content, edit

    def family(self, world: str, reference: int) -> int:
        """Row of a random picture of the reference's family."""
        first = reference // queries.FAMILY_PICTURES * queries.FAMILY_PICTURES
        return first + self.rng.randrange(queries.FAMILY_PICTURES)


def altered(content: Any, edit: Any) -> Any:
    """A scene or a garment with an edit done."""
    return edit.target(content) if isinstance(edit, edits.Edit) else edit.wanted


class Checked:
    """A trainer over a stream of queries that can be asked for its loss on held-out ones."""

    stream: QueryStream
    step: Callable[[], dict[str, Tensor]]

    def check(self) -> float:
        """Mean loss on held-out queries, always the same ones."""
        kept, self.stream = self.stream, QueryStream(self.stream.pools, 0, held_out=True)
        try:  # not under no_grad, which would be compiled anew
            losses = [float(self.step()["loss"].detach()) for _ in range(CHECKS)]
        finally:
            self.stream = kept
        return sum(losses) / CHECKS


class MllmTrainer(Checked):
    """Step of the language model's training."""

    def __init__(
        self,
        model: Qwen2_5_VLForConditionalGeneration,
        tokenizer: PreTrainedTokenizerFast,
        pools: dict[str, DrawnPool],
        features: Tensor,
        recipe: MllmRecipe,
        seed: int,
    ) -> None:
        self.model, self.recipe, self.features = model, recipe, features
        self.turns, self.stream = Turns(tokenizer), QueryStream(pools, seed)
        self.modules = {"language": model.model.language_model}
        self.forward = qwen.language_states

    def tree(self, world: str, number: int) -> list[Segment]:
        """Turns about one reference as branches of one tree; some of the edits are made up.

        Some are of a caption that is not the picture's, because a description is to follow the
        words before it: a writer that looks again mixes up which of two animals was meant.
        """
        pool, base, r = self.stream.pools[world].pool, self.stream.base[world], self.recipe
        asked, t, rng = pool.asked[number], self.turns, self.stream.rng
        made_up = 0 if self.stream.held_out else r.fresh
        if rng.random() < made_up:
            asked = self.stream.fresh(world, r.mixed)
        picture = asked.reference
        other = self.stream.family(world, picture)
        tree = [
            t.reference(base + picture),
            t.say(prompts.CAPTION, pool.caption(picture), 0),
            t.next_picture(base + other, pool.caption(other), 0),
        ]
        for turn in range(r.edits):
            content, edit = pool.contents[picture], asked.edit
            if rng.random() < r.retold:
                content, edit = self.stream.retold(world, picture)
            elif turn:
                edit = self.stream.edit(world, content) or edit
            caption = queries.CAPTION[world](content)
            tree.append(t.text(prompts.in_words(edit.text, caption), 0))
            asks = len(tree) - 1
            wanted = queries.described(world, content, edit)
            tree += [t.describe(mode, text, asks) for mode, text in wanted.items()]
        return tree

    def step(self) -> dict[str, Tensor]:
        """One batch."""
        trees = [
            self.tree(*self.stream.draw(self.recipe.wardrobe)) for _ in range(self.recipe.batch)
        ]
        packed = self.turns.pack(trees)
        hidden = states(
            self.model.model.language_model, packed, self.features[packed.pictures], self.forward
        )
        loss, right = answer_loss(hidden, self.model.lm_head, packed)
        return {"loss": loss, "right": right}


def describe_command(recipe: MllmRecipe) -> str:
    """One line for logs."""
    return json.dumps({"batch": recipe.batch, "lr": recipe.lr})
