"""Small networks that stand on a frozen dual encoder: its text tower opened up, and what is new.

Width letters beside those of `types`: V token embedding of the text tower, W patch token of the
visual tower, P patches of a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from transformers import Blip2QFormerConfig, Blip2QFormerModel
from transformers.models.blip_2.modeling_blip_2 import Blip2TextEmbeddings

from cirdemo.models import encoders
from cirdemo.models.qwen import attend
from cirdemo.types import CirError

SENTENCE = "a *"  # says a picture by its pseudo-word, which stands in the star's place
PUBLISHED_PROMPT = "<|image|> {}"  # of the report's Retrieval-DPO; no token of any CLIP tokenizer


class TextTower(nn.Module):
    """The text side of an open_clip model, with a way in before its blocks.

    Same answers as `encode_text`, on texts of their true length: behind a causal mask nothing
    that follows the end token can change it.
    """

    def __init__(self, model: nn.Module, *, own_blocks: bool = False) -> None:
        """Share the weights of a loaded open_clip model.

        Args:
            model: The model.
            own_blocks: Whether to copy its blocks, to train them or to put in trained ones.

        Raises:
            CirError: The text tower is not CLIP's kind (causal, read at the end token).
        """
        super().__init__()
        side: Any = getattr(model, "text", model)
        pool = getattr(side, "pool_type", getattr(side, "text_pool_type", None))
        mask = getattr(side, "attn_mask", None)
        if pool not in ("argmax", "eos") or mask is None or getattr(side, "cls_emb", None):
            raise CirError(
                "This method needs an encoder with CLIP's text tower (causal attention, read at "
                "the end token); this encoder has another kind. Pick one such as ViT-B-32."
            )
        self.token_embedding = side.token_embedding
        self.blocks = deepcopy(side.transformer) if own_blocks else side.transformer
        self.ln_final = side.ln_final
        projection = side.text_projection
        self.matrix = projection.weight.T if isinstance(projection, nn.Linear) else projection
        self.positions, self.mask = side.positional_embedding, mask
        self.eos = getattr(side, "text_eos_id", getattr(side, "eos_id", None))
        self.eos = self.eos if pool == "eos" else None

    def check_width(self) -> None:
        """Refuse a tower whose states cannot be compared with pictures before the projection.

        Raises:
            CirError: They are of another width than the space.
        """
        if self.matrix is not None and self.matrix.shape[0] != self.matrix.shape[1]:
            raise CirError(
                "'dpo_published' leaves the text projection out, so it needs an encoder whose text "
                f"tower is as wide as its space; this one is {self.matrix.shape[0]} wide, its "
                f"space {self.matrix.shape[1]}. Pick 'dpo'."
            )

    def ids(self, tokenizer: Any, texts: Sequence[str]) -> Tensor:
        """Token ids (N, T) of texts, cut behind the longest one's end token."""
        ids: Tensor = tokenizer(list(texts))
        return ids[:, : int(self.ends(ids).max()) + 1]

    def ends(self, ids: Tensor) -> Tensor:
        """Place (N,) of each end token; in CLIP's vocabularies it has the highest id."""
        return ids.argmax(1) if self.eos is None else (ids == self.eos).int().argmax(1)

    def forward(
        self, ids: Tensor, words: Tensor | None = None, place: int = 0, project: bool = True
    ) -> Tensor:
        """Vectors (N, D), not normalised.

        Args:
            ids: (N, T).
            words: (N, V) embeddings to stand at one place of each text, in place of the token's.
            place: Where.
            project: Whether to end in the space shared with pictures; else (N, V).
        """
        x = self.token_embedding(ids)  # (N, T, V)
        if words is not None:
            x = torch.cat([x[:, :place], words[:, None].to(x.dtype), x[:, place + 1 :]], 1)
        n, t, width = x.shape
        x = x + self.positions[:t]
        for block in self.blocks.resblocks:
            a = block.attn  # torch's module; written out, as in models.qwen.attend, for speed
            qkv = functional.linear(block.ln_1(x), a.in_proj_weight, a.in_proj_bias)
            q, k, v = qkv.view(n, t, 3, a.num_heads, -1).permute(2, 0, 3, 1, 4)
            y = attend(q, k, v, self.mask[:t, :t]).transpose(1, 2).reshape(n, t, width)
            x = x + block.ls_1(a.out_proj(y))
            x = x + block.ls_2(block.mlp(block.ln_2(x)))
        x = self.ln_final(x)[torch.arange(n), self.ends(ids)]  # (N, V)
        return x @ self.matrix if project and self.matrix is not None else x


