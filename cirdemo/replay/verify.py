"""A replay bundle against the models at hand: what comes out the same, and what does not."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from PIL import Image

from cirdemo.prompts import prompt_hash
from cirdemo.replay.read import Replay
from cirdemo.replay.write import pixel_hash
from cirdemo.steer import Steer
from cirdemo.types import BadInput, CirError, Rationale, SearchResult

if TYPE_CHECKING:
    from cirdemo.engine import Engine

SCORE = 1e-4  # cosines of the same model on another machine agree to about 1e-6
CHANCE = 5e-3  # P(Yes) does to about 1e-3 when the precision of a product differs


def verify(replay: Replay, engine: Engine, reference: Image.Image | None = None) -> dict[str, Any]:
    """Search again and compare.

    Args:
        replay: The bundle.
        engine: With the models at hand and a gallery of the bundle's name.
        reference: The reference image, where the bundle does not hold it as it was.

    Returns:
        {"same": bool, "differences": [{"what", "then", "now"}], "not_repeated": [option names],
        "seconds": {"then", "now"}}.

    Raises:
        BadInput: The reference image is missing.
        CirError: The gallery or a method is not here.
    """
    options = dict(replay.options)
    name = str(options.pop("gallery", "") or replay.gallery.name)
    known = set(inspect.signature(engine.search).parameters) - {"query", "self"}
    stale = sorted(set(options) - known)
    used = {k: _record(k, v) for k, v in options.items() if k in known}
    shelf = engine.gallery(name)
    then, asked = replay.result, replay.result.query
    told = replay.facts["reference"]["sha256"]
    if replay.exact:  # the very pixels, with what was hidden by hand
        query = asked
    elif reference is not None:
        query = engine.make_query(text=asked.modification, reference=reference)
    elif asked.reference_id is not None and asked.reference_id in shelf.ids:
        query = engine.make_query(
            text=asked.modification, reference_id=asked.reference_id, gallery=name
        )
    else:
        raise BadInput(
            "The bundle does not hold the reference image as it was searched with; name the file "
            "with --image."
        )
    now = SearchResult(query=query, stage="")
    for step in engine.search(query, gallery=name, **used):
        now = step
    found = list(_pictures(replay, shelf))
    if (digest := pixel_hash(query.reference)) != told:
        found.insert(0, _line("reference image", told[:12], digest[:12]))
    if (prompts := replay.facts["prompts"]["hash"]) != prompt_hash():
        found.append(_line("prompts", prompts, prompt_hash()))
    found += _differences(then, now)
    spent = {k: round(sum(r.seconds.values()), 2) for k, r in (("then", then), ("now", now))}
    return {"same": not found, "differences": found, "not_repeated": stale, "seconds": spent}


def _record(name: str, value: Any) -> Any:
    """An option as `Engine.search` takes it: two of them are records."""
    if value is None or name not in ("steer", "thoughts"):
        return value
    if name == "thoughts":
        return Rationale(**value)
    return Steer(**{k: tuple(v) for k, v in value.items()})


def _line(what: str, then: object, now: object) -> dict[str, str]:
    return {"what": what, "then": str(then), "now": str(now)}


def _pictures(replay: Replay, shelf: Any) -> Iterator[dict[str, str]]:
    """Pictures of the bundle that the gallery does not have, or has otherwise."""
    known, lost, other = set(shelf.ids), [], []
    for image_id, told in replay.facts["pictures"].items():
        if image_id not in known:
            lost.append(image_id)
            continue
        try:
            digest = pixel_hash(shelf.image(image_id))
        except CirError:
            digest = ""
        if digest != told["sha256"]:
            other.append(image_id)
    for what, ids in (("pictures missing here", lost), ("pictures with other pixels", other)):
        if ids:
            yield _line(what, "-", f"{len(ids)}: {', '.join(ids[:5])}")


def _differences(then: SearchResult, now: SearchResult) -> list[dict[str, str]]:
    found = list(_unequal("model", then.models, now.models))
    texts = [{m: d.text for m, d in r.descriptions.items()} for r in (then, now)]
    found += _unequal("description", texts[0], texts[1])
    for name, ranking in then.coarse.items():
        other = now.coarse.get(name)
        if other is None:
            found.append(_line(f"list {name}", f"{len(ranking.candidates)} pictures", "none"))
            continue
        if (first := _first_other(ranking.ids, other.ids)) is not None:
            found.append(_line(f"list {name}", *first))
        scores = {c.image_id: c.score for c in other.candidates}
        gaps = [
            abs(c.score - scores[c.image_id]) for c in ranking.candidates if c.image_id in scores
        ]
        if gaps and max(gaps) > SCORE:
            found.append(_line(f"scores of {name}", "as stored", f"up to {max(gaps):.2g} away"))
    gaps = [
        abs(j.yes_probability - now.judgements[i].yes_probability)
        for i, j in then.judgements.items()
        if i in now.judgements
    ]
    if gaps and max(gaps) > CHANCE:
        found.append(_line("P(Yes)", "as stored", f"up to {max(gaps):.2g} away"))
    if len(then.judgements) != len(now.judgements):
        found.append(_line("judged", len(then.judgements), len(now.judgements)))
    ids = [[r.image_id for r in result.reranked] for result in (then, now)]
    if (first := _first_other(ids[0], ids[1])) is not None:
        found.append(_line("re-ranked list", *first))
    if then.rationale != now.rationale:
        found.append(_line("rationale", _told(then), _told(now)))
    return found


def _told(result: SearchResult) -> str:
    said = result.rationale
    return "none" if said is None else f"{said.caption} / {said.reasoning} / {said.conclusion}"


def _unequal(
    what: str, then: Mapping[Any, object], now: Mapping[Any, object]
) -> Iterator[dict[str, str]]:
    for key in dict.fromkeys((*then, *now)):
        if then.get(key) != now.get(key):
            yield _line(f"{what} {key}", then.get(key, "none"), now.get(key, "none"))


def _first_other(then: Any, now: Any) -> tuple[str, str] | None:
    """Where two lists part: ("rank 3: a", "rank 3: b")."""
    for rank, (a, b) in enumerate(zip(then, now, strict=False), 1):
        if a != b:
            return f"rank {rank}: {a}", f"rank {rank}: {b}"
    return (f"{len(then)} long", f"{len(now)} long") if len(then) != len(now) else None
