"""Two runs on the same queries, from their files: what moved, what was won, what was lost.

A is the earlier run (a coarse list, a baseline), B the later one (a re-ranked list, another
method). Ranks count from 1; a target that a file does not hold has none.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cirdemo import metrics
from cirdemo.evaluate import compare
from cirdemo.evaluate.aspects import aspects_of, source_of
from cirdemo.evaluate.errors import COARSE, INVERSION
from cirdemo.types import ImageId, Triplet

Lists = Mapping[str, Sequence[ImageId]]
BANDS = ((1, 1), (2, 5), (6, 10), (11, 50))  # of ranks; beyond and absent are one more
BEYOND = "beyond"
CUTS = (1, 5, 10, 50)
DOUBT = "annotation doubtful"
BELOW = "below a non-target"
BLAMES = (DOUBT, COARSE, INVERSION, BELOW)
FLOW = 10  # ranks of a query's flow that are kept
ASPECT_METRICS = ("R@1", "R@10", "mAP@10")


def analyse(
    triplets: Sequence[Triplet], a: Lists, b: Lists, *, leave_out: bool, seed: int = 0
) -> dict[str, Any]:
    """Everything that two runs' files say about each other.

    Args:
        triplets: The queries; without targets only the movement of the lists is told.
        a: The earlier run: query id -> picture ids, best first.
        b: The later one.
        leave_out: Whether a reference that is still in a list is left out of it (CIRR).
        seed: Of the bootstrap.

    Returns:
        {"queries", "lists": ..., and with targets also "metrics", "mcnemar", "pool", "flips",
        "bands", "blame", "aspects", "rows"}; rates in [0, 1].
    """
    cleaned = [
        {
            t.query_id: [i for i in lists[t.query_id] if not leave_out or i != t.reference_id]
            for t in triplets
        }
        for lists in (a, b)
    ]
    before, after = cleaned
    told: dict[str, Any] = {
        "queries": len(triplets),
        "lists": _lists([(before[t.query_id], after[t.query_id]) for t in triplets]),
    }
    if not any(t.target_ids for t in triplets):
        return told
    rows = [_row(t, before[t.query_id], after[t.query_id]) for t in triplets]
    paired = compare.compare(rows, seed=seed)
    told |= {
        "metrics": {name: _turned(found) for name, found in paired["metrics"].items()},
        "mcnemar": paired["mcnemar"],
        "verdict": compare.verdict(paired),
        "b_wins": paired["loss"],
        "ties": paired["tie"],
        "a_wins": paired["win"],
        "pool": _pool(rows),
        "flips": {f"@{k}": _flips(rows, k) for k in CUTS},
        "bands": _bands(rows),
        "blame": {name: sum(r["blame"] == name for r in rows) for name in BLAMES},
        "aspects_from": source_of(triplets),
        "aspects": _aspects(rows, seed),
        "rows": rows,
    }
    return told


def _turned(found: Mapping[str, Any]) -> dict[str, Any]:
    """B minus A, where `compare` says A minus B."""
    low, high = found["interval"]
    return {**found, "difference": found["b"] - found["a"], "interval": [-high, -low]}


# --- lists against lists --------------------------------------------------------------------


def _lists(pairs: Sequence[tuple[Sequence[ImageId], Sequence[ImageId]]]) -> dict[str, Any]:
    """How B orders what A found; needs no targets."""
    firsts = [(x.index(y[0]) + 1 if y[0] in x else None) for x, y in pairs if x and y]
    ranks = [r for r in firsts if r is not None]
    count = max(len(firsts), 1)
    return {
        "same_pictures": sum(set(x) == set(y) for x, y in pairs),
        "same_first": sum(r == 1 for r in firsts) / count,
        "first_from_beyond_10": sum(r is None or r > 10 for r in firsts) / count,
        "first_not_in_a": sum(r is None for r in firsts),
        "mean_rank_of_new_first": metrics.mean(ranks),
        "median_rank_of_new_first": float(np.median(ranks)) if ranks else math.nan,
        "mean_kendall_tau": metrics.mean([t for x, y in pairs if not math.isnan(t := tau(x, y))]),
    }


def tau(a: Sequence[ImageId], b: Sequence[ImageId]) -> float:
    """Kendall's tau over the pictures that both lists hold; NaN of fewer than two.

    Concordant minus discordant pairs over all pairs; lists have no ties.
    """
    place = {image_id: n for n, image_id in enumerate(a)}
    order = np.array([place[i] for i in b if i in place])  # (C,)
    count = len(order)
    if count < 2:
        return math.nan
    above = np.triu(order[:, None] < order[None, :], 1).sum()  # in the same order in both
    return float(4 * above / (count * (count - 1)) - 1)


# --- with targets ---------------------------------------------------------------------------


def _side(triplet: Triplet, ids: Sequence[ImageId]) -> dict[str, Any]:
    right = set(triplet.target_ids)
    rank = next((r for r, i in enumerate(ids, start=1) if i in right), None)
    side: dict[str, Any] = {"rank": rank, "first": ids[0] if ids else None}
    side |= {f"R@{k}": float(rank is not None and rank <= k) for k in CUTS}
    if len(right) > 1:
        side["mAP@10"] = metrics.average_precision_at_k(ids, right, 10)
    return side


def _row(triplet: Triplet, before: Sequence[ImageId], after: Sequence[ImageId]) -> dict[str, Any]:
    """One query: its sides, its blame, and where the first of B stood in A."""
    row: dict[str, Any] = {
        "query_id": triplet.query_id,
        "reference_id": triplet.reference_id,
        "modification": triplet.modification,
        "targets": list(triplet.target_ids),
        "aspects": list(aspects_of(triplet)),
        "a": _side(triplet, before),
        "b": _side(triplet, after),
        "flow": [[i, before.index(i) + 1 if i in before else None] for i in after[:FLOW]],
    }
    row["blame"] = blame(triplet, row)
    return row


def blame(triplet: Triplet, row: Mapping[str, Any]) -> str | None:
    """Why B does not have a target first; None where it has.

    Asked in this order: the first of B carries a positive soft label (annotation doubtful); no
    target is in A, so no order of A's pictures could help (coarse miss); A had it first (re-rank
    inversion); else another picture was put above it.
    """
    a, b = row["a"], row["b"]
    if b["rank"] == 1:
        return None
    if dict(triplet.soft_targets).get(str(b["first"]), 0.0) > 0:
        return DOUBT
    if a["rank"] is None:
        return COARSE
    return INVERSION if a["rank"] == 1 else BELOW


def _pool(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """What any order of A's first K could reach at rank 1, and how much of it B does."""
    return {
        "R@1 of A": metrics.mean([r["a"]["R@1"] for r in rows]),
        "R@1 of B": metrics.mean([r["b"]["R@1"] for r in rows]),
        **{f"ceiling of A's first {k}": metrics.mean([r["a"][f"R@{k}"] for r in rows])
           for k in CUTS[1:]},
        "ceiling of A's list": metrics.mean([float(r["a"]["rank"] is not None) for r in rows]),
    }  # fmt: skip