class Inverter(nn.Module):
    """phi: a picture's vector (N, D) to the embedding (N, V) of a word that stands for it.

    Three layers as in Pic2Word and SEARLE.
    """

    def __init__(self, dim: int, width: int, hidden: int) -> None:
        """D, V, and the units of the two inner layers."""
        super().__init__()
        self.config = {"dim": dim, "width": width, "hidden": hidden}
        self.layers = nn.Sequential(
            nn.Linear(dim, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, width),
        )

    def forward(self, vectors: Tensor) -> Tensor:
        """(N, D) unit norm to (N, V)."""
        # unit vectors have entries of about D ** -0.5; the layers are set up for entries of 1
        out: Tensor = self.layers(vectors * vectors.shape[1] ** 0.5)
        return out


class FusionNet(nn.Module):
    """BLIP-2's Q-Former over a text and a picture's patch tokens, ending in the gallery's space."""

    def __init__(
        self,
        *,
        vocab: int,
        width: int,
        dim: int,
        queries: int = 8,
        hidden: int = 192,
        layers: int = 4,
        heads: int = 4,
        inner: int = 512,
        context: int = 64,
    ) -> None:
        """Vocabulary of the tokenizer, W, D, and the sizes of the Q-Former."""
        super().__init__()
        sizes = {"queries": queries, "hidden": hidden, "layers": layers, "heads": heads}
        self.config = {"vocab": vocab, "width": width, "dim": dim, **sizes, "inner": inner}
        self.config["context"] = context
        config = Blip2QFormerConfig(
            vocab_size=vocab,
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=inner,
            encoder_hidden_size=width,
            cross_attention_frequency=1,
            max_position_embeddings=context,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            use_qformer_text_input=True,
        )
        self.context = context  # longest text, in tokens
        self.queries = nn.Parameter(torch.randn(1, queries, hidden) * config.initializer_range)
        self.embeddings = Blip2TextEmbeddings(config)
        nn.init.normal_(self.embeddings.word_embeddings.weight, std=config.initializer_range)
        nn.init.normal_(self.embeddings.position_embeddings.weight, std=config.initializer_range)
        self.former = Blip2QFormerModel(config)
        # as in models.qwen.attend: at these lengths the fused kernel's backward pass is slower
        self.former.set_attn_implementation("eager")
        self.projection = nn.Linear(hidden, dim)

    def forward(self, tokens: Tensor, ids: Tensor) -> Tensor:
        """Query vectors (N, D), unit norm.

        Args:
            tokens: (N, P, W) patch tokens of the references.
            ids: (N, T) of the modification texts, padded with 0.
        """
        start = self.queries.expand(len(ids), -1, -1)  # (N, queries, hidden)
        seen = torch.cat([ids.new_ones(start.shape[:2]), (ids != 0).long()], 1)
        states = self.former(
            self.embeddings(ids, query_embeds=start),
            query_length=start.shape[1],
            attention_mask=seen,
            encoder_hidden_states=tokens,
        ).last_hidden_state  # (N, queries + T, hidden)
        return functional.normalize(self.projection(states[:, : start.shape[1]].mean(1)), dim=1)


def text_ids(tokenizer: Any, texts: Sequence[str]) -> Tensor:
    """Token ids (N, T) of texts, cut to the longest; padding is 0."""
    ids: Tensor = tokenizer(list(texts))
    return ids[:, : int((ids != 0).sum(1).max())]


def pseudo_ids(tower: TextTower, tokenizer: Any, texts: Sequence[str]) -> tuple[Tensor, int]:
    """Token ids (N, T) of texts that begin with `SENTENCE`, and the place of its star."""
    star, letter = tokenizer([SENTENCE])[0], tokenizer([SENTENCE.replace("*", "a")])[0]
    return tower.ids(tokenizer, texts), int((star != letter).int().argmax())


def patch_tokens(encoder: encoders.OpenClipEncoder, images: Sequence[Image.Image]) -> Tensor:
    """Patch tokens (N, P, W) of the visual tower's last block, through its final norm.

    Raises:
        CirError: The tower has no patch grid.
    """
    visual = encoder.visual_transformer()
    with encoder.lock, torch.inference_mode():
        found: Tensor = visual.forward_intermediates(
            encoder.pixels(images),
            indices=1,  # the last block
            normalize_intermediates=True,
            intermediates_only=True,
            output_fmt="NLC",
        )["image_intermediates"][0]
    return found
