"""The embedded open_clip dual encoder: contrastive training on captions of every grain.

Texts say a picture's whole caption, its subject, some of its surroundings or one of its animals;
since records are known, every picture of the batch that a text is true of counts as a positive.
"""

from __future__ import annotations

import json
import random
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from cirdemo.data.drawn import fables as f
from cirdemo.data.drawn import wardrobe as w
from cirdemo.models.qwen import attend
from cirdemo.train import vocabulary
from cirdemo.train.attributes import AttributeHeads, attribute_loss
from cirdemo.train.batches import Pictures

CONTEXT = 40
SAID = 32  # tokens a training text is padded to
SURROUNDINGS = ("setting", "time", "weather", "prop")
WEARABLE = ("category", *w.ATTRIBUTES)
FACTS = ("subject", *SURROUNDINGS, *WEARABLE, "animal")  # columns of a text's claims
ANY = -1
SHARD_BYTES = 9_000_000  # a plain push to a Space takes files up to 10 MB


def model_config(vocab_size: int, eos_id: int) -> dict[str, Any]:
    """open_clip_config.json of the embedded encoder."""
    return {
        "model_cfg": {
            "embed_dim": 256,
            "vision_cfg": {
                "image_size": 128,
                "patch_size": 16,
                "layers": 6,
                "width": 256,
                "head_width": 64,
            },
            "text_cfg": {
                "context_length": CONTEXT,
                "vocab_size": vocab_size,
                "width": 256,
                "heads": 4,
                "layers": 4,
                "hf_tokenizer_name": "local",
                "tokenizer_kwargs": {"clean": "whitespace"},
                "pad_id": 0,
                "eos_id": eos_id,
                "pool_type": "eos",
            },
        },
        "preprocess_cfg": {
            "size": 128,
            "mode": "RGB",
            "mean": [0.5] * 3,
            "std": [0.5] * 3,
            "interpolation": "bicubic",
            "resize_mode": "squash",
            "fill_color": 0,
        },
    }


def _blocks(transformer: nn.Module, x: Tensor, mask: Tensor | None) -> Tensor:
    """open_clip's residual blocks with attention written out (see models.qwen.attend)."""
    n, t, d = x.shape
    for block in transformer.resblocks:
        a = block.attn
        qkv = functional.linear(block.ln_1(x), a.in_proj_weight, a.in_proj_bias)
        q, k, v = qkv.view(n, t, 3, a.num_heads, -1).permute(2, 0, 3, 1, 4)  # (N, heads, T, hd)
        x = x + a.out_proj(attend(q, k, v, mask).transpose(1, 2).reshape(n, t, d))
        x = x + block.mlp(block.ln_2(x))
    return x


