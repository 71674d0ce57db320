"""Parts without weights: colours stand for meaning, so every right answer is plain to see.

A picture is one flat colour and its vector is the colour's direction; a text's vector is the sum
of its colour words. `grey` and `white` have one direction, so they tie.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from cirdemo.engine import Engine
from cirdemo.parts import Part, Parts
from cirdemo.retrieve import unit
from cirdemo.retrieve.fusions import Product, ReciprocalRank
from cirdemo.retrieve.learned import CotComposer
from cirdemo.retrieve.textual import DescriptionComposer
from cirdemo.retrieve.zero_shot import ImageOnly, Sum, TextOnly
from cirdemo.types import (
    Candidate,
    Composed,
    Description,
    Heatmap,
    Judgement,
    Mode,
    Query,
    Ranking,
    Rationale,
    SpaceMismatch,
    Triplet,
)

COLOURS = {
    "black-ish": (1, 2, 3),
    "blue": (0, 0, 255),
    "cyan": (0, 255, 255),
    "green": (0, 255, 0),
    "grey": (100, 100, 100),
    "purple": (255, 0, 255),
    "red": (255, 0, 0),
    "white": (250, 250, 250),
    "yellow": (255, 255, 0),
}
WORDS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}


class ColourEncoder:
    """Encodes a picture as its mean colour and a text as the sum of its colour words."""

    def __init__(self, space: str = "colours") -> None:
        self.space = space
        self.dim = 3
        self.preprocessing = "mean"

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        return np.stack([unit(np.asarray(i, dtype=np.float32).mean((0, 1))) for i in images])

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        rows = []
        for text in texts:
            total = np.full(3, 1e-3)
            for word in text.split():
                total = total + np.array(WORDS.get(word, (0, 0, 0)))
            rows.append(unit(total))
        return np.stack(rows)

    def encode_patches(self, image: Image.Image) -> np.ndarray:
        pixels = np.asarray(image.resize((2, 2)), dtype=np.float32) + 1.0
        return pixels / np.linalg.norm(pixels, axis=-1, keepdims=True)


class ScriptedWriter:
    """Union: both the picture's colour words and the text; intersection: the text alone."""

    identity = "scripted-writer"

    def __init__(self) -> None:
        self.calls = 0

    def write(self, query: Query, mode: Mode) -> Description:
        self.calls += 1
        text = query.modification
        if mode == "union":
            pixel = query.reference.getpixel((0, 0))
            words = [w for w, p in zip(WORDS, pixel, strict=True) if p > 127]
            text = " ".join([*words, text])
        return Description(text=text, mode=mode, writer=self.identity, prompt=f"{mode}?")


class ScriptedJudge:
    """Says what the script says of each picture; 0.01 of others; fails where told."""

    identity = "scripted-judge"

    def __init__(self, script: Mapping[str, float], *, fail_at: str = "") -> None:
        self.script = script
        self.fail_at = fail_at
        self.wanted: list[str] = []
        self.seen: list[list[str]] = []

    def judge(
        self, query: Query, candidates: Sequence[tuple[str, Image.Image]], wanted: str = ""
    ) -> Iterator[Judgement]:
        self.wanted.append(wanted)
        self.seen.append([i for i, _ in candidates])
        for image_id, _ in candidates:
            if image_id == self.fail_at:
                raise RuntimeError("the judge fell over")
            p = self.script.get(image_id, 0.01)
            margin = float(np.log(p / (1 - p)))
            yield Judgement(image_id=image_id, yes_probability=p, margin=margin)


class ScriptedReasoner:
    """Concludes with the modification text; its vector is blue."""

    identity = "scripted-reasoner"

    def reason(self, query: Query) -> tuple[Rationale, np.ndarray]:
        thought = Rationale(caption="a", reasoning="b", conclusion=query.modification)
        return thought, np.array([0.0, 0.0, 2.0])

    def stream(
        self, query: Query, given: Rationale | None = None
    ) -> Iterator[tuple[Rationale, np.ndarray | None]]:
        yield self.reason(query)


