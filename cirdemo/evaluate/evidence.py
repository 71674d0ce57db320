"""Is the evidence any good? The judge's reasons and cues, and the support of rationales.

Everything is checked against the records of a drawn dataset.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cirdemo import metrics
from cirdemo.data.drawn import fables, statements, wardrobe
from cirdemo.explain.support import SURE, Support, supports
from cirdemo.types import BadInput, CirError, Query, Rationale, Triplet
from cirdemo.words import MEANINGLESS, phrases

if TYPE_CHECKING:
    from cirdemo.engine import Engine

Progress = Callable[[str, int, int], None]
COUNT = 100  # queries, evenly over the split
BENT = 7  # queries on: whose caption lends the false phrase
PLAIN = "plain"
COLOURS = {"fables": fables.COATS, "wardrobe": wardrobe.COLOURS}


def evidence(
    engine: Engine,
    dataset_name: str,
    split: str = "val",
    limit: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """How true what the judge and the reasoner say for themselves is.

    Args:
        engine: With the judge and the reasoner.
        dataset_name: A drawn dataset: truth is read off its records.
        split: Whose queries.
        limit: How many of them, evenly over the split; `COUNT` unless given.
        progress: Told how many queries are done.

    Returns:
        JSON-ready. `why`, over hard negatives that the judge refuses: `cue_hit`, the share whose
        phrase of the lowest P(Yes) is not true of the picture, beside `cue_chance`, the share for
        a phrase at random; `reason_true`, the share of the parts of written reasons that say
        what the records say. `support`: areas under the ROC curve (`auc`) of its score, with
        numbers of pieces and of false ones and the shares of true and of false ones that the page
        greys out (`flagged_of_true`, `flagged_of_false`), for caption phrases as written
        (`caption`), with one false phrase put in (`caption_bent`), and for phrases of the
        conclusion. `handwritten`, over captions in which a colour was replaced by hand: `followed`,
        the share whose conclusion is the true one of a picture of that colour.

    Raises:
        CirError: The dataset has no records.
        BadInput: `limit` is below 1.
    """
    dataset: Any = engine.dataset(dataset_name)
    if not hasattr(dataset, "record"):
        raise CirError(f"Dataset {dataset_name!r} has no records; use fables or wardrobe.")
    if limit is not None and limit < 1:
        raise BadInput(f"limit must be at least 1, got {limit}.")
    every = dataset.triplets(split)
    count = min(limit or COUNT, len(every))
    chosen = [every[round(n)] for n in np.linspace(0, len(every) - 1, count)]
    shelf, rng = engine.gallery(dataset_name), random.Random(0)
    queries = [
        Query(
            query_id=t.query_id,
            reference=shelf.image(t.reference_id),
            modification=t.modification,
            reference_id=t.reference_id,
        )
        for t in chosen
    ]
    composer: Any = engine.composer("cot")
    said: list[Rationale] = []
    whys: list[dict[str, Any]] = []
    for n, (triplet, query) in enumerate(zip(chosen, queries, strict=True)):
        said.append(composer.compose(query).rationale)
        if row := _why(engine, dataset, shelf, triplet, query, rng):
            whys.append(row)
        if progress:
            progress("queries", n + 1, 2 * count)
    handed: list[float] = []
    pieces: dict[str, list[tuple[float, bool]]] = {"caption": [], "caption_bent": []}
    pieces["conclusion"] = []
    for n, (triplet, query) in enumerate(zip(chosen, queries, strict=True)):
        reference, target = (
            dataset.record(i)["record"] for i in (triplet.reference_id, triplet.target_ids[0])
        )
        true = statements.true_rationale(dataset_name, reference, target, triplet.intersection)
        own = dataset.caption(triplet.reference_id), triplet.conclusion or triplet.intersection
        if (follows := _handed(composer, query, *own, COLOURS[dataset_name], rng)) is not None:
            handed.append(float(follows))
        bent = _bend(said[n], said[(n + BENT) % count], true, rng)
        for name, rationale in (("caption", said[n]), ("caption_bent", bent)):
            if rationale is None:
                continue
            found = supports(
                rationale,
                query.modification,
                lambda answer, query=query: composer.certainty(query, answer),  # type: ignore[misc]
            )
            pieces[name] += _labelled(found, "caption", true.caption)
            if name == "caption":
                pieces["conclusion"] += _labelled(found, "conclusion", true.conclusion)
        if progress:
            progress("queries", count + n + 1, 2 * count)
    return {
        "dataset": dataset_name,
        "split": split,
        "queries": count,
        "why": _mean_whys(whys),
        "support": {name: _auc(pairs) for name, pairs in pieces.items()},
        "handwritten": {
            "queries": len(handed),
            "followed": metrics.mean(handed) if handed else float("nan"),
            "interval": list(metrics.bootstrap_interval(handed)) if handed else [],
        },
    }


def _why(
    engine: Engine, dataset: Any, shelf: Any, triplet: Triplet, query: Query, rng: random.Random
) -> dict[str, Any] | None:
    """One hard negative of a query, where the judge refuses it and some phrase is not true."""
    right = (*triplet.target_ids, triplet.reference_id)
    others = [i for i in triplet.subset_ids if i not in right]
    if not others:
        return None
    shown = rng.choice(others)
    judge: Any = engine.parts.judge.get()
    why = judge.why(query, shown, shelf.image(shown), triplet.intersection)
    caption = dataset.caption(shown)
    false = [not _said(phrase, caption) for phrase, _ in why.cues]
    if why.judgement.yes_probability >= 0.5 or all(false) or not any(false):
        return None
    lowest = min(range(len(false)), key=lambda i: why.cues[i][1])
    target = dataset.caption(triplet.target_ids[0])
    parts = [p for p in why.reason.split(" and ") if p]
    true = [_differs(part, caption, target) for part in parts]
    return {"hit": false[lowest], "chance": sum(false) / len(false), "parts": true}


def _said(phrase: str, caption: str) -> bool:
    words = set(phrase.split()) - MEANINGLESS
    return any(words <= set(other.split()) for other in phrases(caption))


def _differs(part: str, shown: str, wanted: str) -> bool:
    """Whether 'brown not white' is so: the one stands in the one caption, the other in the other.

    "plain" is an attribute that is not there, which no caption of a scene names.
    """
    has, _, lacks = part.partition(" not ")
    return all(
        word == PLAIN or any(w.startswith(word.rstrip("s")) for w in caption.split())
        for word, caption in ((has, shown), (lacks, wanted))
    )


def _bend(
    own: Rationale, other: Rationale, true: Rationale, rng: random.Random
) -> Rationale | None:
    """A rationale whose caption holds a phrase of another picture's in place of one of its own."""
    mine, known = phrases(own.caption), set(phrases(true.caption))
    strange = [p for p in phrases(other.caption) if p not in known]
    if not strange or not mine:
        return None
    mine[rng.randrange(len(mine))] = rng.choice(strange)
    return Rationale(caption=" ".join(mine), reasoning=own.reasoning, conclusion=own.conclusion)


