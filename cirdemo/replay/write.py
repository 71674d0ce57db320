"""From a search result to a bundle."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np
from PIL import Image

from cirdemo import __version__
from cirdemo.export import finite, search_json
from cirdemo.prompts import judge_prompt, prompt_hash, reason_prompt
from cirdemo.report import Maps, Pictures
from cirdemo.types import ImageId, SearchResult

FORMAT, VERSION = "cirdemo-replay", 1
RESULT = "result.json"
SIDE = 192  # pixels of a stored picture
SHOWN = 20  # pictures stored of each list; all are named
EXACT_PIXELS = 2_000_000  # a reference up to this size is stored without loss: it can be recomputed


def pixel_hash(image: Image.Image) -> str:
    """SHA-256 of a picture's RGB pixels and size, whatever file it was stored in."""
    rgb = image.convert("RGB")
    return hashlib.sha256(repr(rgb.size).encode() + rgb.tobytes()).hexdigest()


def bundle(
    result: SearchResult,
    gallery: Pictures,
    options: Mapping[str, Any] | None = None,
    pictures: bool = True,
    *,
    maps: Maps | None = None,
    targets: Collection[ImageId] = (),
) -> bytes:
    """The zip.

    Args:
        result: What to store.
        gallery: For the pictures and their captions.
        options: The keywords that `Engine.search` was called with.
        pictures: Whether small pictures go with it, or their hashes alone.
        maps: Heatmaps to store, as in `report.html`.
        targets: Known targets.
    """
    query = result.query
    files: dict[str, bytes] = {}
    named: dict[str, dict[str, Any]] = {}
    shown = {i for ids in _lists(result) for i in ids[:SHOWN]} | set(targets)
    for image_id in sorted({i for ids in _lists(result) for i in ids} | set(targets)):
        image = gallery.image(image_id)
        kept = pictures and image_id in shown
        if kept:
            files[f"pictures/{len(files):04d}.webp"] = _small(image)
        record = gallery.record(image_id) or {}
        named[image_id] = {
            "sha256": pixel_hash(image),
            "file": list(files)[-1] if kept else None,
            "caption": str(record.get("caption") or ""),
        }
    reference: dict[str, Any] = {"sha256": pixel_hash(query.reference), "file": None}
    if pictures:
        reference["file"] = "pictures/reference.webp"
        files[reference["file"]] = _reference(query.reference)
    used = {
        name: asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        for name, value in (options or {}).items()
    }
    if given := {m: d.text for m, d in result.descriptions.items() if d.writer == "user"}:
        used.setdefault("descriptions", given)
    wanted = result.descriptions.get("intersection")
    answer = search_json(result)
    for mode, told in result.descriptions.items():
        answer["descriptions"][mode]["prompt"] = told.prompt
    facts = {
        "format": FORMAT,
        "version": VERSION,
        "cirdemo": __version__,
        "gallery": {"name": gallery.name, "space": getattr(gallery, "space", "")},
        "options": used,
        **answer,
        "stage": result.stage,
        "tuned": result.tuned,
        "remembered": sorted(result.remembered),
        "reference": reference,
        "judgements": [
            {"image_id": j.image_id, "p_yes": j.yes_probability, "margin": j.margin}
            for j in result.judgements.values()
        ],
        "prompts": {
            "hash": prompt_hash(),
            "judge": judge_prompt(
                query.modification, *((wanted.text, wanted.caption) if wanted else ("",))
            ),
            "reason": reason_prompt(query.modification),
        },
        "targets": list(targets),
        "heatmaps": {
            image_id: [
                {
                    "text": m.text,
                    "kind": m.kind,
                    "values": np.round(m.values.astype(float), 4).tolist(),
                    "range": list(m.value_range),
                }
                for m in drawn
            ]
            for image_id, drawn in (maps or {}).items()
        },
        "pictures": named,
    }
    text = json.dumps(finite(facts), ensure_ascii=False, indent=1, allow_nan=False)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_entry(RESULT), text)
        for name, content in files.items():
            archive.writestr(_entry(name), content)
    return data.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    """A member without the clock's time: equal results make equal files."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _lists(result: SearchResult) -> list[Sequence[ImageId]]:
    return [*(r.ids for r in result.coarse.values()), [r.image_id for r in result.reranked]]


def _small(image: Image.Image) -> bytes:
    small = image.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    data = io.BytesIO()
    small.save(data, "WEBP", quality=82)
    return data.getvalue()


def _reference(image: Image.Image) -> bytes:
    rgb = image.convert("RGB")
    if rgb.width * rgb.height > EXACT_PIXELS:
        rgb.thumbnail((1024, 1024))
    data = io.BytesIO()
    rgb.save(data, "WEBP", lossless=True)
    return data.getvalue()