class ColourGallery:
    """The colours as a gallery: exact search, reference left out, ties by id."""

    name = "fables"

    def __init__(self, encoder: ColourEncoder) -> None:
        self.ids = tuple(sorted(COLOURS))
        self.space = encoder.space
        self.vectors = encoder.encode_images([self.image(i) for i in self.ids])

    def image(self, image_id: str) -> Image.Image:
        return Image.new("RGB", (8, 8), COLOURS[image_id])

    def digest(self, image_id: str) -> str:
        return f"digest of {image_id}"

    def record(self, image_id: str) -> dict[str, str]:
        return {"caption": f"a {image_id} square"}

    def vector(self, image_id: str) -> np.ndarray:
        return self.vectors[self.ids.index(image_id)]

    def search(
        self,
        composed: Composed,
        k: int,
        exclude: str | None = None,
        query_id: str = "",
        method: str = "",
        where: str = "",
    ) -> Ranking:
        return self.ranked(self.scores(composed), k, exclude, query_id, method)

    def scores(self, composed: Composed) -> np.ndarray:
        if composed.space != self.space:
            raise SpaceMismatch(f"{composed.space} against {self.space}")
        return np.round(self.vectors @ composed.vector, 6)

    def ranked(
        self,
        scores: np.ndarray,
        k: int,
        exclude: str | None = None,
        query_id: str = "",
        method: str = "",
    ) -> Ranking:
        order = sorted((-float(s), i) for s, i in zip(scores, self.ids, strict=True))
        kept = [(i, -s) for s, i in order if i != exclude][:k]
        return Ranking(
            query_id=query_id,
            method=method,
            candidates=tuple(
                Candidate(image_id=i, score=s, rank=r) for r, (i, s) in enumerate(kept, start=1)
            ),
        )


class ColourDataset:
    """Two queries: red + green -> green; blue + red -> red or purple."""

    name = "fables"
    gallery_ids = tuple(sorted(COLOURS))

    def triplets(self, split: str) -> list[Triplet]:
        if split not in ("val", "test"):
            return []
        return [
            Triplet(
                query_id="q1",
                reference_id="red",
                modification="green",
                target_ids=("green",),
                subset_ids=("red", "green", "yellow", "white", "cyan", "blue"),
                kind="colour",
                union="red green",
                intersection="green",
            ),
            Triplet(
                query_id="q2",
                reference_id="blue",
                modification="red",
                target_ids=("purple", "red"),
                kind="add",
                union="blue and red",
                intersection="red",
            ),
        ]

    def image_path(self, image_id: str) -> Path:
        return Path(image_id)


def fake_engine(
    *,
    judge: ScriptedJudge | None = None,
    writer: ScriptedWriter | None = None,
    broken: Mapping[str, str] | None = None,
    reasoner: object = None,
    cot_space: str = "colours",
) -> Engine:
    """An engine of these parts; `broken` maps a method or "judge" to why it cannot run."""
    encoder, writer, broken = ColourEncoder(), writer or ScriptedWriter(), broken or {}
    makers = {
        "text": lambda: TextOnly(encoder),
        "image": lambda: ImageOnly(encoder),
        "sum": lambda: Sum(encoder),
        "union": lambda: DescriptionComposer("union", writer, encoder),
        "intersection": lambda: DescriptionComposer("intersection", writer, encoder),
        "cot": lambda: CotComposer(reasoner or ScriptedReasoner(), space=cot_space),
    }
    return Engine(
        Parts(
            encoder=Part(lambda: encoder),
            composers={n: Part(m, lambda n=n: broken.get(n)) for n, m in makers.items()},
            galleries={"fables": Part(lambda: ColourGallery(encoder))},
            datasets={"fables": Part(ColourDataset)},
            fusions={"product": Product, "rrf": ReciprocalRank},
            judge=Part(lambda: judge or ScriptedJudge({"green": 0.9}), lambda: broken.get("judge")),
            captioner=Part(lambda: lambda images: ["a red square"] * len(images)),
            heatmaps=lambda enc, image, texts, image_id: [
                Heatmap(
                    image_id=image_id,
                    text=t,
                    kind="similarity",
                    values=np.zeros((2, 2), np.float32),
                    value_range=(0.0, 1.0),
                )
                for t in texts
            ],
            unknown_words=lambda text: tuple(w for w in text.split() if w not in WORDS),
        )
    )
