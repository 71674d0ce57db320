"""Are the heatmaps true? The pointing game and the curves, over the queries of a drawn dataset.

Pointing game: is the hottest cell of a map on the thing that the text is about? Source: Zhang et
al., Top-down neural attention by excitation backprop, 2018. Curves: see `cirdemo.explain.curves`.
"""

from __future__ import annotations

import logging
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, get_args

import numpy as np
from PIL import Image

from cirdemo import metrics
from cirdemo.explain.curves import curve_areas
from cirdemo.explain.things import Box, cells_in, edited, named, points_at
from cirdemo.types import BadInput, CirError, Heatmap, ImageId, Mode, Query, Triplet
from cirdemo.words import control_word, own_words

log = logging.getLogger(__name__)

Described = Literal["true", "written"]
Progress = Callable[[str, int, int], None]  # what, done, of
Numbers = dict[str, float]

CURVES = 120  # queries with curves, evenly over the split: each costs some thirty pictures
BATCH = 32  # descriptions written together
REGIONS: Mapping[str, Callable[..., list[Box]]] = {"edited": edited, "named": named}
MODES: tuple[Mode, ...] = ("intersection", "union")
ABOUT = {
    "edited": "the thing the edit is about; a setting has no box, so such edits are left out",
    "named": "anything that the intersection description names",
    "words": "the map of those phrases of the intersection description that a caption of the "
    "reference lacks",
    "control": "the map of a random word that is not true of the picture",
    "chance": "share of the cells that count as a hit",
    "negative": "a member of the query's subset that keeps the reference's setting",
    "contrast": "intersection on targets minus union on negatives, over queries with both",
    "curves": "cosine of the target with the intersection description as patches go (mean "
    "colour) or come back (blurred picture), in the order of its own map, of the control's map, "
    "or at random; a gain is how much better the own map is than that order",
}


class _Engine(Protocol):
    """What is needed of an engine."""

    parts: Any

    def dataset(self, name: str) -> Any: ...

    def composer(self, name: str) -> Any: ...

    def explain(
        self, image: Image.Image, texts: Sequence[str], image_id: ImageId = ""
    ) -> list[Heatmap]: ...


def explanations(
    engine: _Engine,
    dataset_name: str,
    split: str = "test",
    limit: int | None = None,
    progress: Progress | None = None,
    *,
    described: Described = "true",
    curves: int = CURVES,
) -> dict[str, Any]:
    """How true an engine's heatmaps are on a split of a drawn dataset.

    Args:
        engine: Its maps are measured as the app shows them.
        dataset_name: A dataset with records and boxes.
        split: Whose queries.
        limit: Only the first so many queries.
        progress: Told what is being done.
        described: Descriptions from the dataset, or from the engine's writer.
        curves: How many queries get deletion and insertion curves.

    Returns:
        JSON-ready: `pointing`, `by_kind` and `curves` with means, 95 % bootstrap intervals and
        numbers of queries, what the words stand for (`about`), and one row a query.

    Raises:
        UnknownName: The dataset or the split does not exist.
        BadInput: `limit` or `described` cannot be used.
        CirError: The dataset has no boxes, or the encoder no heatmaps.
    """
    if described not in get_args(Described):
        raise BadInput(f"described must be true or written, got {described!r}.")
    if limit is not None and limit < 1:
        raise BadInput(f"limit must be at least 1, got {limit}.")
    dataset = engine.dataset(dataset_name)
    if not hasattr(dataset, "boxes"):
        raise CirError(
            f"Dataset {dataset_name!r} has no boxes, so nothing can be said of its heatmaps. "
            "Use fables or wardrobe."
        )
    triplets = list(dataset.triplets(split))[:limit]
    if not triplets:
        raise CirError(f"Dataset {dataset_name!r} has no queries in split {split!r}.")
    report = progress or _log
    texts = _descriptions(engine, dataset, triplets, described, report)
    said = (dataset.caption(i) for i in dataset.gallery_ids)
    vocabulary = sorted({word for text in said for word in re.findall(r"[\w'-]+", text.lower())})
    chosen = {round(n) for n in np.linspace(0, len(triplets) - 1, min(curves, len(triplets)))}
    rows = []
    for n, (triplet, own) in enumerate(zip(triplets, texts, strict=True)):
        query = _Measured(engine, dataset, triplet, own, vocabulary)
        rows.append(query.row(curves=n in chosen))
        report("heatmaps", n + 1, len(triplets))
    return {
        "dataset": dataset_name,
        "split": split,
        "described": described,
        "queries": len(rows),
        "pointing": _pointing(rows),
        "by_kind": _by_kind(rows),
        "left_out": dict(Counter(r["kind"] for r in rows if "target" not in r["hits"]["edited"])),
        "curves": _curves([row["curves"] for row in rows if "curves" in row]),
        "about": ABOUT,
        "rows": rows,
    }


# --- one query ----------------------------------------------------------------------------


