"""A stand-in engine for tests of the page: drawn pictures in a folder, answers by rule."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from fakes import ColourEncoder
from PIL import Image, ImageDraw

from cirdemo.data.drawn import fables
from cirdemo.explain.support import Support
from cirdemo.intake import load_image
from cirdemo.region import masked
from cirdemo.rerank import reorder
from cirdemo.types import (
    BadInput,
    Candidate,
    CirError,
    Cue,
    Description,
    Heatmap,
    Judgement,
    Query,
    Ranking,
    Rationale,
    Reranked,
    SearchResult,
    Triplet,
    Why,
)
from cirdemo.ui.ticket import Ticket


def _paint(scene: fables.Scene, seed: int) -> Image.Image:
    """The real painter's picture, or two plain shapes while there is none."""
    try:
        from cirdemo.data.drawn.paint.scene import paint_scene

        return paint_scene(scene, seed, 160)[0]
    except ImportError:
        rng = random.Random(seed)
        image = Image.new("RGB", (160, 160), tuple(rng.randrange(120, 255) for _ in range(3)))
        ImageDraw.Draw(image).ellipse((40, 40, 120, 130), fill=scene.animals[0].coat)
        return image


class FakeGallery:
    """A handful of pictures with captions."""

    name = "fables"

    def __init__(self, folder: Path, count: int = 40) -> None:
        """Draw them."""
        rng = random.Random(3)
        self.folder = folder
        self.ids: tuple[str, ...] = ()
        self.captions: dict[str, str] = {}
        for i in range(count):
            animals, action = fables.sample_subject(rng)
            scene = fables.make_scene(animals, action, *fables.sample_surroundings(rng))
            image_id = f"f{i:03d}"
            _paint(scene, i).save(folder / f"{image_id}.webp")
            self.ids += (image_id,)
            self.captions[image_id] = fables.caption(scene)

    def thumbnail(self, image_id: str) -> Path:
        """The file of a picture."""
        return self.folder / f"{image_id}.webp"

    image_path = thumbnail

    def image(self, image_id: str) -> Image.Image:
        """The picture."""
        return Image.open(self.thumbnail(image_id)).convert("RGB")

    def record(self, image_id: str) -> dict[str, Any]:
        """What is known of it."""
        return {"id": image_id, "record": {}, "caption": self.captions[image_id], "boxes": {}}


class FakeDataset:
    """Queries whose target is a picture in the middle of the coarse lists."""

    def __init__(self, gallery: FakeGallery) -> None:
        """Over a gallery."""
        self.gallery = gallery

    def triplets(self, split: str) -> list[Triplet]:
        """Three queries."""
        text = "hugging instead of standing"
        return [
            Triplet(
                query_id=f"q{i}",
                reference_id=self.gallery.ids[i],
                modification=text,
                target_ids=(self.gallery.ids[(i + 34) % 40],),
            )
            for i in range(3)
        ]


