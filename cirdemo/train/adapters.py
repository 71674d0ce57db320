"""The two LoRA adapters: the Yes/No judge, and CIR-CoT's rationale with its embedding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import (
    LoraConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from cirdemo import prompts
from cirdemo.data.drawn import impossible, queries, reasoning
from cirdemo.models import qwen
from cirdemo.models.mllm import PROJECTION
from cirdemo.train.chat import Turns, answer_loss, states
from cirdemo.train.mllm import Checked, QueryStream
from cirdemo.train.packing import Segment
from cirdemo.train.pools import DrawnPool

TARGETS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
TRIES = 50  # queries drawn to find one of a kind; about one in four is
AROUND = ("setting", "add")  # edits of the surroundings: the animals are the reference's
PRACTISED = 1_000_000  # steps after which pictures are as hard as they get


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeRecipe:
    """Settings of the judge; rank, loss weights and mixture are our choice (SETR does not say)."""

    rank: int = 128
    alpha: int = 128
    batch: int = 16  # queries
    candidates: int = 8  # pictures judged for each of them
    wardrobe: float = 0.25
    near: int = 2  # near misses of its family among them, where there are any
    told: float = 0.9  # share of queries with the stage-1 description in the prompt
    misled: float = 0.05  # share whose description is another query's
    misread: float = 0.05  # share whose caption is not quite the reference's
    impossible: float = 0.25  # share of queries that nothing satisfies
    absent: float = 0.6  # of them in fables, share that speak of an animal that is not there
    literal: float = 0.4  # of those, share whose description shows the animal all the same
    surroundings: float = 0.45  # share of fables queries that are about them on purpose ...
    alike: int = 2  # ... with pictures of the wanted animals elsewhere: they are misjudged most
    list_weight: float = 0.5  # softmax over a query's candidates beside the Yes/No loss
    why_weight: float = 0.5  # of naming what differs, written behind the verdict
    easy: float = 0.9  # share of random wrong pictures at the start ...
    easy_final: float = 0.2  # ... and at the end; from the start on hard ones alone stays at chance
    easy_half_life: float = 250.0  # steps
    lr: float = 2e-3


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


def with_lora(model: Any, name: str, rank: int, alpha: int, start: Path | None = None) -> PeftModel:
    """The model with an adapter on every projection of its language model.

    Fresh, or with the weights of the adapter in a folder, of the same rank.
    """
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=TARGETS)
    tuned = get_peft_model(model, config, adapter_name=name)
    if start is not None:
        weights = load_file(start / "adapter_model.safetensors")
        set_peft_model_state_dict(tuned, weights, adapter_name=name)
    return tuned


def save_adapter(
    model: PeftModel, name: str, folder: Path, projection: nn.Linear | None = None
) -> None:
    """A folder that PeftModel loads; half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = get_peft_model_state_dict(model, adapter_name=name)
    weights = {k: v.detach().to(torch.bfloat16).contiguous() for k, v in weights.items()}
    save_file(weights, folder / "adapter_model.safetensors")
    config = model.peft_config[name]
    config.inference_mode = True
    config.base_model_name_or_path = "mllm"
    config.save_pretrained(str(folder))
    if projection is not None:
        weight = projection.weight.detach().to(torch.bfloat16).contiguous()
        save_file({"weight": weight}, folder / PROJECTION)
    for path in folder.glob("*.safetensors"):
        path.chmod(0o644)


def load_projection(projection: nn.Linear, folder: Path) -> None:
    """Go on from the projection beside an adapter."""
    projection.load_state_dict({k: v.float() for k, v in load_file(folder / PROJECTION).items()})


def by_subject(pool: queries.Pool) -> dict[Hashable, list[int]]:
    """Pictures of a fables pool by what their animals are and do."""
    found: dict[Hashable, list[int]] = defaultdict(list)
    for i, scene in enumerate(pool.contents):
        found[scene.subject].append(i)
    return found


