"""Rows into means, 95 % bootstrap intervals, and tables by kind and by phrasing."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cirdemo import metrics
from cirdemo.evaluate.rows import CUTS
from cirdemo.types import Evaluation

Row = Mapping[str, Any]
JUDGE_RESAMPLES = 200  # each sorts every judged candidate; 200 give the ends to ±1 %
GAP = "composition_gap"
GAP_METRIC = "R@10"
PHRASED = "R@1"  # what the tables by phrasing are of
JUDGE: dict[str, Callable[..., float]] = {
    "judge_AUC": metrics.auc,
    "judge_ECE": metrics.expected_calibration_error,
}


def is_metric(key: str) -> bool:
    """Whether a row's entry is a number to take the mean of."""
    return key.startswith(("R@", "R_subset@", "mAP@")) or key.endswith("_match")


def summarise(
    method: str,
    rows: Sequence[dict[str, Any]],
    baselines: Sequence[Sequence[Row]] = (),
    *,
    dataset: str,
    split: str,
    protocol: str,
    seconds: float = 0.0,
) -> Evaluation:
    """Means and intervals of a method's rows.

    Args:
        method: Its name.
        rows: One a query.
        baselines: Rows of the same queries under the methods that the gap is measured against.
        dataset: Whose queries.
        split: Which of them.
        protocol: How they were ranked.
        seconds: What the method has cost.
    """
    values = means_of(rows)
    ends = _intervals(rows, values)
    if baselines and GAP_METRIC in values:
        columns = [[float(r[GAP_METRIC]) for r in some] for some in (rows, *baselines)]
        table = np.array(columns).T  # (Q, 1 + baselines)
        values[GAP] = float(_gap(table.mean(0)))
        ends[GAP] = metrics.middle(_gap(metrics.resampled_means(table)))
    return Evaluation(
        method=method,
        dataset=dataset,
        split=split,
        protocol=protocol,
        means=values,
        rows=tuple(rows),
        interval=ends,
        seconds=seconds,
    )


def ties(rows: Sequence[Row]) -> dict[str, float]:
    """How many targets tie with others, and R@K if all of them came last or first.

    Rows of methods that give scores have `best` and `worst`, the ranks of the best target before
    and behind all that tie with it, if one is in the list; {} where no row has them.
    """
    if not any("worst" in row for row in rows):
        return {}
    ends = [(row.get("best", math.inf), row.get("worst", math.inf)) for row in rows]
    found: dict[str, float] = {"queries": sum(best < worst for best, worst in ends)}
    for k in CUTS:
        found[f"R@{k} lowest"] = metrics.mean([float(worst <= k) for _, worst in ends])
        found[f"R@{k} highest"] = metrics.mean([float(best <= k) for best, _ in ends])
    return found


def _gap(means: np.ndarray) -> np.ndarray:
    """The first of the means (..., 1 + B) minus the best of the others."""
    return np.asarray(means[..., 0] - means[..., 1:].max(-1))


def means_of(rows: Sequence[Row]) -> dict[str, float]:
    """Means of rows: their metrics, the share of true statements, the judge's AUC and ECE."""
    found: dict[str, float] = {}
    for key in dict.fromkeys(k for row in rows for k in row if is_metric(k)):
        found[key] = metrics.mean([float(row[key]) for row in rows if key in row])
    if any(row.get("statements") for row in rows):
        true, made = _statements(rows).sum(0)
        found["sentence_truth"] = float(true / made)
    if judged := _judged(rows):
        found |= {key: _pooled(judged, measure) for key, measure in JUDGE.items()}
    return found


def _intervals(rows: Sequence[Row], values: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    ends: dict[str, tuple[float, float]] = {}
    for key in values:
        if is_metric(key):
            some = [float(row[key]) for row in rows if key in row]
            ends[key] = metrics.bootstrap_interval(some)
        elif key == "sentence_truth":
            means = metrics.resampled_means(_statements(rows))  # (R, 2)
            ends[key] = metrics.middle(means[:, 0] / means[:, 1])
        else:
            statistic = functools.partial(_pooled, measure=JUDGE[key])
            ends[key] = metrics.bootstrap_interval(
                _judged(rows), statistic, resamples=JUDGE_RESAMPLES
            )
    return ends


def _statements(rows: Sequence[Row]) -> np.ndarray:
    """True statements and statements (Q, 2) of each row that has any."""
    told = [[ok for *_, ok in row["statements"]] for row in rows if row.get("statements")]
    return np.array([[sum(oks), len(oks)] for oks in told], dtype=np.float64)


def _judged(rows: Sequence[Row]) -> list[np.ndarray]:
    """P(Yes) and label (K, 2) of each row's candidates."""
    return [np.array(row["judged"], np.float64) for row in rows if row.get("judged")]


def _pooled(judged: Sequence[np.ndarray], measure: Callable[..., float]) -> float:
    """A measure of the judge over all judged candidates."""
    pairs = np.concatenate(list(judged))
    return measure(pairs[:, 0], pairs[:, 1])


def by_kind(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    """The means of each kind of modification, with how many queries they are of."""
    kinds: dict[str, list[Row]] = {}
    for row in evaluation.rows:
        if kind := row.get("kind"):
            kinds.setdefault(str(kind), []).append(row)
    return {kind: {"queries": len(rows), **means_of(rows)} for kind, rows in sorted(kinds.items())}


def by_phrasing(evaluation: Evaluation) -> dict[str, Any]:
    """R@1 on queries whose phrasing only test uses, against the others.

    Returns:
        {"seen", "unseen": means, "difference": unseen minus seen, "interval": its 95 % bootstrap
        interval, "queries": {"seen", "unseen"}}; empty where one of the two has no queries.
    """
    told = [row for row in evaluation.rows if row.get("phrasing") and PHRASED in row]
    unseen = np.array([row["phrasing"] == "unseen" for row in told], dtype=np.float64)  # (Q,)
    if not 0 < unseen.sum() < len(told):
        return {}
    hit = np.array([float(str(row[PHRASED])) for row in told])  # (Q,)
    table = np.stack([hit * (1 - unseen), 1 - unseen, hit * unseen, unseen], 1)  # (Q, 4)

    def rates(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return means[..., 0] / means[..., 1], means[..., 2] / means[..., 3]

    with np.errstate(invalid="ignore", divide="ignore"):  # a resample may lack one of the two
        seen, other = rates(metrics.resampled_means(table))
    before, after = rates(table.mean(0))
    return {
        "seen": float(before),
        "unseen": float(after),
        "difference": float(after - before),
        "interval": list(metrics.middle(other - seen)),
        "queries": {"seen": int((1 - unseen).sum()), "unseen": int(unseen.sum())},
    }
