"""CIR-CoT: the rationale, and the embedding behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.nn import functional

from cirdemo import prompts
from cirdemo.data.drawn import queries, reasoning
from cirdemo.models import qwen
from cirdemo.train.chat import Turns, answer_loss, states
from cirdemo.train.mllm import Checked, QueryStream
from cirdemo.train.packing import Segment
from cirdemo.train.pools import DrawnPool


@dataclass(frozen=True, slots=True, kw_only=True)
class CotRecipe:
    """Settings of CIR-CoT; the loss is the paper's, its weights and temperature our choice."""

    rank: int = 32
    alpha: int = 64
    batch: int = 32
    wardrobe: float = 0.25
    fresh: float = 0.6  # share of queries made up on the spot; they have no targets to retrieve
    mixed: float = 0.7  # of those over fables, share about two different animals
    retold: float = 0.6  # of those, share of a caption that is not the picture's: it is followed
    text_weight: float = 1.0  # lambda_txt
    info_weight: float = 0.5  # lambda_Info
    temperature: float = 0.05
    negatives: int = 1024  # gallery vectors drawn for a batch
    lr: float = 2e-3


class CotTrainer(Checked):
    """Rationale tokens and the `<emb>` state: lambda_txt * CE + lambda_Info * InfoNCE.

    A second branch answers with `<emb>` at once, so that what the reasoning adds can be measured.
    """

    def __init__(
        self,
        model: PeftModel,
        tokenizer: Any,
        pools: dict[str, DrawnPool],
        features: Tensor,
        gallery: dict[str, Tensor],
        recipe: CotRecipe,
        seed: int,
    ) -> None:
        """`gallery`: by world, the dual encoder's vectors (N, D) of all pictures."""
        self.model, self.recipe, self.features, self.gallery = model, recipe, features, gallery
        self.turns, self.stream = Turns(tokenizer), QueryStream(pools, seed)
        self.core = model.get_base_model()
        width = next(iter(gallery.values())).shape[1]
        self.projection = nn.Linear(self.core.config.text_config.hidden_size, width, bias=False)
        self.modules = {"model": model, "projection": self.projection}
        self.forward = qwen.language_states

    def step(self) -> dict[str, Tensor]:
        """One batch, of one world, so that negatives are of the same gallery."""
        r, rng = self.recipe, self.stream.rng
        world = self.stream.draw(r.wardrobe)[0]
        drawn = self.stream.pools[world]
        made_up = 0 if self.stream.held_out else round(r.batch * r.fresh)
        numbers = [self.stream.number(world) for _ in range(r.batch - made_up)]
        asks = [drawn.pool.asked[number] for number in numbers]
        asks += [self.stream.fresh(world, r.mixed) for _ in range(made_up)]
        trees = [self._tree(world, asked, own=i < len(numbers)) for i, asked in enumerate(asks)]
        packed = self.turns.pack(trees)
        hidden = states(
            self.core.model.language_model, packed, self.features[packed.pictures], self.forward
        )
        text_loss, right = answer_loss(hidden, self.core.lm_head, packed)
        # before <|im_end|>: of the rationales, then of the direct answers
        known = packed.ends[: len(numbers)]
        emb = hidden[[tree[branch] - 1 for branch in (1, 2) for tree in known]]
        vectors = functional.normalize(self.projection(emb).float(), dim=1)
        rows = [rng.randrange(len(drawn.pictures)) for _ in range(r.negatives)]
        for number in numbers:
            rows += [*drawn.targets[number][:3], *drawn.pool.asked[number].near]
        rows = sorted(set(rows))
        scores = vectors @ self.gallery[world][rows].T / r.temperature  # (2 queries, pictures)
        where = {row: i for i, row in enumerate(rows)}
        positive = torch.zeros_like(scores, dtype=torch.bool)
        for q, number in enumerate(numbers):
            for row in drawn.targets[number]:
                if row in where:
                    positive[[q, q + len(numbers)], where[row]] = True
        hit = scores.masked_fill(~positive, float("-inf")).logsumexp(1)
        thought, direct = (scores.logsumexp(1) - hit).view(2, -1).mean(1)
        info = (thought + direct) / 2
        loss = r.text_weight * text_loss + r.info_weight * info
        return {"loss": loss, "text": text_loss, "right": right, "info": thought, "direct": direct}

    def _tree(self, world: str, asked: queries.Asked, *, own: bool) -> list[Segment]:
        """One query, answered with and without a rationale.

        Args:
            world: Where it is from.
            asked: The query.
            own: Whether its caption has to be the picture's; else it may tell of another, and
                reasoning and conclusion follow it: a person may write the caption, and a
                reasoner that looks again has its two readings contradict each other.
        """
        t, picture = self.turns, self.stream.base[world] + asked.reference
        content, edit = self.stream.pools[world].pool.contents[asked.reference], asked.edit
        given = not own and self.stream.rng.random() < self.recipe.retold
        if given:
            content, edit = self.stream.retold(world, asked.reference)
        true = reasoning.of_edit(world, content, edit)
        begin, rest = prompts.rationale_text(true)
        asks = prompts.reason_prompt(edit.text)
        answer = f"{rest} {prompts.EMBED}"
        return [
            t.reference(picture),
            t.say(asks, answer, 0, begin) if given else t.say(asks, f"{begin} {answer}", 0),
            t.say(prompts.direct_prompt(edit.text), prompts.EMBED, 0),
        ]