class FakeEngine:
    """Offers what the page uses of an engine."""

    def __init__(self, folder: Path | None = None, pause: float = 0.0, count: int = 40) -> None:
        """With pictures in a folder; `pause` seconds between the steps."""
        folder = folder or Path(tempfile.mkdtemp(prefix="fake-fables-"))
        self.pause = pause
        self.shelf = FakeGallery(folder, count)
        self.explained: list[str] = []
        encoder = ColourEncoder()
        self.parts = SimpleNamespace(fusions={}, encoder=SimpleNamespace(get=lambda: encoder))
        self.asked: list[dict[str, Any]] = []

    def methods(self) -> dict[str, str | None]:
        """Two methods that run."""
        return {"union": None, "intersection": None}

    def composer(self, name: str) -> object:
        """Nothing to load."""
        return object()

    def galleries(self) -> tuple[str, ...]:
        """One gallery."""
        return ("fables",)

    def gallery(self, name: str) -> FakeGallery:
        """The gallery."""
        if name != "fables":
            raise CirError(f"There is no gallery {name!r}; the one here is 'fables'.")
        return self.shelf

    def dataset(self, name: str) -> FakeDataset:
        """Its queries."""
        return FakeDataset(self.gallery(name))

    def make_query(
        self,
        *,
        text: str,
        reference: Image.Image | None = None,
        reference_id: str | None = None,
        gallery: str = "fables",
        region: str = "",
    ) -> Query:
        """A query."""
        if not isinstance(text, str):
            raise BadInput("The modification text is missing.")
        if len(text) > 300:
            raise BadInput("The modification text is too long: at most 300 characters.")
        shelf = self.gallery(gallery)
        image = shelf.image(reference_id) if reference_id else load_image(reference)
        image = masked(image, region)
        return Query(query_id="q", reference=image, modification=text, reference_id=reference_id)

    def _ranking(self, method: str, reference_id: str | None) -> Ranking:
        ids = [i for i in self.shelf.ids if i != reference_id]
        random.Random({"union": 1, "intersection": 4}.get(method, 9)).shuffle(ids)
        found = (
            Candidate(image_id=i, score=round(0.82 - 0.011 * n, 4), rank=n + 1)
            for n, i in enumerate(ids)
        )
        return Ranking(query_id="q", method=method, candidates=tuple(found))

    def search(
        self,
        query: Query,
        *,
        gallery: str = "fables",
        methods: Sequence[str] = ("union", "intersection"),
        rerank: int = 50,
        rerank_on: str = "intersection",
        fuse: bool = False,
        reason: bool = True,
        top: int = 50,
        descriptions: Any = None,
        steer: Any = None,
        thoughts: Any = None,
        tuned: bool = True,
    ) -> Iterator[SearchResult]:
        """The stages of a query."""

        def cue(text: str, status: Any) -> Cue:
            return Cue(text=text, status=status)

        self.asked.append({"descriptions": descriptions, "steer": steer, "tuned": tuned})
        subject = (cue("two brown dogs", "kept"), cue("with hats", "kept"))
        away = cue("in the snow", "dropped"), cue("beside a sledge", "dropped")
        edit = (cue("hugging", "changed"), cue("a red kite", "added"))
        stay = tuple(cue(c.text, "kept") for c in away)
        unknown = ("zeppelin",) if "zeppelin" in query.modification else ()
        result = SearchResult(
            query=query,
            stage="describe",
            descriptions={
                "union": Description(
                    text="two brown dogs with hats hugging in the snow beside a sledge",
                    mode="union",
                    cues=subject + edit + stay,
                ),
                "intersection": Description(
                    text="two brown dogs with hats hugging",
                    mode="intersection",
                    cues=subject + edit + away,
                ),
            },
            seconds={"describe": 0.41},
            unknown_words=unknown,
            tuned=tuned,
        )
        caption = "two brown dogs with hats standing in the snow beside a sledge"
        told = {m: replace(d, caption=caption) for m, d in result.descriptions.items()}
        for mode, text in (descriptions or {}).items():
            told[mode] = replace(told["union"], text=text, mode=mode)
        result = replace(result, descriptions=told)
        yield result
        time.sleep(self.pause)
        coarse = {m: self._ranking(m, query.reference_id) for m in methods}
        seconds = {**result.seconds, "coarse": 0.08}
        result = replace(result, stage="coarse", coarse=coarse, seconds=seconds)
        yield result
        judged: dict[str, Judgement] = {}
        listed = coarse[rerank_on].candidates[:rerank]
        rng = random.Random(5)
        for n, c in enumerate(listed, 1):
            p = rng.random() ** 2
            judged[c.image_id] = Judgement(
                image_id=c.image_id, yes_probability=p, margin=float(np.log(p / (1 - p)))
            )
            if n % 10 == 0:
                time.sleep(self.pause)
                partial = reorder(coarse[rerank_on], tuple(judged.values()))
                yield replace(result, stage="judging", judgements=dict(judged), reranked=partial)
        order = sorted(listed, key=lambda c: -judged[c.image_id].margin)
        reranked = tuple(
            Reranked(
                image_id=c.image_id,
                rank=n,
                coarse_rank=c.rank,
                score=c.score,
                yes_probability=judged[c.image_id].yes_probability,
                margin=judged[c.image_id].margin,
            )
            for n, c in enumerate(order, 1)
        )
        seconds = {**result.seconds, "rerank": 1.93}
        result = replace(
            result, stage="rerank", judgements=judged, reranked=reranked, seconds=seconds
        )
        if rerank:
            yield result
        time.sleep(self.pause)
        if reason:
            yield replace(
                result,
                stage="reason",
                coarse={**coarse, "cot": self._ranking("cot", query.reference_id)},
                rationale=Rationale(
                    caption="two brown dogs with hats standing in the snow beside a sledge",
                    reasoning="the edit changes what they do: standing becomes hugging; it does "
                    "not speak of the snow or the sledge",
                    conclusion="two brown dogs with hats hugging",
                ),
                seconds={**result.seconds, "reason": 1.21},
            )

    def judge(
        self, query: Query, image_ids: Sequence[str], *, gallery: str = "", wanted: str = ""
    ) -> Iterator[Judgement]:
        """The last named is the best."""
        self.wanted = wanted
        for n, image_id in enumerate(image_ids):
            self.gallery(gallery).image(image_id)
            p = 1 / (1 + np.exp(3.0 - n))
            yield Judgement(image_id=image_id, yes_probability=float(p), margin=n - 3.0)

    def supports(self, result: SearchResult) -> tuple[Support, ...]:
        """The caption's subject is sure, its place is not."""
        return tuple(
            Support(text=t, step="caption", cue=t, supported=sure, why="so it is", score=0.9)
            for t, sure in (("two brown dogs", True), ("in the snow", False))
        )

    def why(self, result: SearchResult, gallery: str, image_id: str) -> Why:
        """A No because of the hats."""
        judgement = Judgement(image_id=image_id, yes_probability=0.2, margin=-1.4)
        cues = (("two brown dogs", 0.9), ("with hats", 0.1))
        return Why(judgement=judgement, reason="scarves not hats", cues=cues)

    def explain(
        self, image: Image.Image, texts: Sequence[str], image_id: str = ""
    ) -> list[Heatmap]:
        """Soft spots."""
        self.explained.append(image_id)
        y, x = np.mgrid[0:7, 0:7] / 6
        maps = []
        for n, text in enumerate(texts):
            values = np.exp(-((x - 0.4 - 0.2 * n) ** 2 + (y - 0.7 + 0.2 * n) ** 2) * 6)
            maps.append(
                Heatmap(
                    image_id=image_id,
                    text=text,
                    kind="similarity",
                    values=values.astype(np.float32),
                    value_range=(0.05, 0.31),
                )
            )
        return maps


def run_number() -> tuple[int, Ticket]:
    """The number and the ticket of a run that a visitor has just asked for."""
    ticket = Ticket()
    return ticket.ask(), ticket
