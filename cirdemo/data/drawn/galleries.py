"""Drawing of pictures, of the shipped galleries with their queries, and of training pools."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cirdemo.data.drawn import queries, reasoning
from cirdemo.data.drawn.fables import Scene
from cirdemo.data.drawn.paint.canvas import Box
from cirdemo.data.drawn.paint.garments import paint_garment
from cirdemo.data.drawn.paint.scene import paint_scene
from cirdemo.types import UnknownName

WORLDS = ("fables", "wardrobe")
GALLERY_SEED = 20261120  # the shipped galleries; training uses other seeds
GALLERY_FAMILIES = {
    "fables": ("val",) * 80 + ("test",) * 120,
    "wardrobe": ("val",) * 60 + ("test",) * 60,
}
WEBP = {"quality": 75, "method": 4}  # about 7 kB a picture; galleries stay under 25 MB
PICTURE_SIZE = 256
PICTURE_SEED_STRIDE = 1_000_003  # keeps the picture seeds of different pools apart


def paint(content: Any, seed: int, size: int = PICTURE_SIZE) -> tuple[Image.Image, dict[str, Box]]:
    """The picture of a scene or a garment, and the boxes of its named things."""
    return (paint_scene if isinstance(content, Scene) else paint_garment)(content, seed, size)


def _paint_array(job: tuple[Any, int, int]) -> tuple[np.ndarray, dict[str, Box]]:
    content, seed, size = job
    image, boxes = paint(content, seed, size)
    return np.asarray(image, dtype=np.uint8), boxes


def paint_pool(
    pool: queries.Pool, seed: int, size: int, start: int, count: int
) -> tuple[np.ndarray, list[dict[str, Box]]]:
    """Some pictures of a pool, (count, size, size, 3) uint8, with boxes, drawn on all cores."""
    some = pool.contents[start : start + count]
    jobs = [(c, seed * PICTURE_SEED_STRIDE + i, size) for i, c in enumerate(some, start)]
    out = np.empty((len(jobs), size, size, 3), np.uint8)
    boxes: list[dict[str, Box]] = []
    with ProcessPoolExecutor(os.cpu_count()) as workers:
        for i, (array, named) in enumerate(workers.map(_paint_array, jobs, chunksize=50)):
            out[i] = array
            boxes.append(named)
    return out, boxes


def _record(image_id: str, content: Any, caption: str, boxes: dict[str, Box]) -> dict[str, Any]:
    rounded = {name: [round(float(v), 4) for v in box] for name, box in boxes.items()}
    return {"id": image_id, "record": content.to_json(), "caption": caption, "boxes": rounded}


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(r, separators=(",", ":")) + "\n" for r in rows))


def _paint_to_file(job: tuple[Any, int, int, Path]) -> dict[str, Box]:
    content, seed, size, path = job
    image, boxes = paint(content, seed, size)
    image.save(path, "WEBP", **WEBP)
    return boxes


def _paint_files(contents: list[Any], ids: list[str], seed: int, out: Path) -> list[dict[str, Box]]:
    folder = out / "images"
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [
        (c, seed * PICTURE_SEED_STRIDE + i, PICTURE_SIZE, folder / f"{image_id}.webp")
        for i, (c, image_id) in enumerate(zip(contents, ids, strict=True))
    ]
    with ProcessPoolExecutor(os.cpu_count()) as workers:
        return list(workers.map(_paint_to_file, jobs, chunksize=32))


def draw_gallery(world: str, out: Path) -> dict[str, int]:
    """The gallery a world ships with: pictures, records and queries, always the same.

    Ids are given in shuffled order, so that neighbours in a family are not neighbours by id.
    """
    pool = queries.make_pool(world, GALLERY_FAMILIES[_known(world)], GALLERY_SEED)
    rng = random.Random(GALLERY_SEED)
    order = rng.sample(range(len(pool.contents)), len(pool.contents))
    ids = [""] * len(order)
    for place, i in enumerate(order):
        ids[i] = f"{world}-{place:04d}"
    boxes = _paint_files(list(pool.contents), ids, GALLERY_SEED, out)
    records = [
        _record(ids[i], pool.contents[i], pool.caption(i), boxes[i]) for i in range(len(ids))
    ]
    _write_lines(out / "records.jsonl", sorted(records, key=lambda r: str(r["id"])))
    asked = _asked(pool, ids, rng)
    _write_lines(out / "queries.jsonl", asked)
    return {"pictures": len(ids), "queries": len(asked)}


def _asked(pool: queries.Pool, ids: list[str], rng: random.Random) -> list[dict[str, Any]]:
    """A gallery's queries as they stand in its file."""
    world, rows = pool.world, []
    for n, (query, hits) in enumerate(zip(pool.asked, queries.targets(pool), strict=True)):
        split = GALLERY_FAMILIES[world][query.reference // queries.FAMILY_PICTURES]
        rows.append(
            {
                "query_id": f"{world}-q{n:04d}",
                "split": split,
                "reference_id": ids[query.reference],
                "modification": query.edit.text,
                "target_ids": sorted(ids[i] for i in hits),
                "subset_ids": [ids[i] for i in queries.subset(pool, query, hits, rng)],
                "kind": query.edit.kind,
                **queries.describe(pool, query),
                "conclusion": reasoning.rationale(pool, query).conclusion,
            }
        )
    return rows


def draw_pictures(world: str, count: int, seed: int, out: Path) -> dict[str, Any]:
    """`count` pictures of train subjects with their records, for looking at and for training."""
    families = ("train",) * -(-count // queries.FAMILY_PICTURES)
    pool = queries.make_pool(_known(world), families, seed)
    contents = list(pool.contents[:count])
    ids = [f"{world}-{seed}-{i:06d}" for i in range(count)]
    boxes = _paint_files(contents, ids, seed, Path(out))
    _write_lines(
        Path(out) / "records.jsonl",
        (_record(ids[i], contents[i], pool.caption(i), boxes[i]) for i in range(count)),
    )
    return {"world": world, "count": count, "seed": seed, "folder": str(out)}


def _known(world: str) -> str:
    if world not in WORLDS:
        raise UnknownName(f"Unknown world {world!r}. Known: {', '.join(WORLDS)}.")
    return world