def _flips(rows: Sequence[Mapping[str, Any]], k: int) -> dict[str, Any]:
    """Queries whose target came within the first k (rescued) or fell out of it (lost)."""
    key = f"R@{k}"
    rescued = [r["query_id"] for r in rows if r["b"][key] > r["a"][key]]
    lost = [r["query_id"] for r in rows if r["b"][key] < r["a"][key]]
    return {"rescued": rescued, "lost": lost}


def band(rank: int | None) -> str:
    """'1', '2-5', '6-10', '11-50' or 'beyond'."""
    for low, high in BANDS:
        if rank is not None and low <= rank <= high:
            return f"{low}-{high}" if low < high else str(low)
    return BEYOND


def _bands(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """The rank flow of the targets: band in A -> band in B -> queries."""
    names = [*(band(low) for low, _ in BANDS), BEYOND]
    counts = Counter((band(r["a"]["rank"]), band(r["b"]["rank"])) for r in rows)
    return {x: {y: counts[x, y] for y in names} for x in names}


def _aspects(rows: Sequence[Mapping[str, Any]], seed: int) -> dict[str, dict[str, Any]]:
    """Means of both runs on the queries of each aspect, with the paired interval."""
    found: dict[str, dict[str, Any]] = {}
    for aspect in sorted({a for row in rows for a in row["aspects"]}):
        some = [r for r in rows if aspect in r["aspects"]]
        found[aspect] = {"queries": len(some)}
        for metric in ASPECT_METRICS:
            pairs = [(r["a"][metric], r["b"][metric]) for r in some if metric in r["a"]]
            if not pairs:
                continue
            both = np.array(pairs)  # (Q, 2)
            ends = compare.paired_bootstrap((both[:, 1] - both[:, 0])[:, None], seed=seed)[0]
            a, b = both.mean(0).tolist()
            told = {"a": a, "b": b, "difference": b - a, "interval": list(ends)}
            found[aspect][metric] = told | {"queries": len(pairs)}
    return found
