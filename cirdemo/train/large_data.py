"""What big models are trained on: a benchmark's queries with right and wrong pictures.

Wrong pictures come from the coarse retriever's best ones, as in LamRA and SETR's setting; what
counts as right in any query of the same wording, and the reference, is never shown as wrong.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cirdemo.data.benchmark import Benchmark
from cirdemo.describe import MLLMWriter
from cirdemo.gallery.build import build
from cirdemo.gallery.store import Gallery
from cirdemo.intake import load_image
from cirdemo.models.mllm import VisionLanguageModel
from cirdemo.types import BadInput, CirError, Encoder, ImageId, Query, Rationale, Triplet

HARD = 100  # coarse candidates that wrong pictures are drawn from (LamRA: the same)
TEXT_WEIGHT = 0.75  # of a coarse query without a description: text against reference picture
QUERIES = 512  # coarse queries at once
HELD_SHARE = 0.05  # of the queries, at most, are held out

Tell = Callable[[str, int, int], None]  # what, done, of how many


@dataclass(slots=True, eq=False, kw_only=True)
class Ask:
    """A query to train on."""

    triplet: Triplet
    gallery: Benchmark
    right: frozenset[ImageId]  # never shown as wrong
    wanted: str = ""  # the stage-1 description, where there is one
    caption: str = ""  # of the reference, from which it was written
    wrong: tuple[ImageId, ...] = ()  # the coarse retriever's; empty: any other picture
    rationale: Rationale | None = None

    @property
    def key(self) -> str:
        """Its name among all queries."""
        return f"{self.gallery.name}/{self.triplet.query_id}"

    def draw_wrong(self, rng: random.Random, count: int) -> list[ImageId]:
        """So many different wrong pictures."""
        if len(self.wrong) >= count:
            return rng.sample(self.wrong, count)
        found = dict.fromkeys(self.wrong)
        others = self.gallery.gallery_ids
        for image_id in rng.sample(others, min(len(others), count + len(self.right) + len(found))):
            if image_id not in self.right:
                found[image_id] = None
        return list(found)[:count]


def asks_of(galleries: Sequence[Benchmark]) -> list[Ask]:
    """The queries of all galleries.

    Raises:
        BadInput: They have no targets.
    """
    asks = []
    for gallery in galleries:
        right: defaultdict[tuple[ImageId, str], set[ImageId]] = defaultdict(set)
        triplets = gallery.triplets(gallery.split)
        for t in triplets:
            labelled = (i for i, value in t.soft_targets if value > 0)
            right[t.reference_id, t.modification] |= {t.reference_id, *t.target_ids, *labelled}
        asks += [
            Ask(triplet=t, gallery=gallery, right=frozenset(right[t.reference_id, t.modification]))
            for t in triplets
            if t.target_ids
        ]
    if not asks:
        raise BadInput(
            f"Split {galleries[0].split!r} of {galleries[0].name} has no targets to learn from. "
            "Choose another one with --split."
        )
    return asks


def hold_out(asks: Sequence[Ask], count: int, seed: int) -> tuple[list[Ask], list[Ask]]:
    """Queries to train on, and about `count` to choose weights by; no reference is in both."""
    references = sorted({(a.gallery.name, a.triplet.reference_id) for a in asks})
    random.Random(seed).shuffle(references)
    count = min(count, int(len(asks) * HELD_SHARE))
    held: list[Ask] = []
    by_reference = defaultdict(list)
    for ask in asks:
        by_reference[ask.gallery.name, ask.triplet.reference_id].append(ask)
    while len(held) < count:
        held += by_reference.pop(references.pop())
    return [a for group in by_reference.values() for a in group], held


def plan(asks: Sequence[Ask], batch: int, seed: int, epoch: int) -> list[list[Ask]]:
    """An epoch's batches, each of one gallery."""
    rng = random.Random(f"{seed}-{epoch}")
    by_gallery = defaultdict(list)
    for ask in asks:
        by_gallery[ask.gallery.name].append(ask)
    batches = []
    for group in by_gallery.values():
        rng.shuffle(group)
        batches += [group[i : i + batch] for i in range(0, len(group), batch)]
    rng.shuffle(batches)
    return batches


def ahead(make: Callable[[Any], Any], items: Iterator[Any], pool: ThreadPoolExecutor) -> Iterator:
    """What is made of every item, the next one made while this one is used."""
    future = None
    for item in items:
        coming = pool.submit(make, item)
        if future is not None:
            yield future.result()
        future = coming
    if future is not None:
        yield future.result()


def picture(gallery: Benchmark, image_id: ImageId, pixels: int) -> Image.Image:
    """A picture, scaled down to at most so many pixels.

    Raises:
        BadInput: It cannot be read.
    """
    path = gallery.image_path(image_id)
    try:
        image = load_image(path)
    except BadInput as fault:
        raise BadInput(f"Picture {image_id!r} ({path}): {fault}") from fault
    scale = (pixels / (image.width * image.height)) ** 0.5
    if scale >= 1:
        return image
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.BICUBIC)