def _handed(
    composer: Any,
    query: Query,
    caption: str,
    conclusion: str,
    colours: Sequence[str],
    rng: random.Random,
) -> bool | None:
    """Whether the conclusion follows a caption written by hand; None where no colour is kept."""
    words, kept = f"{caption} {conclusion} {query.modification}".split(), set(conclusion.split())
    colours = [c for c in colours if c != "orange"]  # the one that changes its article
    old = [c for c in colours if c in kept & set(caption.split()) - set(query.modification.split())]
    new = [c for c in colours if c not in words]
    if not old or not new:
        return None
    there, here = rng.choice(old), rng.choice(new)

    def recoloured(text: str) -> str:
        return " ".join(here if word == there else word for word in text.split())

    written = Rationale(caption=recoloured(caption), reasoning="", conclusion="")
    *_, answer = composer.stream(query, written)
    return bool(answer.rationale.conclusion.strip() == recoloured(conclusion))


def _labelled(found: Sequence[Support], step: str, true: str) -> list[tuple[float, bool]]:
    known = set(phrases(true))
    return [(s.score, " ".join(s.text.lower().split()) in known) for s in found if s.step == step]


def _auc(pairs: Sequence[tuple[float, bool]]) -> Mapping[str, float]:
    scores, labels = [s for s, _ in pairs], [t for _, t in pairs]
    both = any(labels) and not all(labels)
    flagged = {t: [float(s < SURE) for s, truth in pairs if truth is t] for t in (True, False)}
    return {
        "flagged_of_true": metrics.mean(flagged[True]) if flagged[True] else float("nan"),
        "flagged_of_false": metrics.mean(flagged[False]) if flagged[False] else float("nan"),
        "auc": metrics.auc(scores, labels) if both else float("nan"),
        "pieces": len(pairs),
        "false": labels.count(False),
    }


def _mean_whys(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    hits = [float(row["hit"]) for row in rows]
    parts = [float(true) for row in rows for true in row["parts"]]
    nan = float("nan")
    return {
        "refused": len(rows),
        "cue_hit": metrics.mean(hits) if hits else nan,
        "cue_chance": metrics.mean([row["chance"] for row in rows]) if rows else nan,
        "cue_hit_interval": list(metrics.bootstrap_interval(hits)) if hits else [],
        "reason_parts": len(parts),
        "reason_true": metrics.mean(parts) if parts else nan,
    }
