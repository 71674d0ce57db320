"""The Yes/No judge and the order it gives."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from cirdemo.captions import Captions
from cirdemo.prompts import INSTRUCT, RERANKER, RERANKER_TURN, judge_prompt
from cirdemo.types import CirError, ImageId, Judgement, Query, Ranking, Reranked, Why
from cirdemo.words import phrases

if TYPE_CHECKING:
    from cirdemo.models.mllm import VisionLanguageModel
    from cirdemo.models.remote import RemoteModel


CALIBRATION = "calibration.json"
NEWTON_STEPS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What makes P(Yes) a probability: fitted on validation, it changes no order.

    Source: one temperature after Guo et al., "On Calibration of Modern Neural Networks", 2017; the
        shift to another share of targets after Saerens et al., "Adjusting the outputs of a
        classifier to new a priori probabilities", 2002.
    """

    temperature: float = 1.0  # divides the margin
    prior_temperature: float = 1.0  # the same when the share of targets is told
    rate: float = 0.5  # share of targets for which a margin of 0 means P(Yes) = 0.5

    @classmethod
    def load(cls, folder: Path) -> Calibration:
        """The calibration beside a judge's weights; none leaves margins as they are."""
        file = folder / CALIBRATION
        if not file.is_file():
            return cls()
        told = json.loads(file.read_text(encoding="utf-8"))
        return cls(**{k: float(told[k]) for k in cls.__slots__})

    @classmethod
    def fit(cls, margins: Sequence[float], labels: Sequence[bool]) -> Calibration:
        """The least log-loss on judged candidates: margins (N,), whether each is a target (N,).

        Raises:
            ValueError: There is no target or nothing but targets.
        """
        x, y = np.asarray(margins, np.float64), np.asarray(labels, np.float64)
        if not 0 < y.mean() < 1:
            raise ValueError("calibration needs targets and others")
        alone, _ = _logistic(x[:, None], y)
        slope, shift = _logistic(np.stack([x, np.ones_like(x)], 1), y)
        rate = _sigmoid(_logit(float(y.mean())) - shift)
        return cls(temperature=1 / alone, prior_temperature=1 / slope, rate=rate)

    def margin(self, raw: float, prior: float | None = None) -> float:
        """The calibrated log-odds of a raw margin; `prior` is the share of targets, if known."""
        if prior is None:
            return raw / self.temperature
        return raw / self.prior_temperature + _logit(prior) - _logit(self.rate)

    def save(self, folder: Path, **facts: object) -> None:
        """Write it beside the weights, with what it was fitted on."""
        text = json.dumps({**asdict(self), **facts}, indent=1)
        (folder / CALIBRATION).write_text(text + "\n", encoding="utf-8")


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _logit(p: float) -> float:
    return math.log(p / (1 - p))


