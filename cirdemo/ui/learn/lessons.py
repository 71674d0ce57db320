"""The tour's chapters: what each claims, by whom, and the queries that it is shown on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cirdemo.ui import findings
from cirdemo.ui.findings import Finding, Run


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


LESSONS = (
    Lesson(
        key="union",
        title="Union drags the setting along",
        text=(
            "A query is a picture and a sentence that changes it. To search with text, a model "
            "must first write down what the wanted picture shows. The obvious way is to write "
            "everything: all of the reference, with the change made. That is the union.",
            "SETR, a published method of two stages (write and search, then judge each picture "
            "found), makes a point: most of the reference is not what the sentence is about. A dog "
            "in the snow, “two of them hugging instead”: the snow was never asked for, yet it is "
            "in the text, and the search rewards every snowy picture. The intersection keeps only "
            "what the sentence is about.",
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
        finding=findings.dragged,
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
        finding=findings.judged,
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
        labels=("thinking first finds it", "thinking first loses it", "a negation"),
        gallery="fables",
        methods=("union", "intersection", "cot", "cot_direct"),
        options={"rerank": 0, "reason": True},
        show=("cot", "cot_direct"),
        question="If the conclusion is right, must the list be right?",
        reveal="No. The list comes from a vector, not from the words: a right conclusion with a "
        "poor vector is a failure that only a visible rationale lets you tell from a wrong one.",
        finding=findings.reasoned,
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
        labels=("a relation", "a negation"),
        gallery="fables",
        methods=("dpo_published", "dpo", "text", "intersection"),
        options={"rerank": 0, "reason": False},
        show=("dpo_published", "dpo", "text"),
        question="Would more training have saved it?",
        reveal="No. It learns well what it is told: that the reference should score above its "
        "neighbour. But the reference is the one picture that cannot be the answer.",
        finding=findings.tuned,
    ),
    Lesson(
        key="wardrobe",
        title="Where the intersection is the wrong tool",
        text=(
            "In a photo of a scene, what the sentence does not mention is free. In a shop it is "
            "not: “in white, and longer” means the same garment otherwise. What is unsaid stays. "
            "(“Toptee”, in the captions, is FashionIQ's word for tops and T-shirts.)",
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
        finding=findings.wardrobe,
    ),
)