class _Measured:
    """A query with its pictures and texts."""

    def __init__(
        self,
        engine: _Engine,
        dataset: Any,
        triplet: Triplet,
        descriptions: Mapping[Mode, str],
        vocabulary: Sequence[str],
    ) -> None:
        self.engine = engine
        self.dataset = dataset
        self.triplet = triplet
        self.target = triplet.target_ids[0]
        self.reference = dataset.record(triplet.reference_id)["record"]
        self.wanted = dataset.record(self.target)["record"]
        words = own_words(descriptions["intersection"], dataset.caption(triplet.reference_id))
        true = [*descriptions.values(), triplet.union, dataset.caption(self.target)]
        control = control_word(vocabulary, true, seed=triplet.query_id)
        self.texts = {str(mode): text for mode, text in descriptions.items()}
        self.texts |= {"words": words, "control": control}

    def row(self, *, curves: bool) -> dict[str, Any]:
        """Hits and chances on the target and on a hard negative; the areas under its curves."""
        negative = self._negative()
        pictures = {"target": self.target} | ({"negative": negative} if negative else {})
        row: dict[str, Any] = {
            "query_id": self.triplet.query_id,
            "kind": self.triplet.kind,
            **pictures,
            "words": self.texts["words"],
            "control": self.texts["control"],
            "hits": {region: {} for region in REGIONS},
        }
        for role, image_id in pictures.items():
            image = self._image(image_id)
            names = self.texts if role == "target" else MODES
            found = self.engine.explain(image, [self.texts[n] for n in names], image_id)
            maps = {n: heat.values for n, heat in zip(names, found, strict=True)}
            shown, boxes = self.dataset.record(image_id)["record"], self.dataset.boxes(image_id)
            for region, place in REGIONS.items():
                where = place(self.triplet.kind, self.reference, self.wanted, shown, boxes)
                if where:
                    hits: Numbers = {k: float(points_at(m, where)) for k, m in maps.items()}
                    hits["chance"] = float(cells_in(where, maps["union"].shape).mean())
                    row["hits"][region][role] = hits
            if role == "target" and curves:
                row["curves"] = self._curves(image, maps)
        return row

    def _curves(self, image: Image.Image, maps: Mapping[str, np.ndarray]) -> dict[str, Numbers]:
        own = maps["intersection"]
        seed = zlib.crc32(self.triplet.query_id.encode())
        blind = np.random.default_rng(seed).random(own.shape)
        return curve_areas(
            self.engine.parts.encoder.get(),
            image,
            self.texts["intersection"],
            {"map": own, "word": maps["control"], "random": blind},
        )

    def _negative(self) -> ImageId | None:
        """The first hard negative in the reference's setting; garments have no setting."""
        kept = self.reference.get("setting")
        for image_id in self.triplet.subset_ids:
            right = (*self.triplet.target_ids, self.triplet.reference_id)
            if kept and image_id not in right:
                if self.dataset.record(image_id)["record"]["setting"] == kept:
                    return image_id
        return None

    def _image(self, image_id: ImageId) -> Image.Image:
        return Image.open(self.dataset.image_path(image_id)).convert("RGB")


def _descriptions(
    engine: _Engine,
    dataset: Any,
    triplets: Sequence[Triplet],
    described: Described,
    report: Progress,
) -> list[dict[Mode, str]]:
    if described == "true":
        return [{mode: getattr(triplet, mode) for mode in MODES} for triplet in triplets]
    out: list[dict[Mode, str]] = []
    for start in range(0, len(triplets), BATCH):
        queries = [
            Query(
                query_id=t.query_id,
                reference=Image.open(dataset.image_path(t.reference_id)).convert("RGB"),
                modification=t.modification,
                reference_id=t.reference_id,
            )
            for t in triplets[start : start + BATCH]
        ]
        written = {mode: engine.composer(mode).write_many(queries) for mode in MODES}
        out += [{mode: written[mode][n].text for mode in MODES} for n in range(len(queries))]
        report("descriptions", len(out), len(triplets))
    return out


# --- all queries --------------------------------------------------------------------------


def _summary(values: Sequence[float]) -> dict[str, Any]:
    return {
        "mean": metrics.mean(values),
        "interval": list(metrics.bootstrap_interval(values)),
        "queries": len(values),
    }


def _keys(dicts: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for d in dicts for key in d))


def _pointing(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Hit rates by region, picture and text; and the contrast that SETR claims."""
    out: dict[str, Any] = {}
    for region in REGIONS:
        hits = [row["hits"][region] for row in rows]
        out[region] = {
            role: {
                text: _summary([h[role][text] for h in hits if role in h])
                for text in _keys(h[role] for h in hits if role in h)
            }
            for role in _keys(hits)
        }
        both = [h for h in hits if "target" in h and "negative" in h]
        if both:
            gains = [h["target"]["intersection"] - h["negative"]["union"] for h in both]
            out[region]["contrast"] = {
                "intersection@target": _summary([h["target"]["intersection"] for h in both]),
                "union@negative": _summary([h["negative"]["union"] for h in both]),
                "difference": _summary(gains),
            }
    return out


def _by_kind(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Plain means for each kind of edit, as "region: text@picture"."""
    out: dict[str, Any] = {}
    for kind in sorted({row["kind"] for row in rows}):
        mine = [row["hits"] for row in rows if row["kind"] == kind]
        flat: dict[str, list[float]] = {}
        for hits in mine:
            for region, roles in hits.items():
                for role, texts in roles.items():
                    for text, value in texts.items():
                        flat.setdefault(f"{region}: {text}@{role}", []).append(value)
        out[kind] = {"queries": len(mine)} | {k: metrics.mean(v) for k, v in flat.items()}
    return out


def _curves(areas: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, Any]:
    """Mean areas under the curves, and how much better the own map is than the other orders."""
    out: dict[str, Any] = {"queries": len(areas)}
    for curve, sign in (("deletion", -1.0), ("insertion", 1.0)):
        values = {
            order: [a[curve][order] for a in areas] for order in _keys(a[curve] for a in areas)
        }
        out[curve] = {order: _summary(v) for order, v in values.items()}
        for order in [o for o in values if o != "map"]:
            pairs = zip(values["map"], values[order], strict=True)
            out[curve][f"gain_over_{order}"] = _summary([sign * (own - v) for own, v in pairs])
    return out


def _log(what: str, done: int, total: int) -> None:
    if done % 50 == 0 or done == total:
        log.info("%s: %d of %d", what, done, total)