# --- made beforehand ----------------------------------------------------------------------


def read_rationales(path: Path, asks: Sequence[Ask]) -> int:
    """Give queries the rationales of a file: a JSON object a line.

    Its `id` is the query's (CIRR: pairid, CIRCO: id, FashionIQ: dress-0, its place in the file),
    with `caption`, `reasoning` and `conclusion`.

    Returns:
        How many queries have one.

    Raises:
        BadInput: The file cannot be read, or fits none of the queries.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"The rationales in '{path}' cannot be read ({error}).") from error
    found = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            steps = {k: str(row[k]) for k in ("caption", "reasoning", "conclusion")}
            found[str(row["id"])] = Rationale(**steps)
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(
                f"'{path}', line {number}: not an object with id, caption, reasoning and "
                f"conclusion ({error!r})."
            ) from error
    for ask in asks:
        ask.rationale = found.get(ask.triplet.query_id)
    count = sum(ask.rationale is not None for ask in asks)
    if not count:
        raise BadInput(
            f"None of the {len(found)} rationales in '{path}' has the id of a query, such as "
            f"{asks[0].triplet.query_id!r}."
        )
    return count


def describe(
    asks: Sequence[Ask],
    model: VisionLanguageModel,
    folder: Path,
    *,
    share: tuple[int, int] = (0, 1),
    batch: int = 16,
    pixels: int,
    tell: Tell,
) -> None:
    """Write intersection descriptions as the app will: by the model without adapters.

    They are kept in `folder`, a line each, so that a stopped run goes on. `share`: the number of
    this process and how many there are; each writes a part. Call `described` afterwards.
    """
    known = _lines(folder)
    todo = [a for a in asks if a.key not in known][share[0] :: share[1]]
    folder.mkdir(parents=True, exist_ok=True)
    writer = MLLMWriter(model)
    with (folder / f"{share[0]}.jsonl").open("a", encoding="utf-8") as file:
        for start in range(0, len(todo), batch):
            some = todo[start : start + batch]
            written = writer.write_many(
                [
                    Query(
                        query_id=a.key,
                        reference=picture(a.gallery, a.triplet.reference_id, pixels),
                        modification=a.triplet.modification,
                    )
                    for a in some
                ],
                "intersection",
            )
            for ask, description in zip(some, written, strict=True):
                line = [ask.key, description.text, description.caption]
                file.write(json.dumps(line) + "\n")
            file.flush()
            tell("describing queries", start + len(some), len(todo))


def described(asks: Sequence[Ask], folder: Path) -> None:
    """Give queries the descriptions that were written."""
    known = _lines(folder)
    for ask in asks:
        ask.wanted, ask.caption = known.get(ask.key, ("", ""))


def _lines(folder: Path) -> dict[str, tuple[str, str]]:
    """Descriptions and captions by query."""
    found = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                key, text, caption = json.loads(line)
            except ValueError:  # cut short while it was written
                continue
            found[key] = text, caption
    return found


def vectors_of(
    galleries: Sequence[Benchmark], encoder: Encoder, folder: Path, tell: Tell
) -> dict[str, Gallery]:
    """The encoder's vectors of every gallery, made once and kept in `folder`."""
    safe = "".join(c if c.isalnum() else "-" for c in encoder.space)
    made = {}
    for source in galleries:
        place = folder / safe / f"{source.name}-{source.split}"
        try:
            there: Gallery | None = Gallery.open(place, source)
        except CirError:
            there = None
        if there is None or set(there.ids) != set(source.gallery_ids):
            there = build(
                source,
                encoder,
                place,
                lambda done, of, name=source.name: tell(f"encoding {name}", done, of),
            )
        made[source.name] = there
    return made


def mine(asks: Sequence[Ask], encoder: Encoder, galleries: dict[str, Gallery]) -> None:
    """Give queries the coarse retriever's best 100 pictures without those that are right.

    The coarse query is the description's vector, as in SETR's first stage; without a description
    it is the modification text and the reference picture, weighted 3 to 1.
    """
    for start in range(0, len(asks), QUERIES):
        some = asks[start : start + QUERIES]
        texts = encoder.encode_texts([a.wanted or a.triplet.modification for a in some])  # (Q, D)
        for ask, text in zip(some, texts, strict=True):
            shelf = galleries[ask.gallery.name]
            if not ask.wanted:
                reference = shelf.vector(ask.triplet.reference_id)
                text = TEXT_WEIGHT * text + (1 - TEXT_WEIGHT) * reference
            scores = shelf.vectors @ text  # (N,)
            count = min(HARD + len(ask.right), len(scores))
            best = np.argpartition(-scores, count - 1)[:count]
            ordered = [shelf.ids[i] for i in best[np.argsort(-scores[best], kind="stable")]]
            ask.wrong = tuple(i for i in ordered if i not in ask.right)[:HARD]
