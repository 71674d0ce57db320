"""Methods whose model yields the query vector itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from cirdemo.retrieve import unit
from cirdemo.types import Composed, Query, Rationale


class Reasons(Protocol):
    """A model that reasons about a query and ends in a vector."""

    identity: str

    def reason(self, query: Query) -> tuple[Rationale, np.ndarray]:
        """The rationale and the vector (D,)."""

    def stream(
        self, query: Query, given: Rationale | None = None
    ) -> Iterator[tuple[Rationale, np.ndarray | None]]:
        """The rationale as it is written, at last with the vector (D,)."""

    def certainty(self, query: Query, answer: str) -> list[tuple[int, int, float]]:
        """Where each token of an answer begins and ends, and its probability."""

    def embed_many(self, queries: Sequence[Query]) -> np.ndarray:
        """The vectors (Q, D) without a rationale."""


class CotComposer:
    """Reasons about the query (caption, reasoning, conclusion), then reads off a vector.

    Source: Lin et al., "CIR-CoT", 2025, arXiv 2510.08003: structured chain of thought, then the
        retrieval intent in one dedicated embedding; trained with text loss and InfoNCE. The
        template, the weights of the losses and how targets are encoded are not published: here
        the targets are the gallery encoder's vectors, so one gallery serves every method.
    Needs: a reasoner: a vision-language model with the adapter `cot`.
    Differs: from `union` and `intersection` in that the vector is the hidden state at `<emb>`
        and not the encoder's vector of a text: a conclusion written by hand turns it only half
        the way, since the state also sees the picture.
    """

    name = "cot"

    def __init__(self, reasoner: Reasons, *, space: str) -> None:
        """A reasoner, and the space its vectors were trained for."""
        self._reasoner = reasoner
        self._space = space
        self.identity = reasoner.identity

    def compose(self, query: Query) -> Composed:
        """The vector with the rationale it came from."""
        return self._composed(self._reasoner.reason(query))

    def stream(
        self, query: Query, given: Rationale | None = None
    ) -> Iterator[Rationale | Composed]:
        """The rationale as it is written, then the vector with the whole of it.

        Args:
            query: Reference image and modification text.
            given: Steps that a person wrote, from the caption on; they are kept.
        """
        for rationale, vector in self._reasoner.stream(query, given):
            yield rationale if vector is None else self._composed((rationale, vector))

    def certainty(self, query: Query, answer: str) -> list[tuple[int, int, float]]:
        """Of a rationale as one text: where each token begins and ends, and its probability."""
        return self._reasoner.certainty(query, answer)

    def compose_many(self, queries: Sequence[Query]) -> list[Composed]:
        """The same in one batch, where the reasoner can."""
        batched = getattr(self._reasoner, "reason_many", None)
        if batched is None:
            return [self.compose(query) for query in queries]
        return [self._composed(answer) for answer in batched(queries)]

    def _composed(self, answer: tuple[Rationale, np.ndarray]) -> Composed:
        rationale, vector = answer
        return Composed(vector=unit(vector), space=self._space, rationale=rationale)


class DirectComposer:
    """CIR-CoT with the reasoning left out: the vector is read off at once.

    Source: as `cot`; the same adapter is trained on both answers. What reasoning before embedding
        adds, and what it costs, is the question of Think-Then-Embed (2025, arXiv 2510.05014).
    Needs: as `cot`.
    Differs: from `cot` in that nothing is written, so that it takes one forward pass.
    """

    name = "cot_direct"

    def __init__(self, reasoner: Reasons, *, space: str) -> None:
        """A reasoner, and the space its vectors were trained for."""
        self._reasoner = reasoner
        self._space = space
        self.identity = reasoner.identity

    def compose(self, query: Query) -> Composed:
        """The vector."""
        return self.compose_many([query])[0]

    def compose_many(self, queries: Sequence[Query]) -> list[Composed]:
        """The vectors of a batch."""
        vectors = self._reasoner.embed_many(queries)  # (Q, D)
        return [Composed(vector=unit(v), space=self._space) for v in vectors]
