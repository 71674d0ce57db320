"""Pseudo-target descriptions by the language model, and what they keep of the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from cirdemo.captions import Captions
from cirdemo.prompts import describe_prompt
from cirdemo.types import Cue, Description, Mode, Query
from cirdemo.words import MEANINGLESS, STARTS
from cirdemo.words import phrases as phrases  # also under the name it is known by here

if TYPE_CHECKING:
    from cirdemo.models.mllm import VisionLanguageModel


class MLLMWriter:
    """Writes union and intersection descriptions.

    Source: SETR (Xiao and Zhu, 2025) for intersection against union; the prompts are ours.
    """

    def __init__(self, mllm: VisionLanguageModel, captions: Captions | None = None) -> None:
        """A writer on a language model without adapters, with the captions that others read too."""
        self.mllm = mllm
        self.identity = mllm.identity
        self.captions = captions or Captions(mllm)

    def write(self, query: Query, mode: Mode) -> Description:
        """The description under a mode, with cues against the model's caption of the reference."""
        return self._aligned(query, self.write_many([query], mode)[0])

    def given(self, query: Query, text: str, mode: Mode) -> Description:
        """A description that the user wrote, with its cues."""
        return self._aligned(query, Description(text=text, mode=mode, writer="user"))

    def _aligned(self, query: Query, description: Description) -> Description:
        caption = self.captions.of(query.reference)
        cues = align_cues(caption, description.text)
        return replace(description, cues=cues, caption=caption)

    def write_many(self, queries: Sequence[Query], mode: Mode) -> list[Description]:
        """Descriptions of a batch, without cues."""
        captions = self.captions.of_many([q.reference for q in queries])
        asked = [
            describe_prompt(q.modification, mode, caption)
            for q, caption in zip(queries, captions, strict=True)
        ]
        texts = self.mllm.generate(
            [[q.reference, prompt] for q, prompt in zip(queries, asked, strict=True)]
        )
        return [
            Description(text=text, mode=mode, prompt=prompt, writer=self.identity, caption=caption)
            for text, prompt, caption in zip(texts, asked, captions, strict=True)
        ]


def _related(old: str, new: str) -> bool:
    """Whether one phrase can be the other one changed: both actions, or a shared content word."""
    if old.endswith("ing") and new.endswith("ing"):
        return True
    a, b = ({*p.split()} - MEANINGLESS for p in (old, new))
    return bool(a & b)


def align_cues(caption: str, description: str) -> tuple[Cue, ...]:
    """What a description keeps, drops, adds and changes of the reference's caption.

    Phrases in both are kept. A phrase only in the description is a change where it is related to
    one that is only in the caption ("a brown dog" and "a white dog"), else an addition; what then
    is left of the caption was dropped. An "and" before a phrase makes it no other one.
    """
    old, new = phrases(caption), phrases(description)
    before, after = ({p.removeprefix("and ") for p in told} for told in (old, new))
    gone = [p for p in old if p.removeprefix("and ") not in after]
    cues: list[Cue] = []
    for phrase in new:
        if phrase.removeprefix("and ") in before:
            cues.append(Cue(text=phrase, status="kept"))
            continue
        match = next((p for p in gone if _related(p, phrase)), None)
        if match is None:
            cues.append(Cue(text=phrase, status="added"))
        else:
            gone.remove(match)
            cues.append(Cue(text=f"{match} → {phrase}", status="changed"))
    return (*cues, *(Cue(text=p, status="dropped") for p in gone))


def with_phrase(description: Description, phrase: str) -> str:
    """The text with a phrase of the caption put where the caption has it, among what was kept."""
    order = phrases(description.caption)
    now = phrases(description.text)
    behind = order[order.index(phrase) + 1 :] if phrase in order else []
    at = next((i for i, p in enumerate(now) if p in behind), len(now))
    return " ".join([*now[:at], phrase, *now[at:]])


def without_phrase(description: Description, phrase: str) -> str:
    """The text with a phrase left out; what a verb stood between is joined by "and"."""
    left: list[str] = []
    gone = False
    for p in phrases(description.text):
        if p == phrase:
            gone = True
            continue
        if gone and left and phrase.endswith("ing") and p.split()[0] not in STARTS:
            p = f"and {p}"
        left.append(p)
        gone = False
    return " ".join(left)
