"""The Yes/No judge and the order it gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from PIL import Image

from cirdemo.prompts import judge_prompt
from cirdemo.types import ImageId, Judgement, Query, Ranking, Reranked

if TYPE_CHECKING:
    from cirdemo.models.mllm import VisionLanguageModel


class YesNoJudge:
    """P(Yes) of "does this picture show the target?", from the first answer token.

    Source: SETR (Xiao and Zhu, 2025), stage 2; the softmax over the Yes and No tokens after LamRA.
    Needs: a language model, with the LoRA adapter `judge` where there is one.
    Differs: the stage-1 description stands in the prompt, which SETR's published text leaves open.
    """

    def __init__(self, mllm: VisionLanguageModel, *, adapter: str | None = "judge") -> None:
        """A judge; `adapter=None` asks the model untuned."""
        self.mllm = mllm
        self.adapter = adapter
        self.identity = mllm.identity

    def judge(
        self, query: Query, candidates: Sequence[tuple[ImageId, Image.Image]], wanted: str = ""
    ) -> Iterator[Judgement]:
        """One judgement a candidate, in order, as they are made."""
        asked = judge_prompt(query.modification, wanted)
        before: list[Image.Image | str] = [query.reference, asked]
        pictures = [image for _, image in candidates]
        verdicts = self.mllm.yes_no(before, pictures, adapter=self.adapter)
        for (image_id, _), (probability, margin) in zip(candidates, verdicts, strict=True):
            yield Judgement(image_id=image_id, yes_probability=probability, margin=margin)


def reorder(
    ranking: Ranking, judgements: Sequence[Judgement], *, prior: float = 0.0
) -> tuple[Reranked, ...]:
    """The ranking by P(Yes), ties by coarse rank; what was not judged follows in coarse order.

    Ordering by the margin is ordering by P(Yes) without its rounding near 0 and 1. With a prior
    the coarse score counts too: margin + prior * score is the log-odds of a target where the
    coarse retriever's softmax, of inverse temperature `prior`, says how likely each candidate is.
    """
    by_id = {j.image_id: j for j in judgements}
    judged = [c for c in ranking.candidates if c.image_id in by_id]
    rest = [c for c in ranking.candidates if c.image_id not in by_id]
    judged.sort(key=lambda c: (-(by_id[c.image_id].margin + prior * c.score), c.rank))
    nan = float("nan")
    return tuple(
        Reranked(
            image_id=c.image_id,
            rank=rank,
            coarse_rank=c.rank,
            score=c.score,
            yes_probability=by_id[c.image_id].yes_probability if c.image_id in by_id else nan,
            margin=by_id[c.image_id].margin if c.image_id in by_id else nan,
        )
        for rank, c in enumerate([*judged, *rest], start=1)
    )
