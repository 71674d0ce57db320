"""Error analysis of SETR: for each query that it misses at rank 1, one stage to blame.

The stages are asked in the order in which they run, so that an error is blamed on the first stage
that could have prevented it. Of a query whose best target is not first:

1. description dropped a needed cue: the written intersection description lacks a phrase of the
   true one (a phrase that contradicts it takes its place), and with the true description in its
   stead the same retriever and the same judge rank a target higher.
2. coarse miss: no target is among the candidates that were judged.
3. re-rank inversion: a target was first in the coarse list and lost its place to the judge.
4. judge wrong: a target was judged, and another picture was given a higher P(Yes).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from cirdemo.describe import phrases

DESCRIPTION = "description dropped a needed cue"
COARSE = "coarse miss"
INVERSION = "re-rank inversion"
JUDGE = "judge wrong"
BLAMES = (DESCRIPTION, COARSE, INVERSION, JUDGE)
LAST = 10**9  # stands for a rank that does not exist


def lost_cues(written: str, truth: str) -> list[str]:
    """Phrases of the true description that the written one does not have."""
    left = Counter(phrases(written))
    lost = []
    for phrase in phrases(truth):
        if left[phrase]:
            left[phrase] -= 1
        else:
            lost.append(phrase)
    return lost


def blame(row: Mapping[str, Any]) -> str | None:
    """The stage to blame for a row of `setr`, or None where a target is first.

    Args:
        row: With "rank" and "coarse_rank" of the best target in either list (None where there is
            none), "judged" candidates in coarse order as (P(Yes), is a target), and, where the
            description lacks a cue, "rank_with_truth".
    """
    rank = row["rank"] or LAST
    if rank == 1:
        return None
    if "rank_with_truth" in row and (row["rank_with_truth"] or LAST) < rank:
        return DESCRIPTION
    if not any(right for _, right in row["judged"]):
        return COARSE
    return INVERSION if row["coarse_rank"] == 1 else JUDGE


def analyse(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Blames of the rows of `setr`: counts, counts by kind, and the list.

    Returns:
        {"queries", "missed", "counts": {blame: n}, "by_kind": {kind: {"queries", "missed",
        blame: n}}, "errors": [a missed query each]}.
    """
    errors = []
    kinds: dict[str, dict[str, int]] = {}
    for row in rows:
        kind = kinds.setdefault(str(row.get("kind", "")), {"queries": 0, "missed": 0})
        kind["queries"] += 1
        if (found := blame(row)) is not None:
            kind["missed"] += 1
            kind[found] = kind.get(found, 0) + 1
            errors.append(_error(row, found))
    counts = Counter(e["blame"] for e in errors)
    return {
        "queries": len(rows),
        "missed": len(errors),
        "counts": {name: counts[name] for name in BLAMES},
        "by_kind": dict(sorted(kinds.items())),
        "errors": errors,
    }


_SHOWN = ("query_id", "kind", "modification", "rank", "coarse_rank", "description", "truth")
_MORE = ("rank_with_truth", "target", "target_p", "first", "first_p")


def _error(row: Mapping[str, Any], found: str) -> dict[str, Any]:
    shown = {key: row[key] for key in (*_SHOWN, *_MORE) if key in row}
    lost = lost_cues(str(row.get("description", "")), str(row.get("truth", "")))
    return {"blame": found, **shown, "lost_cues": lost}


def table(report: Mapping[str, Any]) -> str:
    """An error analysis as Markdown: blames by kind."""
    lines = [
        "| kind | queries | missed | " + " | ".join(BLAMES) + " |",
        "|---" * (len(BLAMES) + 3) + "|",
    ]
    total = {"queries": report["queries"], "missed": report["missed"], **report["counts"]}
    for kind, counts in {**report["by_kind"], "all": total}.items():
        cells = [str(counts.get(key, 0)) for key in ("queries", "missed", *BLAMES)]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
