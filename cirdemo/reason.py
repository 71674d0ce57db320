"""CIR-CoT: a rationale in three steps, then an embedding in the gallery's space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from cirdemo.captions import Captions
from cirdemo.intake import MAX_TEXT, clean_text
from cirdemo.prompts import (
    CAPTION,
    STEPS,
    begin_rationale,
    continue_rationale,
    direct_prompt,
    parse_rationale,
    reason_prompt,
)
from cirdemo.types import BadInput, Query, Rationale

if TYPE_CHECKING:
    from cirdemo.models.mllm import VisionLanguageModel


class Reasoner:
    """Caption -> Reasoning -> Conclusion -> `<emb>`.

    Source: CIR-CoT (Lin et al., 2025). Needs: a language model with the LoRA adapter `cot`.
    Differs: the gallery is that of the dual encoder, into whose space the state is projected; the
        caption may be the writer's, which a small adapter, busy with reasoning, writes less well.
    """

    def __init__(self, mllm: VisionLanguageModel, captions: Captions | None = None) -> None:
        """A reasoner.

        Args:
            mllm: A language model that carries the adapter `cot`.
            captions: What the writer says of pictures, as the first step; None: the adapter writes
                its own.
        """
        self.mllm = mllm
        self.captions = captions
        self.identity = mllm.identity

    def reason(self, query: Query) -> tuple[Rationale, np.ndarray]:
        """The rationale and the query vector (D,)."""
        return self.reason_many([query])[0]

    def reason_many(self, queries: Sequence[Query]) -> list[tuple[Rationale, np.ndarray]]:
        """Rationales and query vectors of a batch."""
        turns: list[list[Image.Image | str]] = [
            [q.reference, reason_prompt(q.modification)] for q in queries
        ]
        given = [Rationale(caption="", reasoning="", conclusion="")] * len(queries)
        if self.captions:
            told = self.captions.of_many([q.reference for q in queries])
            given = [Rationale(caption=text, reasoning="", conclusion="") for text in told]
        begun = [begin_rationale(g)[0] for g in given]
        texts, vectors = self.mllm.reason(turns, begun)
        said = [_whole(*answer) for answer in zip(given, texts, strict=True)]
        return list(zip(said, vectors, strict=True))

    def stream(
        self, query: Query, given: Rationale | None = None
    ) -> Iterator[tuple[Rationale, np.ndarray | None]]:
        """The rationale as it is written, and with its last word the query vector (D,).

        Args:
            query: Reference image and modification text.
            given: Steps that a person wrote: the caption; caption and reasoning; or all three.
                They are kept word for word, the model goes on from them, and the vector is that
                of what they make of the rationale.

        Yields:
            The rationale so far, steps to come empty, and None; at last the whole with the vector.

        Raises:
            BadInput: A given step cannot be used, or one before it is missing.
        """
        given = _cleaned(given)
        begin, left = begin_rationale(given)
        if not begin and self.captions:
            given = replace(given, caption=self.captions.of(query.reference))
            begin, left = begin_rationale(given)
            yield given, None
        turn: list[Image.Image | str] = [query.reference, reason_prompt(query.modification)]
        for text, vector in self.mllm.reason_stream(turn, begin, write=left):
            rationale = continue_rationale(given, text) if vector is None else _whole(given, text)
            yield rationale, vector

    def certainty(self, query: Query, answer: str) -> list[tuple[int, int, float]]:
        """Of a whole rationale: where each token begins and ends, and its probability there.

        A caption is weighed by who writes it: what the adapter would have said instead is no
        doubt about the picture.
        """
        turn: list[Image.Image | str] = [query.reference, reason_prompt(query.modification)]
        tokens = self.mllm.certainty(turn, answer, adapter="cot")
        begin = len(f"{STEPS[0]}: ")
        end = answer.index(f" {STEPS[1]}:")
        if not self.captions or end <= begin:
            return tokens
        own = self.mllm.certainty([query.reference, CAPTION], answer[begin:end])
        return [(a + begin, b + begin, p) for a, b, p in own] + [t for t in tokens if t[0] >= end]

    def embed_many(self, queries: Sequence[Query]) -> np.ndarray:
        """Query vectors (Q, D) of a batch, read off at once with no rationale."""
        turns: list[list[Image.Image | str]] = [
            [q.reference, direct_prompt(q.modification)] for q in queries
        ]
        return self.mllm.embed(turns)


def _whole(given: Rationale, text: str) -> Rationale:
    """A rationale from what was given and what was written behind it, to the end."""
    return continue_rationale(given, text) if given.caption else parse_rationale(text)


def _cleaned(given: Rationale | None) -> Rationale:
    """Steps from outside, tidied; all empty where none are given."""
    told = {step: getattr(given, step, "") or "" for step in STEPS}
    for step, text in told.items():
        if not text.strip():
            told[step] = ""
            continue
        try:
            told[step] = clean_text(text)
        except BadInput as error:
            raise BadInput(
                f"The {step} that you wrote cannot be used. Write words, at most {MAX_TEXT} "
                "characters of them."
            ) from error
    return Rationale(**told)