class JudgeTrainer(Checked):
    """Lists of candidates behind one shared prefix: targets, mined negatives, near misses."""

    def __init__(
        self,
        model: PeftModel,
        tokenizer: Any,
        pools: dict[str, DrawnPool],
        features: Tensor,
        hard: dict[str, np.ndarray],
        recipe: JudgeRecipe,
        seed: int,
        *,
        fresh: bool = True,
    ) -> None:
        """`hard`: by world, rows (queries, 100) of the coarse retriever's best pictures.

        `fresh`: the adapter knows nothing yet, so that it is shown easy pictures at first.
        """
        self.model, self.recipe, self.features, self.hard = model, recipe, features, hard
        self.turns, self.stream = Turns(tokenizer), QueryStream(pools, seed)
        self.steps = 0 if fresh else PRACTISED  # of this process: a resumed run starts easy again
        self.core = model.get_base_model()
        self.modules = {"model": model}
        self.forward = qwen.language_states
        self.subjects = by_subject(pools["fables"].pool)

    def tree(self, world: str, number: int) -> tuple[list[Segment], list[float], list[int]]:
        """One query with its candidates, which of them are targets, and their tails' lengths."""
        r, rng, drawn = self.recipe, self.stream.rng, self.stream.pools[world]
        pool, base = drawn.pool, self.stream.base[world]
        asked = pool.asked[number]
        hits = set(drawn.targets[number])
        odd = self._impossible(pool, asked) if rng.random() < r.impossible else None
        draw = rng.random()
        about = asked if draw >= r.misled else pool.asked[rng.randrange(len(pool.asked))]
        if odd is not None:  # what a careless reader makes of it
            about = queries.Asked(asked.reference, odd.like, ())
        wanted = queries.describe(pool, about)["intersection"] if draw < r.told else ""
        if odd is not None and rng.random() < r.literal:
            wanted = odd.literally(wanted)
        shown = self._shown(world, number, hits)
        t = self.turns
        content = pool.contents[asked.reference]
        if rng.random() < r.misread:
            content = self.stream.retold(world, asked.reference)[0]
        caption = queries.CAPTION[world](content)
        prompt = prompts.judge_prompt(odd.text if odd else asked.edit.text, wanted, caption)
        tree = [t.reference(base + asked.reference), t.text(prompt, 0)]
        tails = []
        for i in shown:
            why = None if i in hits else reasoning.mismatch(pool, asked, i)
            segment, tail = t.candidate(base + i, 1, odd.why if odd else why)
            tree.append(segment)
            tails.append(tail)
        return tree, [float(i in hits and odd is None) for i in shown], tails

    def check(self) -> float:
        """As everywhere, but always at the last difficulty, so that values can be compared."""
        kept, self.steps = self.steps, PRACTISED
        try:
            return super().check()
        finally:
            self.steps = kept

    def _draw(self) -> tuple[str, int]:
        """A world and the number of a query in it."""
        world, number = self.stream.draw(self.recipe.wardrobe)
        if world == "fables" and self.stream.rng.random() < self.recipe.surroundings:
            asked = self.stream.pools[world].pool.asked
            for _ in range(TRIES):
                if asked[number].edit.kind in AROUND:
                    break
                number = self.stream.number(world)
        return world, number

    def _impossible(self, pool: queries.Pool, asked: queries.Asked) -> impossible.Impossible | None:
        rng = self.stream.rng
        content = pool.contents[asked.reference]
        kind: impossible.Kind = "absent" if rng.random() < self.recipe.absent else "contradiction"
        return impossible.sample(content, kind, rng, test=False)

    def _shown(self, world: str, number: int, hits: set[int]) -> list[int]:
        """Targets, near misses, mined negatives and random pictures, shuffled.

        Where the edit is of the surroundings, also the wanted animals in others: the description
        names them first, and a judge that goes by them alone says Yes to all.
        """
        r, rng, drawn = self.recipe, self.stream.rng, self.stream.pools[world]
        asked = drawn.pool.asked[number]
        shown = rng.sample(sorted(hits), min(len(hits), rng.choice((1, 1, 2, 3))))
        near = [i for i in asked.near if i not in hits]
        # always there: a list without the near miss never asks about what the text spoke of
        shown += rng.sample(near, min(len(near), r.near))
        if world == "fables" and asked.edit.kind in AROUND:
            wanted = drawn.pool.contents[asked.reference].subject
            alike = [i for i in self.subjects[wanted] if i not in hits and i not in shown]
            shown += rng.sample(alike, min(len(alike), r.alike))
        mined = [int(i) for i in self.hard[world][number] if int(i) not in hits]
        first = asked.reference // queries.FAMILY_PICTURES * queries.FAMILY_PICTURES
        family = [i for i in range(first, first + queries.FAMILY_PICTURES) if i not in hits]
        share = r.easy_final + (r.easy - r.easy_final) * 0.5 ** (self.steps / r.easy_half_life)
        while len(shown) < r.candidates:
            source = rng.choice((mined, mined, family))
            easy = rng.random() < share
            i = rng.randrange(len(drawn.pictures)) if easy else rng.choice(source)
            if i not in hits and i not in shown:
                shown.append(i)
        shown = shown[: r.candidates]
        rng.shuffle(shown)
        return shown

    def step(self) -> dict[str, Tensor]:
        """One batch."""
        r = self.recipe
        made = [self.tree(*self._draw()) for _ in range(r.batch)]
        self.steps += 1
        packed = self.turns.pack([tree for tree, _, _ in made])
        hidden = states(
            self.core.model.language_model, packed, self.features[packed.pictures], self.forward
        )
        why, _ = answer_loss(hidden, self.core.lm_head, packed)
        cues = [
            end - tail
            for places, (_, _, tails) in zip(packed.ends, made, strict=True)
            for end, tail in zip(places[2:], tails, strict=True)
        ]
        rows = self.core.lm_head.weight[self.turns.verdicts]
        logits = functional.linear(hidden[cues], rows).float()  # (verdicts, 4)
        margins = logits[:, :2].logsumexp(1) - logits[:, 2:].logsumexp(1)
        margins = margins.view(r.batch, r.candidates)
        labels = torch.tensor([truth for _, truth, _ in made])
        binary = functional.binary_cross_entropy_with_logits(margins, labels)
        some = labels.sum(1) > 0
        hit = margins.masked_fill(labels == 0, float("-inf"))[some].logsumexp(1)
        listed = (margins[some].logsumexp(1) - hit).mean()
        top = labels.gather(1, margins.argmax(1, keepdim=True)).mean()
        loss = binary + r.list_weight * listed + r.why_weight * why
        return {"loss": loss, "yesno": binary, "why": why, "top": top}


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
