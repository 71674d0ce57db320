"""Two settings on the same queries, as numbers: wins, paired intervals and an exact test.

Pure functions on the rows of `duel`: each row holds a query's outcome under both settings, as
"a" and "b". A difference is A minus B; a win is A's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from cirdemo import metrics

Row = Mapping[str, Any]
Outcome = Literal["win", "tie", "loss"]
OUTCOMES: tuple[Outcome, ...] = ("win", "tie", "loss")
NAMES: dict[str, str] = {"win": "A wins", "tie": "tied", "loss": "B wins"}
LEVEL = 0.05  # a p below it is called a difference


def _reciprocal(side: Row) -> float:
    """1 / rank of the best target, 0 where none is in the list."""
    return 1.0 / side["rank"] if side["rank"] else 0.0


METRICS: dict[str, Callable[[Row], float]] = {
    "R@1": lambda side: float(side["R@1"]),
    "R@10": lambda side: float(side["R@10"]),
    "MRR": _reciprocal,
}


def outcome(row: Row) -> Outcome:
    """Whose best target stands higher; a target that is not in a list stands below all."""
    a, b = (row[side]["rank"] or math.inf for side in ("a", "b"))
    return "tie" if a == b else "win" if a < b else "loss"


def tally(rows: Sequence[Row]) -> dict[Outcome, int]:
    """How many rows A wins, ties and loses."""
    found = [outcome(row) for row in rows]
    return {name: found.count(name) for name in OUTCOMES}


def gain(row: Row) -> float:
    """How far apart the two ranks are, in doublings: 1 against 8 is 3; positive is A's gain.

    Ranks count by their ratio: 1 against 5 is more than 101 against 105.
    """
    a, b = (row[side]["rank"] or math.inf for side in ("a", "b"))
    if a == b:
        return 0.0
    return math.log2(b / a) if math.isfinite(a) else -math.inf


def table(rows: Sequence[Row]) -> np.ndarray:
    """Each metric under both settings, as (Q, M, 2)."""
    cells = [[[of(row["a"]), of(row["b"])] for of in METRICS.values()] for row in rows]
    return np.array(cells, dtype=np.float64).reshape(len(rows), len(METRICS), 2)


def paired_bootstrap(
    differences: np.ndarray, *, resamples: int = 2000, seed: int = 0, level: float = 0.95
) -> list[tuple[float, float]]:
    """Percentile intervals of the mean differences (Q, M), whole queries resampled.

    Both settings meet the same queries in every resample, so what makes a query hard for both
    cancels out; an interval of each setting alone would be too wide to compare them by.
    """
    means = metrics.resampled_means(differences, resamples=resamples, seed=seed)  # (R, M)
    return [metrics.middle(column, level=level) for column in means.T]


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact two-sided p of McNemar's test: the queries that one setting alone gets right.

    If the two were equally good, each such query would be a fair coin; p is the chance of a split
    at least as uneven. 1 where there is no such query.

    Source: McNemar, 1947; the exact binomial form, no continuity correction.

    Raises:
        ValueError: A count is negative.
    """
    if only_a < 0 or only_b < 0:
        raise ValueError(f"counts cannot be negative: {only_a}, {only_b}")
    tosses = only_a + only_b
    fewer = sum(math.comb(tosses, k) for k in range(min(only_a, only_b) + 1))
    p: float = 2 * fewer / 2**tosses  # whole numbers until here: exact for any count
    return min(1.0, p)


def compare(rows: Sequence[Row], *, seed: int = 0) -> dict[str, Any]:
    """What two settings' rows say.

    Returns:
        {"queries", "win", "tie", "loss", "metrics": {NAME: {"a", "b", "difference", "interval"}},
        "mcnemar": {"both", "only_a", "only_b", "neither", "p"}}; rates in [0, 1].
    """
    cells = table(rows)  # (Q, M, 2)
    differences = cells[..., 0] - cells[..., 1]  # (Q, M)
    ends = paired_bootstrap(differences, seed=seed) or [(math.nan, math.nan)] * len(METRICS)
    measured = {}
    for at, name in enumerate(METRICS):
        a, b = (metrics.mean(cells[:, at, side].tolist()) for side in (0, 1))
        measured[name] = {"a": a, "b": b, "difference": a - b, "interval": list(ends[at])}
    first = cells[:, list(METRICS).index("R@1")].astype(bool)  # (Q, 2)
    right, other = first[:, 0], first[:, 1]
    counts = {
        "both": right & other,
        "only_a": right & ~other,
        "only_b": other & ~right,
        "neither": ~right & ~other,
    }
    split = {name: int(where.sum()) for name, where in counts.items()}
    return {
        "queries": len(rows),
        **{str(name): count for name, count in tally(rows).items()},
        "metrics": measured,
        "mcnemar": {**split, "p": mcnemar(split["only_a"], split["only_b"])},
    }


def verdict(summary: Mapping[str, Any]) -> str:
    """One sentence: is there a difference at rank 1, and how sure is that?"""
    if not summary["queries"]:
        return "No query has been compared yet."
    test = summary["mcnemar"]
    alone = test["only_a"] + test["only_b"]
    if not alone:
        return "Both put a target first on the same queries: no difference at rank 1."
    p = test["p"]
    told = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    head = f"{alone} queries are right at rank 1 under one setting alone"
    split = f"{test['only_a']} under A, {test['only_b']} under B; McNemar {told}"
    if p < LEVEL:
        better = "A" if test["only_a"] > test["only_b"] else "B"
        return f"{better} is better at rank 1: {head} ({split})."
    return f"The two cannot be told apart at rank 1 with so few queries: {head} ({split})."
