"""The tour's words, and the sentences that a run proves them with.

The texts say what is claimed and by whom; whether it holds is said by `finding`, from the ranks of
this run alone: where a run does not show the effect, it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from cirdemo.types import ImageId, SearchResult

HEAD = 10  # of a list: what a reader sees
Captions = Callable[[ImageId], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished run and what is known of it."""

    result: SearchResult  # with lists as long as the gallery
    targets: Collection[ImageId]
    size: int  # pictures that were ranked
    caption: Captions

    def rank(self, name: str) -> int | None:
        """The best rank of any target in a list; "judge" is the re-ranked one."""
        if name == "judge":
            ids: Any = [r.image_id for r in self.result.reranked]
        else:
            found = self.result.coarse.get(name)
            ids = found.ids if found else ()
        return next((n for n, i in enumerate(ids, 1) if i in self.targets), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a run showed."""

    holds: bool  # whether it shows what the chapter says
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One chapter."""

    key: str
    title: str
    text: tuple[str, ...]  # paragraphs
    source: str
    address: str
    labels: tuple[str, ...]  # of the example queries, in this order
    gallery: str
    methods: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    show: tuple[str, ...] = ()  # lists to show; "judge" for the re-ranked one
    question: str
    reveal: str
    finding: Callable[[Run], Finding]


def _at(rank: int | None, size: int) -> str:
    return f"at rank {rank}" if rank else f"nowhere among {size}"


def _extra(run: Run) -> list[str]:
    """Phrases that the union keeps of the reference and the intersection leaves out."""
    both = run.result.descriptions
    if "union" not in both or "intersection" not in both:
        return []
    kept = [c.text for c in both["union"].cues if c.status == "kept"]
    return [c.text for c in both["intersection"].cues if c.status == "dropped" and c.text in kept]


def _carried(run: Run, phrases: list[str]) -> str:
    """How much of each list's head shows what the intersection left out."""
    counts = {}
    for name in ("union", "intersection"):
        told = [run.caption(i) for i in run.result.coarse[name].ids[:HEAD]]
        counts[name] = sum(any(p in text for p in phrases) for text in told)
    words = " or ".join(f"“{p}”" for p in phrases)
    return (
        f"The intersection leaves out {words}. Of the union's first {HEAD} pictures "
        f"{counts['union']} show it; of the intersection's, {counts['intersection']}."
    )


def _against(run: Run, winner: str, loser: str, why: str) -> Finding:
    """One list ahead of the other, or not."""
    a, b = run.rank(winner), run.rank(loser)
    far = run.size + 1
    said = [
        f"The {loser} puts the best target {_at(b, run.size)} of {run.size}, the {winner} "
        f"{_at(a, run.size)}."
    ]
    if phrases := _extra(run):
        said.append(_carried(run, phrases))
    holds = (a or far) < (b or far)
    if holds:
        said.append(why)
    elif a == b:
        said.append("This run does not show the effect: both put it at the same place.")
    else:
        said.append(f"This run shows the opposite: here the {loser} is ahead.")
    return Finding(holds=holds, sentences=tuple(said))


def dragged(run: Run) -> Finding:
    """Chapter 1."""
    why = "What nobody asked for has pulled other pictures in front of the target."
    return _against(run, "intersection", "union", why)


def wardrobe(run: Run) -> Finding:
    """Chapter 5."""
    why = "Here what was left out was needed: many garments fit the shorter description."
    return _against(run, "union", "intersection", why)


def judged(run: Run) -> Finding:
    """Chapter 2."""
    items, before = run.result.reranked, run.rank("intersection")
    after = run.rank("judge")
    seen = [r for r in items if r.image_id in run.targets]
    if not seen or before is None or after is None:
        return Finding(
            holds=False,
            sentences=(
                f"The coarse list has the best target {_at(before, run.size)}; the judge saw only "
                f"the first {len(run.result.judgements)}, so it could not help.",
            ),
        )
    best = min(seen, key=lambda r: r.rank)
    said = [
        f"The coarse list has the best target at rank {before}; after the judge it stands at "
        f"{after}, with P(Yes) {best.yes_probability:.2f}."
    ]
    first = min(items, key=lambda r: r.coarse_rank)
    if after < before:
        said.append(
            f"The picture that the coarse list had first got P(Yes) {first.yes_probability:.2f} "
            f"and moved from 1 to {first.rank}."
        )
        said.append("It looked at the pictures; the coarse list compared two vectors.")
    elif after == before:
        said.append("The judge left it where it was: this run shows neither gain nor harm.")
    else:
        wrong = items[0]
        said.append(
            f"Here it errs: P(Yes) {wrong.yes_probability:.2f} went to a picture that is no "
            f"target, “{run.caption(wrong.image_id)}”."
        )
    return Finding(holds=after != before, sentences=tuple(said))


def reasoned(run: Run) -> Finding:
    """Chapter 3."""
    ranks = {n: run.rank(n) for n in ("cot", "cot_direct", "intersection", "union")}
    far = run.size + 1
    said = [
        f"With the rationale written first the best target stands {_at(ranks['cot'], run.size)}; "
        f"the same model made to conclude at once puts it {_at(ranks['cot_direct'], run.size)}. "
        f"The union has it {_at(ranks['union'], run.size)}, the intersection "
        f"{_at(ranks['intersection'], run.size)}."
    ]
    told = run.result.rationale
    if told is not None and told.conclusion:
        target = next(
            (run.caption(i) for i in run.result.coarse["cot"].ids if i in run.targets), ""
        )
        fits = bool(target) and target.startswith(told.conclusion)
        said.append(
            f"Its conclusion is “{told.conclusion}”, "
            + (
                "which is how the target's true caption begins."
                if fits
                else f"and the target's true caption is “{target}”."
            )
        )
    holds = (ranks["cot"] or far) < (ranks["cot_direct"] or far)
    if not holds:
        same = ranks["cot"] == ranks["cot_direct"]
        said.append(
            "On this query thinking first changes nothing about the rank: what it adds is that "
            "you can read, and correct, where the vector comes from."
            if same
            else "On this query thinking first costs ranks: a wrong step is carried on."
        )
    return Finding(holds=holds, sentences=tuple(said))


def tuned(run: Run) -> Finding:
    """Chapter 4."""
    ranks = {n: run.rank(n) for n in ("dpo_published", "dpo", "text", "intersection")}
    chance = (run.size + 1) / (len(run.targets) + 1)
    listed = run.result.coarse["dpo_published"].candidates
    said = [
        f"As its code does it: {_at(ranks['dpo_published'], run.size)} of {run.size}. As its text "
        f"means it: {_at(ranks['dpo'], run.size)}. The modification text alone: "
        f"{_at(ranks['text'], run.size)}; the intersection: {_at(ranks['intersection'], run.size)}.",
        f"A shuffled gallery would put the best of {len(run.targets)} targets near rank "
        f"{chance:.0f}.",
        f"Over the whole gallery its cosines run from {listed[-1].score:.3f} to "
        f"{listed[0].score:.3f}: they are taken in a space that the pictures are not in.",
    ]
    far = run.size + 1
    holds = (ranks["dpo_published"] or far) > (ranks["text"] or far)
    if not holds:
        said.append("On this query it is ahead of the text alone: luck, as the test split shows.")
    return Finding(holds=holds, sentences=tuple(said))


LESSONS = (
    Lesson(
        key="union",
        title="Union drags the setting along",
        text=(
            "A query is a picture and a sentence that changes it. To search with text, a model "
            "must first write down what the wanted picture shows. The obvious way is to write "
            "everything: all of the reference, with the change made. That is the union.",
            "SETR's point: most of the reference is not what the sentence is about. A dog in the "
            "snow, “two of them hugging instead”: the snow was never asked for, yet it is in the "
            "text, and the search rewards every snowy picture. The intersection keeps only what "
            "the sentence is about.",
        ),
        source="SETR, arXiv 2509.26012",
        address="https://arxiv.org/abs/2509.26012",
        labels=("union is dragged along by the surroundings",),
        gallery="fables",
        methods=("union", "intersection"),
        options={"rerank": 0, "reason": False},
        show=("union", "intersection"),
        question="The union says more about the target, and nothing false. Why does it find less?",
        reveal="One vector holds the whole sentence. Each further phrase takes a share of it, and "
        "the target need not fulfil the phrases that were carried over. The more the reference "
        "holds, the smaller the share of what was asked.",
        finding=dragged,
    ),
    Lesson(
        key="judge",
        title="What the judge fixes, and where it errs",
        text=(
            "Coarse retrieval compares vectors that were made without knowing of each other. It "
            "is quick enough for millions of pictures and blind to details: who wears the hat, "
            "two or three, left out or there.",
            "SETR's second stage shows a vision-language model the reference, the sentence and "
            "one candidate at a time, and asks: is this it, Yes or No? The probability of Yes at "
            "the first answer token, P(Yes), gives the new order. It can only re-order what it is "
            "shown, here the first 50.",
        ),
        source="SETR, arXiv 2509.26012",
        address="https://arxiv.org/abs/2509.26012",
        labels=("the judge rescues it from far down", "the judge errs"),
        gallery="fables",
        methods=("intersection",),
        options={"rerank": 50, "reason": False},
        show=("intersection", "judge"),
        question="Could the judge be asked about the whole gallery instead?",
        reveal="Yes, at a price: the seconds above for 50 pictures, times the gallery's size over "
        "50. And more pictures are more chances to say Yes wrongly; the coarse list also protects "
        "the judge from pictures that merely look right.",
        finding=judged,
    ),
    Lesson(
        key="reasoning",
        title="What the reasoning adds",
        text=(
            "CIR-CoT lets the model write before it searches: a caption of the reference, the "
            "reasoning about the change, a conclusion. A special token behind them is the query "
            "vector. The published claim is twofold: better lists, and a way to see why.",
            "Both can be looked at apart. The same model can also be made to conclude at once, "
            "with no rationale. The difference between the two lists is what the writing adds to "
            "the search; the text itself is what it adds for you.",
        ),
        source="CIR-CoT, arXiv 2510.08003",
        address="https://arxiv.org/abs/2510.08003",
        labels=("a negation", "a relation", "nobody finds it"),
        gallery="fables",
        methods=("union", "intersection", "cot", "cot_direct"),
        options={"rerank": 0, "reason": True},
        show=("cot", "cot_direct"),
        question="If the conclusion is right, must the list be right?",
        reveal="No. The list comes from a vector, not from the words: a right conclusion with a "
        "poor vector is a failure that only a visible rationale lets you tell from a wrong one.",
        finding=reasoned,
    ),
    Lesson(
        key="dpo",
        title="Why Retrieval-DPO fails as published",
        text=(
            "A report on zero-shot retrieval tunes the text encoder by preferences: the target "
            "should score above a near miss. It reports R@10 of 0.02 %, which is chance. An "
            "honest number, and a riddle; its code answers it.",
            "The code takes the reference, not the target, as what to prefer. It takes the "
            "text's vector before the projection into the pictures' space, so a cosine with a "
            "picture means nothing. And there is no reference model in the loss, so it is not "
            "DPO. Both are here: the code as it stands, and the loss as the text means it. "
            "Neither sees the reference image, so neither can know what the sentence leaves "
            "unsaid.",
        ),
        source="Zero Shot CIR, arXiv 2506.06602",
        address="https://arxiv.org/abs/2506.06602",
        labels=("union is dragged along by the surroundings", "a relation"),
        gallery="fables",
        methods=("dpo_published", "dpo", "text", "intersection"),
        options={"rerank": 0, "reason": False},
        show=("dpo_published", "dpo", "text"),
        question="Would more training have saved it?",
        reveal="No. It learns well what it is told: that the reference should score above its "
        "neighbour. But the reference is the one picture that cannot be the answer.",
        finding=tuned,
    ),
    Lesson(
        key="wardrobe",
        title="Where the intersection is the wrong tool",
        text=(
            "In a photo of a scene, what the sentence does not mention is free. In a shop it is "
            "not: “in white, and longer” means the same garment otherwise. What is unsaid stays.",
            "So leaving it out throws away what tells one garment from a thousand. This is not a "
            "flaw of a model but of the question: whether silence means “whatever” or “as it "
            "is”. Benchmarks differ in it: CIRR is of the first kind, FashionIQ of the second.",
        ),
        source="the drawn world “wardrobe”, made after FashionIQ's rule",
        address="",
        labels=("what is not said stays: union wins", "two edits of a garment"),
        gallery="wardrobe",
        methods=("union", "intersection"),
        options={"rerank": 0, "reason": False},
        show=("union", "intersection"),
        question="Your gallery holds shoes. A visitor writes “in red”. Union or intersection?",
        reveal="Union: the visitor wants this shoe in red. If the gallery held holiday photos, it "
        "would be the intersection. Ask what silence means before you choose a method, and "
        "measure both on your own queries: Compare and Benchmark do that.",
        finding=wardrobe,
    ),
)
