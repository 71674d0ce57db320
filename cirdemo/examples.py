"""Example queries of the Search page, found by running val and picking by outcome.

No answer is stored: an example is a reference, a text and the story its outcome had when it was
picked; pressing it runs the models.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cirdemo.evaluate import evaluate

if TYPE_CHECKING:
    from cirdemo.engine import Engine

METHODS = ("union", "intersection", "setr", "cot", "cot_direct")
FAR = 11  # a rank outside the first ten, which is what a row shows
Ranks = Mapping[str, Any]


def _rank(outcome: Ranks, method: str) -> int:
    return outcome[method]["rank"] or 10_000


def _clean(outcome: Ranks) -> bool:
    """Both descriptions are right, so that what happens is the search's doing."""
    return all(outcome[m].get("description_match") for m in ("union", "intersection"))


# (gallery, story, how many, condition): the first that holds gives a query its story
STORIES: tuple[tuple[str, str, int, Callable[[Ranks], bool]], ...] = (
    (
        "fables",
        "union is dragged along by the surroundings",
        3,
        lambda o: _clean(o) and _rank(o, "intersection") == 1 and _rank(o, "union") >= FAR,
    ),
    (
        "fables",
        "the judge rescues it from far down",
        2,
        lambda o: _rank(o, "setr") == 1 and _rank(o, "intersection") >= FAR,
    ),
    (
        "fables",
        "intersection misses, union finds it",
        1,
        lambda o: _rank(o, "union") == 1 and _rank(o, "intersection") > 3,
    ),
    (
        "fables",
        "the judge errs",
        1,
        lambda o: _rank(o, "intersection") == 1 < _rank(o, "setr"),
    ),
    (
        "fables",
        "thinking first finds it",
        2,
        lambda o: _rank(o, "cot") == 1 and _rank(o, "cot_direct") >= 4,
    ),
    (
        "fables",
        "thinking first loses it",
        1,
        lambda o: _rank(o, "cot_direct") == 1 and _rank(o, "cot") >= 10,
    ),
    (
        "fables",
        "right conclusion, wrong embedding",
        1,
        lambda o: bool(o["cot"].get("conclusion_match")) and _rank(o, "cot") >= FAR,
    ),
    ("fables", "a negation", 1, lambda o: o["kind"] == "negation" and _rank(o, "setr") == 1),
    ("fables", "a count", 1, lambda o: o["kind"] == "count" and _rank(o, "setr") == 1),
    ("fables", "a relation", 1, lambda o: o["kind"] == "relation" and _rank(o, "setr") == 1),
    (
        "fables",
        "nobody finds it",
        1,
        lambda o: all(_rank(o, m) >= FAR for m in METHODS[:4]),
    ),
    (
        "wardrobe",
        "what is not said stays: union wins",
        1,
        lambda o: _rank(o, "union") == 1 and _rank(o, "intersection") >= FAR,
    ),
    ("wardrobe", "two edits of a garment", 1, lambda o: _rank(o, "setr") == 1),
)
# texts that no dataset holds, asked of the first fables picture that an example uses
OUTSIDE = (
    ("a purple dragon flying an airplane", "words the models do not know"),
    ("make it white and black and in the snow and in the desert", "an impossible edit"),
)


def outcomes(engine: Engine, gallery: str, limit: int | None = None) -> list[dict[str, Any]]:
    """Every val query, or the first so many, with its row under every method."""
    found = evaluate(engine, gallery, "val", METHODS, limit, captions=False)
    results = {e.method: e.rows for e in found}
    triplets = engine.dataset(gallery).triplets("val")[:limit]
    return [
        {
            "triplet": triplet,
            "kind": triplet.kind,
            **{m: results[m][i] for m in METHODS},
        }
        for i, triplet in enumerate(triplets)
    ]


def pick(by_gallery: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, str]]:
    """Examples in the order of the stories; short texts first, each query once."""
    chosen: list[dict[str, str]] = []
    used: set[str] = set()
    for gallery, story, count, holds in STORIES:
        fitting = [o for o in by_gallery.get(gallery, ()) if holds(o)]
        fitting.sort(key=lambda o: (len(o["triplet"].modification), o["triplet"].query_id))
        left = count
        for outcome in fitting:
            triplet = outcome["triplet"]
            if not left or triplet.reference_id in used:
                continue
            left -= 1
            used.add(triplet.reference_id)
            chosen.append(
                {
                    "gallery": gallery,
                    "query_id": triplet.query_id,
                    "reference_id": triplet.reference_id,
                    "modification": triplet.modification,
                    "label": story,
                }
            )
    first = next((c for c in chosen if c["gallery"] == "fables"), None)
    if first is not None:
        for text, story in OUTSIDE:
            chosen.append({**first, "query_id": "", "modification": text, "label": story})
    return chosen


def write(engine: Engine, out: Path, limit: int | None = None) -> list[dict[str, str]]:
    """Run val, or its first queries, and write the examples to a file."""
    found = pick({gallery: outcomes(engine, gallery, limit) for gallery in engine.galleries()})
    out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return found
