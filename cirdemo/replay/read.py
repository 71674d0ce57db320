"""From a bundle back to a search result; no model is needed."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cirdemo.intake import load_image
from cirdemo.replay.write import FORMAT, RESULT, VERSION, pixel_hash
from cirdemo.report import Maps
from cirdemo.types import (
    BadInput,
    Candidate,
    Cue,
    Description,
    Heatmap,
    ImageId,
    Judgement,
    Query,
    Ranking,
    Rationale,
    Reranked,
    SearchResult,
)

MAX_BYTES = 64 * 2**20  # of a bundle, unpacked; those made here have a tenth of it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replay:
    """A bundle, opened."""

    result: SearchResult
    gallery: Bundled
    options: Mapping[str, Any]
    targets: tuple[ImageId, ...]
    maps: Maps
    facts: Mapping[str, Any]  # result.json as it stands
    exact: bool  # whether `result.query.reference` has the pixels that were searched with


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bundled:
    """The gallery of a bundle, as far as it was stored; satisfies `report.Pictures`."""

    name: str
    captions: Mapping[ImageId, str] = field(default_factory=dict)
    files: Mapping[ImageId, bytes] = field(default_factory=dict)

    @property
    def ids(self) -> tuple[ImageId, ...]:
        """Every picture that is named."""
        return tuple(self.captions)

    def image(self, image_id: ImageId) -> Image.Image:
        """The small picture, or BadInput where only its hash was stored."""
        if image_id not in self.files:
            raise BadInput(f"The bundle names {image_id!r} but does not hold its picture.")
        return load_image(self.files[image_id])

    def record(self, image_id: ImageId) -> dict[str, object]:
        """Its caption."""
        return {"caption": self.captions.get(image_id, "")}


def load(source: Path | bytes) -> Replay:
    """Open a bundle; nothing in it is run, and it is read no further than `MAX_BYTES`.

    Raises:
        BadInput: It is missing, damaged, no bundle, or of a later version.
    """
    name = "this file" if isinstance(source, bytes) else f"'{source}'"
    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
        files = _unzip(data, name)
        facts = json.loads(files[RESULT])
        if facts["format"] != FORMAT:
            raise KeyError(FORMAT)
    except OSError as fault:
        raise BadInput(f"{name} cannot be read. Check the path.") from fault
    except (KeyError, TypeError, ValueError, RecursionError) as fault:
        raise BadInput(
            f"{name} is no replay bundle. One is written by "
            '"python -m cirdemo search ... --bundle out.zip" and by the page.'
        ) from fault
    if facts.get("version") != VERSION:
        raise BadInput(
            f"{name} is a bundle of version {facts.get('version')}; this cirdemo reads "
            f"{VERSION}. Update cirdemo, or write the bundle again."
        )
    try:
        return _opened(facts, files)
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise BadInput(f"{name} is damaged: {type(fault).__name__}: {fault}.") from fault


def _unzip(data: bytes, name: str) -> dict[str, bytes]:
    """What an archive holds, up to `MAX_BYTES`; a ValueError where it is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                raise BadInput(f"{name} unpacks to more than {MAX_BYTES >> 20} MiB: no bundle.")
            return {n: archive.read(n) for n in archive.namelist() if not n.endswith("/")}
    except BadInput:
        raise
    except Exception as fault:  # zipfile and its decoders raise nearly anything
        raise ValueError(name) from fault


def _opened(facts: dict[str, Any], files: Mapping[str, bytes]) -> Replay:
    named = facts["pictures"]
    gallery = Bundled(
        name=facts["gallery"]["name"],
        captions={i: p["caption"] for i, p in named.items()},
        files={i: files[p["file"]] for i, p in named.items() if p["file"]},
    )
    stored = facts["reference"]
    image = load_image(files[stored["file"]]) if stored["file"] else _not_stored()
    asked = facts["query"]
    query = Query(
        query_id=asked["query_id"],
        reference=image,
        modification=asked["modification"],
        reference_id=asked["reference_id"],
    )
    reranked, told = _reranked(facts), facts["rationale"]
    result = SearchResult(
        query=query,
        stage=facts["stage"],
        descriptions={
            mode: Description(
                text=d["text"],
                mode=mode,
                cues=tuple(Cue(**c) for c in d["cues"]),
                prompt=d["prompt"],
                writer=d["writer"],
            )
            for mode, d in facts["descriptions"].items()
        },
        coarse={
            name: Ranking(
                query_id=query.query_id, method=name, candidates=tuple(Candidate(**c) for c in rows)
            )
            for name, rows in facts["coarse"].items()
        },
        judgements={
            j["image_id"]: Judgement(
                image_id=j["image_id"], yes_probability=j["p_yes"], margin=j["margin"]
            )
            for j in facts["judgements"]
        },
        reranked=reranked,
        rationale=Rationale(**told) if told else None,
        seconds=facts["seconds"],
        models=facts["models"],
        unknown_words=tuple(facts["unknown_words"]),
        notices=tuple(facts["notices"]),
        tuned=bool(facts.get("tuned", True)),  # absent from bundles of before
        remembered=frozenset(facts.get("remembered", ())),
    )
    maps = {
        image_id: [
            Heatmap(
                image_id=image_id,
                text=m["text"],
                kind=m["kind"],
                values=np.asarray(m["values"], np.float32),
                value_range=(m["range"][0], m["range"][1]),
            )
            for m in drawn
        ]
        for image_id, drawn in facts["heatmaps"].items()
    }
    return Replay(
        result=result,
        gallery=gallery,
        options=facts["options"],
        targets=tuple(facts["targets"]),
        maps=maps,
        facts=facts,
        exact=bool(stored["file"]) and pixel_hash(image) == stored["sha256"],
    )


def _not_stored() -> Image.Image:
    """What stands for a reference of which the bundle holds the hash alone."""
    card = Image.new("RGB", (160, 160), "#e4dfd4")
    draw = ImageDraw.Draw(card)
    draw.text((80, 80), "not stored", "#5a5f66", ImageFont.load_default(20), anchor="mm")
    return card


def _reranked(facts: Mapping[str, Any]) -> tuple[Reranked, ...]:
    """The re-ranked list; the margins stand with the judgements."""
    margins = {j["image_id"]: j["margin"] for j in facts["judgements"]}
    return tuple(
        Reranked(
            image_id=r["image_id"],
            rank=r["rank"],
            coarse_rank=r["coarse_rank"],
            score=r["score"],
            yes_probability=math.nan if r["p_yes"] is None else r["p_yes"],
            margin=margins.get(r["image_id"], math.nan),
        )
        for r in facts["reranked"]
    )
