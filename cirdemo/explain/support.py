"""Does a rationale rest on anything? Each of its pieces, what it comes from, how sure the model is.

The score of a piece is the probability of its least likely word where it stands, read off in one
pass over the finished rationale: a model that had to choose between words, or that is shown words
it would not have written, gives one of them little. `python -m cirdemo evidence fables` measures
how well that tells true phrases from false ones; with the weights of the time it did so better on
captions (area under the ROC curve 0.93) than the cosine that is lost without the phrase (0.46) and
than the judge asked about the phrase alone (0.63).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from cirdemo.prompts import RATIONALE
from cirdemo.types import Rationale
from cirdemo.words import MEANINGLESS, STARTS, STEM, phrases

Step = Literal["caption", "reasoning", "conclusion"]
# of an answer: where each token begins and ends in it, and its probability
Certainty = Callable[[str], Sequence[tuple[int, int, float]]]

SURE = 0.8  # chosen on fables val; `evidence` counts what it greys out of true and false phrases
_FRAME = MEANINGLESS | STARTS | {"change", "leave", "out", "keep", "all", "rest", "to", "count"}
_VERB = re.compile(r"(?:change|leave out|keep|remove|add)", re.IGNORECASE)
_CUT = re.compile(
    r"\s*[.;,]\s*|\s+and\s+|\s+(?=(?:in|on|by|at|beside|near|under)\s)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """One piece of a rationale and what it rests on."""

    text: str
    step: Step
    cue: str  # the words of caption or modification it comes from; "" where there are none
    supported: bool
    why: str  # one sentence for the reader
    score: float  # probability of its least likely word, in [0, 1]


def supports(rationale: Rationale, modification: str, certainty: Certainty) -> tuple[Support, ...]:
    """What each phrase of caption and conclusion, and each part of the reasoning, rests on.

    Args:
        rationale: Complete; who wrote which step does not matter.
        modification: The modification text.
        certainty: Of a whole answer in the form of `prompts.RATIONALE`, as of
            `CotComposer.certainty`.
    """
    answer = RATIONALE.format(
        caption=rationale.caption, reasoning=rationale.reasoning, conclusion=rationale.conclusion
    )
    tokens = certainty(answer)
    found, at = [], 0
    steps: tuple[Step, ...] = ("caption", "reasoning", "conclusion")
    for step in steps:
        text = getattr(rationale, step)
        at = answer.index(f"{step}: ", at) + len(step) + 2
        cut = _sentence_parts if step == "reasoning" else _phrase_parts
        for start, end in cut(text):
            inside = [t for t in tokens if t[0] < at + end and t[1] > at + start]
            if inside:
                first, last, score = min(inside, key=lambda t: t[2])
                worst = answer[first:last].strip()
                found.append(_support(step, text[start:end], worst, score, rationale, modification))
        at += len(text)
    return tuple(found)


def _support(
    step: Step, text: str, worst: str, score: float, rationale: Rationale, modification: str
) -> Support:
    source, cue = _source(step, text, rationale.caption, modification)
    sure = score >= SURE
    says = f"the model gives its least likely word, “{worst}”, {score:.2f}"
    if sure:
        why = f"{source}; {says}."
    elif step == "caption":
        why = f"Unsure whether the picture shows it: {says}."
    else:
        why = f"{source}, but {says}."
    return Support(text=text, step=step, cue=cue, supported=sure, why=why, score=score)


def _source(step: Step, text: str, caption: str, modification: str) -> tuple[str, str]:
    """Where a piece comes from, as the beginning of a sentence, and the words there."""
    if step == "caption":
        return "Read off the reference picture", text
    words = _content(text)
    asked = [w for w in re.findall(r"[\w'-]+", modification.lower()) if w not in _FRAME]
    spoken = [w for w in asked if any(_akin(w, own) for own in words)]
    shown = [p for p in phrases(caption) if any(_akin(a, b) for a in _content(p) for b in words)]
    covered = [w for w in words if any(_akin(w, b) for p in shown for b in _content(p))]
    if spoken and (len(covered) < len(words) or not shown):
        return f"The modification text says “{' '.join(spoken)}”", " ".join(spoken)
    if shown:
        best = max(shown, key=lambda p: sum(_akin(a, b) for a in _content(p) for b in words))
        return f"The caption says “{best}”", best
    return "Neither caption nor modification text says so", ""


def _content(text: str) -> list[str]:
    words = re.findall(r"[\w'-]+", text.lower())
    return [w for w in words if w not in _FRAME]


def _akin(a: str, b: str) -> bool:
    """Whether two words are one, or forms of one ("scarf" and "scarves")."""
    return a == b or (min(len(a), len(b)) >= STEM and a[:STEM] == b[:STEM])


def _phrase_parts(text: str) -> list[tuple[int, int]]:
    """Spans of a text's phrases."""
    found, at = [], 0
    for phrase in phrases(text):
        pattern = r"\W+".join(map(re.escape, phrase.split()))
        if match := re.compile(pattern, re.IGNORECASE).search(text, at):
            found.append(match.span())
            at = match.end()
    return found


def _sentence_parts(text: str) -> list[tuple[int, int]]:
    """Spans of a reasoning's parts: sentences, cut at "and" and before places."""
    cuts = [(0, 0), *(m.span() for m in _CUT.finditer(text)), (len(text), len(text))]
    found: list[tuple[int, int]] = []
    begin: int | None = None
    for (_, start), (end, _) in itertools.pairwise(cuts):
        part = text[start:end].strip()
        if not part:
            continue
        start = text.index(part, start)
        if _VERB.fullmatch(part):  # "leave out" belongs to what comes behind it
            begin = start
            continue
        found.append((start if begin is None else begin, start + len(part)))
        begin = None
    if begin is not None:
        found.append((begin, len(text.rstrip(" .;,"))))
    return found
