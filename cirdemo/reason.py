"""CIR-CoT: a rationale in three steps, then an embedding in the gallery's space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from cirdemo.prompts import direct_prompt, parse_rationale, reason_prompt
from cirdemo.types import Query, Rationale

if TYPE_CHECKING:
    from cirdemo.models.mllm import VisionLanguageModel


class Reasoner:
    """Caption -> Reasoning -> Conclusion -> `<emb>`.

    Source: CIR-CoT (Lin et al., 2025). Needs: a language model with the LoRA adapter `cot`.
    Differs: the gallery is that of the dual encoder, into whose space the state is projected.
    """

    def __init__(self, mllm: VisionLanguageModel) -> None:
        """A reasoner on a language model that carries the adapter `cot`."""
        self.mllm = mllm
        self.identity = mllm.identity

    def reason(self, query: Query) -> tuple[Rationale, np.ndarray]:
        """The rationale and the query vector (D,)."""
        return self.reason_many([query])[0]

    def reason_many(self, queries: Sequence[Query]) -> list[tuple[Rationale, np.ndarray]]:
        """Rationales and query vectors of a batch."""
        turns: list[list[Image.Image | str]] = [
            [q.reference, reason_prompt(q.modification)] for q in queries
        ]
        texts, vectors = self.mllm.reason(turns)
        return [(parse_rationale(t), v) for t, v in zip(texts, vectors, strict=True)]

    def embed_many(self, queries: Sequence[Query]) -> np.ndarray:
        """Query vectors (Q, D) of a batch, read off at once with no rationale."""
        turns: list[list[Image.Image | str]] = [
            [q.reference, direct_prompt(q.modification)] for q in queries
        ]
        return self.mllm.embed(turns)