def image_tower(model: nn.Module, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Embeddings (N, D), not normalised, and patch tokens (N, P, width)."""
    visual = model.visual
    x = visual.ln_post(_blocks(visual.transformer, visual._embeds(pixels), None))
    return x[:, 0] @ visual.proj, x[:, 1:]


def text_tower(model: nn.Module, ids: Tensor) -> Tensor:
    """Embeddings (N, D), not normalised, of ids (N, T)."""
    t = ids.shape[1]
    x = model.token_embedding(ids) + model.positional_embedding[:t]
    x = model.ln_final(_blocks(model.transformer, x, model.attn_mask[:t, :t]))
    return x[torch.arange(len(ids)), ids.argmax(1)] @ model.text_projection


class Texts:
    """Texts about pictures, and which pictures they are true of."""

    def __init__(self, contents: list[Any]) -> None:
        self.contents = contents
        subjects: dict[Any, int] = {}
        self.facts = np.full((len(contents), len(FACTS) - 1), -2, np.int64)  # -2: has no such fact
        self.animals = np.zeros((len(contents), len(f.SPECIES) * len(f.COATS)), bool)
        for i, content in enumerate(contents):
            self.facts[i] = self._facts(content, subjects)
            if isinstance(content, f.Scene):
                for animal in content.animals:
                    self.animals[i, self._animal(animal)] = True

    @staticmethod
    def _animal(animal: f.Animal) -> int:
        return f.SPECIES.index(animal.species) * len(f.COATS) + f.COATS.index(animal.coat)

    @staticmethod
    def _facts(content: Any, subjects: dict[Any, int]) -> list[int]:
        row = [-2] * (len(FACTS) - 1)
        if isinstance(content, f.Scene):
            row[0] = subjects.setdefault(content.subject, len(subjects))
            tables = (f.SETTINGS, f.TIMES, f.WEATHERS, f.PROPS)
            for j, (name, table) in enumerate(zip(SURROUNDINGS, tables, strict=True), 1):
                row[j] = list(table).index(getattr(content, name))
        else:
            known = {"category": w.CATEGORIES, **w.ATTRIBUTES}
            for j, name in enumerate(WEARABLE, 5):
                row[j] = known[name].index(getattr(content, name))
        return row

    def say(self, index: int, rng: random.Random) -> tuple[str, list[int]]:
        """A text about a picture and what it claims, one value a column of FACTS, ANY if silent."""
        content, claims = self.contents[index], [ANY] * len(FACTS)
        row = self.facts[index]
        if isinstance(content, f.Scene):
            draw = rng.random()
            if draw < 0.08:
                animal = rng.choice(content.animals)
                claims[-1] = self._animal(animal)
                return f.article(f"{animal.coat} {animal.species}"), claims
            share = 1.0 if draw < 0.35 else 0.0 if draw < 0.65 else 0.4
            spoken = {}
            for j, name in enumerate(SURROUNDINGS, 1):
                value = getattr(content, name)
                if value not in ("", "day", "clear") and rng.random() < share:
                    spoken[name] = value
                    claims[j] = int(row[j])
            tail = f.surroundings_words(**spoken)
            if tail and draw > 0.93:
                return tail, claims
            claims[0] = int(row[0])
            return f"{f.subject_words(content.animals, content.action)} {tail}".rstrip(), claims
        share = 1.0 if rng.random() < 0.5 else rng.choice((0.2, 0.5))
        said = {}
        for j, name in enumerate(WEARABLE, 5):
            value = getattr(content, name)
            if name == "category" or (value and rng.random() < share):
                said[name] = value
                claims[j] = int(row[j])
        return w.garment_words(**said), claims

    def true_of(self, claims: np.ndarray, indices: np.ndarray) -> Tensor:
        """(texts, pictures) bool: whether every claim of a text holds for a picture."""
        facts = self.facts[indices]
        wanted = claims[:, None, :-1]
        holds = ((wanted == ANY) | (wanted == facts[None])).all(-1)
        animal = claims[:, -1]
        shown = self.animals[indices][:, np.maximum(animal, 0)].T
        return torch.from_numpy(holds & ((animal == ANY)[:, None] | shown))


def multi_positive_loss(scores: Tensor, positive: Tensor) -> Tensor:
    """Mean over rows of -log of the softmax mass on the positives; rows with none are left out."""
    rows = positive.any(1)
    hit = scores.masked_fill(~positive, float("-inf")).logsumexp(1)
    return (scores.logsumexp(1) - hit)[rows].mean()


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderRecipe:
    """Settings of the dual encoder's training; all of them our choice."""

    families: int = 24  # families in a batch
    each: int = 8  # pictures of each
    attribute_weight: float = 4.0  # of the attribute loss beside the contrastive loss
    cell_weight: float = 4.0
    lr: float = 2.5e-3


class EncoderTrainer:
    """Model, data and step of the dual encoder."""

    def __init__(self, pictures: Pictures, recipe: EncoderRecipe, seed: int) -> None:
        torch.manual_seed(seed)
        self.pictures, self.recipe = pictures, recipe
        self.rng, self.words = np.random.default_rng(seed), random.Random(seed)
        self.texts = Texts([c for p in pictures.pools for c in p.pool.contents])
        self.tokenizer = vocabulary.encoder_tokenizer(CONTEXT)
        self.config = model_config(len(self.tokenizer), self.tokenizer.eos_token_id)
        self.model = open_clip.CLIP(**deepcopy(self.config["model_cfg"]))
        self.heads = AttributeHeads(256)
        self.modules = {"model": self.model, "heads": self.heads}
        self.images, self.written = image_tower, text_tower  # compiled versions may replace them

    def step(self) -> dict[str, Tensor]:
        """One batch."""
        r = self.recipe
        indices = self.pictures.families(self.rng, r.families, r.each)
        pixels, mirrored = self.pictures.batch(indices, self.rng)
        said = [self.texts.say(int(i), self.words) for i in indices]
        claims = np.array([c for _, c in said])
        # the longest true caption has 27 tokens; padding behind a text changes nothing (causal)
        ids = self.tokenizer(
            [t for t, _ in said], padding="max_length", max_length=SAID, return_tensors="pt"
        )["input_ids"]
        images, tokens = self.images(self.model, pixels)
        texts = self.written(self.model, ids)
        scale = self.model.logit_scale.exp().clamp(max=100)
        scores = (
            scale
            * functional.normalize(texts.float(), dim=1)
            @ functional.normalize(images.float(), dim=1).T
        )  # (texts, pictures)
        true = self.texts.true_of(claims, indices)
        contrast = (multi_positive_loss(scores, true) + multi_positive_loss(scores.T, true.T)) / 2
        logits = self.heads(tokens)
        attributes, right = attribute_loss(logits, self.pictures.labels[torch.from_numpy(indices)])
        cell = self.heads.cell_loss(tokens, self.pictures.cell_labels(indices, mirrored))
        loss = contrast + r.attribute_weight * attributes + r.cell_weight * cell
        return {"loss": loss, "contrast": contrast, "attributes": right, "cell": cell}

    def save(self, folder: Path) -> None:
        """A folder that OpenClipEncoder loads, weights in half precision and in shards."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "open_clip_config.json").write_text(json.dumps(self.config, indent=1) + "\n")
        vocabulary.save(self.tokenizer, folder)
        for old in folder.glob("*.safetensors"):
            old.unlink()  # shards of an earlier save
        weights = {k: v.contiguous().half() for k, v in self.model.state_dict().items()}
        parts = shards(weights)
        for n, part in enumerate(parts, start=1):
            path = folder / f"open_clip_model-{n:05d}-of-{len(parts):05d}.safetensors"
            save_file(part, path)
            path.chmod(0o644)


def shards(weights: dict[str, Tensor], limit: int = SHARD_BYTES) -> list[dict[str, Tensor]]:
    """Weights in their order, cut into parts of at most `limit` bytes."""
    parts: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, weight in weights.items():
        if parts[-1] and size + weight.nbytes > limit:
            parts.append({})
            size = 0
        parts[-1][name] = weight
        size += weight.nbytes
    return parts