def _logistic(columns: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Weights of a logistic regression on (N, 1) or (N, 2) columns, by Newton's method."""
    weights = np.zeros(columns.shape[1])
    for _ in range(NEWTON_STEPS):
        p = 1 / (1 + np.exp(-np.clip(columns @ weights, -30, 30)))  # (N,)
        curve = columns.T @ (columns * (p * (1 - p))[:, None])
        step = np.linalg.solve(curve + 1e-9 * np.eye(len(weights)), columns.T @ (y - p))
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return float(weights[0]), float(weights[1]) if len(weights) > 1 else 0.0


class YesNoJudge:
    """P(Yes) of "does this picture show the target?", from the first answer token.

    Source: SETR (Xiao and Zhu, 2025), stage 2; the softmax over the Yes and No tokens after LamRA.
    Needs: a language model, with the LoRA adapter `judge` where there is one.
    Differs: the stage-1 description stands in the prompt, which SETR's published text leaves open,
        and so does the caption of the reference that the description was written from.
    """

    def __init__(
        self,
        mllm: VisionLanguageModel,
        *,
        adapter: str | None = "judge",
        calibration: Calibration | None = None,
        prior: float | None = None,
        captions: Captions | None = None,
    ) -> None:
        """A judge.

        Args:
            mllm: The language model.
            adapter: Its LoRA adapter; None asks the model untuned.
            calibration: What its margins mean.
            prior: The share of targets among the candidates, where it is known: P(Yes) is then
                corrected to it.
            captions: What the writer says of pictures; None leaves the caption out.
        """
        self.mllm = mllm
        self.adapter = adapter
        self.captions = captions
        self.calibration = calibration or Calibration()
        self.prior = prior
        self.identity = mllm.identity

    def judge(
        self,
        query: Query,
        candidates: Sequence[tuple[ImageId, Image.Image]],
        wanted: str = "",
        *,
        tuned: bool = True,
    ) -> Iterator[Judgement]:
        """One judgement a candidate, in order, as they are made.

        Args:
            query: Reference image and modification text.
            candidates: Pictures by id.
            wanted: The stage-1 description.
            tuned: False asks the same model without its adapter. The calibration was fitted to
                the adapter, so these margins are as the model gives them, calibrated by nothing.
        """
        before = self._before(query, wanted)
        pictures = [image for _, image in candidates]
        adapter = self.adapter if tuned else None
        verdicts = self.mllm.yes_no(before, pictures, adapter=adapter)
        for (image_id, _), (_, raw) in zip(candidates, verdicts, strict=True):
            margin = self.calibration.margin(raw, self.prior) if tuned else raw
            yield Judgement(image_id=image_id, yes_probability=_sigmoid(margin), margin=margin)

    def _before(self, query: Query, wanted: str) -> list[Image.Image | str]:
        """The turn up to the candidate."""
        return [query.reference, self._asked(query, query.modification, wanted)]

    def _asked(self, query: Query, modification: str, wanted: str) -> str:
        caption = self.captions.of(query.reference) if self.captions else ""
        return judge_prompt(modification, wanted, caption)

    def why(self, query: Query, image_id: ImageId, image: Image.Image, wanted: str) -> Why:
        """The verdict on one candidate with what speaks for and against it.

        Args:
            query: Reference image and modification text.
            image_id: The candidate's.
            image: The candidate.
            wanted: The stage-1 description.

        Returns:
            The judgement; for a No, what the judge writes behind it, as it was trained to ("brown
            not white"), "" for a Yes or where no adapter taught it; and for each phrase of
            `wanted` the P(Yes) when that phrase alone is asked for, in place of the modification
            too. How often the phrase with the lowest P(Yes) is not true of a refused picture,
            against a phrase at random: `python -m cirdemo evidence fables`.
        """
        (judgement,) = self.judge(query, [(image_id, image)], wanted)
        said = list(dict.fromkeys(phrases(wanted)))
        asked = [self._asked(query, phrase, phrase) for phrase in said]
        raw = self.mllm.ask(query.reference, asked, image, adapter=self.adapter)
        cues = tuple(
            (phrase, _sigmoid(self.calibration.margin(margin)))
            for phrase, margin in zip(said, raw, strict=True)
        )
        reason = ""
        if judgement.yes_probability < 0.5 and self.adapter in self.mllm.adapters:
            before = self._before(query, wanted)
            reason = self.mllm.after_no(before, image, adapter=self.adapter)
        return Why(judgement=judgement, reason=reason, cues=cues)


class RerankerJudge:
    """P(yes) of a published reranking model, asked in the frame that it was trained on.

    Source: Li et al., Qwen3-VL-Embedding and Qwen3-VL-Reranker, 2026: the logit of "yes" minus that
        of "no" behind `<Instruct>`, `<Query>` (picture, text) and `<Document>` (picture).
    Needs: a reranking model beside the one that writes.
    Differs: from `YesNoJudge` in that neither the description nor an adapter takes part, and that
        it gives no reasons in words.
    """

    def __init__(self, mllm: VisionLanguageModel, *, prior: float | None = None) -> None:
        """A judge on a reranking model; see `YesNoJudge` for the prior."""
        self.mllm = mllm
        mllm.system, mllm.exact = RERANKER, True
        self.calibration, self.prior = Calibration(), prior
        frame = "".join((RERANKER, *RERANKER_TURN, INSTRUCT)).encode()
        self.identity = f"{mllm.identity}+{hashlib.sha256(frame).hexdigest()[:6]}"

    def judge(
        self,
        query: Query,
        candidates: Sequence[tuple[ImageId, Image.Image]],
        wanted: str = "",
        *,
        tuned: bool = True,
    ) -> Iterator[Judgement]:
        """One judgement a candidate, in order; the description is not part of the frame."""
        first, second = RERANKER_TURN
        before: list[Image.Image | str] = [
            first.format(instruct=INSTRUCT),
            query.reference,
            second.format(text=query.modification),
        ]
        verdicts = self.mllm.yes_no(before, [image for _, image in candidates])
        for (image_id, _), (_, raw) in zip(candidates, verdicts, strict=True):
            margin = self.calibration.margin(raw, self.prior)
            yield Judgement(image_id=image_id, yes_probability=_sigmoid(margin), margin=margin)


class RemoteJudge(YesNoJudge):
    """`YesNoJudge` on a server's model; a picture that it gives no answer for is told as such.

    Needs: a server, see `models.remote`.
    Differs: from `YesNoJudge` in that there is neither adapter nor calibration.
    """

    def __init__(
        self, mllm: RemoteModel, *, prior: float | None = None, captions: Captions | None = None
    ) -> None:
        """A judge on a server's model."""
        super().__init__(mllm, adapter=None, prior=prior, captions=captions)  # type: ignore[arg-type]  # writes, asks
        self.remote = mllm

    def judge(
        self,
        query: Query,
        candidates: Sequence[tuple[ImageId, Image.Image]],
        wanted: str = "",
        *,
        tuned: bool = True,
    ) -> Iterator[Judgement]:
        """One judgement a candidate, in order; `failed` where there is no verdict."""
        before = self._before(query, wanted)
        told = self.remote.margins(before, [image for _, image in candidates])
        for (image_id, _), found in zip(candidates, told, strict=True):
            if isinstance(found, Exception):
                nan = math.nan
                yield Judgement(
                    image_id=image_id, yes_probability=nan, margin=nan, failed=str(found)
                )
                continue
            margin = self.calibration.margin(found, self.prior)
            yield Judgement(image_id=image_id, yes_probability=_sigmoid(margin), margin=margin)

    def why(self, query: Query, image_id: ImageId, image: Image.Image, wanted: str) -> Why:
        """As `YesNoJudge.why`, without a reason in words.

        Raises:
            CirError: The server gives no answer.
        """
        (verdict,) = self.judge(query, [(image_id, image)], wanted)
        if verdict.failed:
            raise CirError(f"There is no verdict on this picture: {verdict.failed}. Try again.")
        return super().why(query, image_id, image, wanted)


def reorder(
    ranking: Ranking, judgements: Sequence[Judgement], *, prior: float = 0.0
) -> tuple[Reranked, ...]:
    """The ranking by P(Yes), ties by coarse rank; what was not judged follows in coarse order.

    A candidate that was asked about and got no answer keeps its coarse rank among the judged: to
    put it last would be a verdict of its own.

    Ordering by the margin is ordering by P(Yes) without its rounding near 0 and 1. With a prior
    the coarse score counts too: margin + prior * score is the log-odds of a target where the
    coarse retriever's softmax, of inverse temperature `prior`, says how likely each candidate is.
    """
    by_id = {j.image_id: j for j in judgements}
    failed = {j.image_id for j in judgements if j.failed}
    judged = [c for c in ranking.candidates if c.image_id in by_id and c.image_id not in failed]
    rest = [c for c in ranking.candidates if c.image_id not in by_id]
    judged.sort(key=lambda c: (-(by_id[c.image_id].margin + prior * c.score), c.rank))
    for candidate in ranking.candidates:  # in coarse order, so that each lands where it was
        if candidate.image_id in failed:
            judged.insert(candidate.rank - 1, candidate)
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
