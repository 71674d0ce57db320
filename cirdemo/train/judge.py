"""The Yes/No judge: which candidates it is shown for a query, and its loss."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from torch.nn import functional

from cirdemo import prompts
from cirdemo.data.drawn import impossible, queries, reasoning
from cirdemo.models import qwen
from cirdemo.train.chat import Turns, answer_loss, states
from cirdemo.train.frozen import Coarse
from cirdemo.train.mllm import Checked, QueryStream
from cirdemo.train.packing import Segment
from cirdemo.train.pools import DrawnPool

TRIES = 50  # queries drawn to find one of a kind; about one in four is
FIRST = 10  # pictures found for a description, of which some are shown
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
    absent: float = 0.5  # of them in fables, share that speak of an animal that is not there
    literal: float = 0.4  # of those, share whose description shows the animal all the same
    taken: int = 4  # candidates of an impossible query that are all its description asks for
    surroundings: float = 0.45  # share of fables queries that are about them on purpose ...
    alike: int = 2  # ... with pictures of the wanted animals elsewhere: they are misjudged most
    list_weight: float = 0.5  # softmax over a query's candidates beside the Yes/No loss
    why_weight: float = 0.5  # of naming what differs, written behind the verdict
    easy: float = 0.9  # share of random wrong pictures at the start ...
    easy_final: float = 0.2  # ... and at the end; from the start on hard ones alone stays at chance
    easy_half_life: float = 250.0  # steps
    lr: float = 2e-3


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
        coarse: Coarse,
        recipe: JudgeRecipe,
        seed: int,
        *,
        fresh: bool = True,
    ) -> None:
        """`coarse`: where a query's negatives are found.

        `fresh`: the adapter knows nothing yet, so that it is shown easy pictures at first.
        """
        self.model, self.recipe, self.features, self.coarse = model, recipe, features, coarse
        self.hard = coarse.hard_negatives(pools)  # by world, (queries, 100)
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
            about = queries.Asked(asked.reference, rng.choice(odd.likes), ())
        wanted = queries.describe(pool, about)["intersection"]
        if odd is not None and rng.random() < r.literal:
            wanted = odd.literally(wanted)
        shown = self._shown(world, number, hits)
        if odd is not None:
            shown = self._taken(world, wanted, shown)
        wanted = wanted if draw < r.told else ""
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

    def _taken(self, world: str, wanted: str, shown: list[int]) -> list[int]:
        """Candidates of a query that nothing satisfies, best of its description among them.

        They are all that the description asks for, as they are when somebody asks such a thing:
        without them a judge learns to go by the description where it is met.
        """
        r, rng = self.recipe, self.stream.rng
        best = [int(i) for i in self.coarse.best(world, [wanted], FIRST)[0]]
        found = rng.sample(best, min(r.taken, len(best)))
        found += [i for i in shown if i not in found][: r.candidates - len(found)]
        rng.shuffle(found)
        return found

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
        listed = (margins[some].logsumexp(1) - hit).sum() / max(1, len(hit))  # there may be none
        top = labels.gather(1, margins.argmax(1, keepdim=True)).mean()
        loss = binary + r.list_weight * listed + r.why_weight * why
        return {"loss": loss, "yesno": binary, "why": why, "top": top}
