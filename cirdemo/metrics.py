"""Metrics: pure functions on ids, ranked lists and numbers; every rate is in [0, 1].

A ranked list is best first. None of these functions sorts by score: the order, with its ties, is
decided once, in the gallery.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def recall_at_k(ranked: Sequence[str], targets: Collection[str], k: int) -> float:
    """1 if any target is among the first k, else 0 (with one target: CIRR's Recall@K)."""
    wanted = set(targets)
    return float(any(i in wanted for i in ranked[:k]))


def soft_recall_at_k(ranked: Sequence[str], labels: Mapping[str, float], k: int) -> float:
    """The highest label among the first k, at least 0: CIRR's Recall@K as its authors score.

    Source: CIRPLANT, eval_test_scoring_step_CIRR; a running maximum that starts at 0, so that
        negative labels never count.
    """
    return max([0.0, *(labels.get(i, 0.0) for i in ranked[:k])])


def recall_subset_at_k(
    ranked: Sequence[str],
    targets: Collection[str],
    subset: Collection[str],
    k: int,
    *,
    reference: str | None = None,
) -> float:
    """Recall@K after all but the subset has been left out of the list (CIRR's Recall_subset@K).

    Args:
        ranked: Ids, best first; must hold the whole subset for the value to be exact.
        targets: The right ids.
        subset: The group of look-alikes.
        k: How many of the subset count.
        reference: Left out as well; CIRR's groups contain it, so chance is 1/5 and not 1/6.
    """
    group = set(subset) - {reference}
    return recall_at_k([i for i in ranked if i in group], targets, k)


def average_precision_at_k(ranked: Sequence[str], targets: Collection[str], k: int) -> float:
    """CIRCO's AP@K: the sum of P(i) rel(i) over the first k, divided by min(|targets|, k).

    Raises:
        ValueError: An id is ranked twice, which would count it twice.
    """
    if len(set(ranked[:k])) != len(ranked[:k]):
        raise ValueError("a ranking names a picture twice")
    wanted = set(targets)
    if not wanted or k < 1:
        return 0.0
    hits, total = 0, 0.0
    for position, image_id in enumerate(ranked[:k], start=1):
        if image_id in wanted:
            hits += 1
            total += hits / position
    return total / min(len(wanted), k)


def auc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Area under the ROC curve: the chance that a positive outscores a negative, ties half.

    NaN where there is no positive or no negative.
    """
    values = np.asarray(scores, dtype=np.float64)
    positive = np.asarray(labels, dtype=bool)
    count = int(positive.sum())
    if count == 0 or count == len(positive):
        return float("nan")
    _, inverse, sizes = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2.0)[inverse]  # mid-ranks, from 1
    above = ranks[positive].sum() - count * (count + 1) / 2.0
    return float(above / (count * (len(positive) - count)))


def expected_calibration_error(
    probabilities: Sequence[float], labels: Sequence[bool], *, bins: int = 10
) -> float:
    """How far probabilities are from rates: the mean over equal-width bins, weighted by size.

    Bins are [0, 1/bins), ..., [1 - 1/bins, 1]; empty ones count nothing. NaN without any.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    y = np.asarray(labels, dtype=np.float64)
    if len(p) == 0:
        return float("nan")
    cell = np.minimum((p * bins).astype(int), bins - 1)
    gaps = [abs(float((p - y)[cell == b].sum())) for b in range(bins) if (cell == b).any()]
    return sum(gaps) / len(p)


def mean(values: Sequence[float]) -> float:
    """The plain mean; NaN of nothing."""
    return float(np.mean(values)) if len(values) else float("nan")


def bootstrap_interval(
    items: Sequence[T],
    statistic: Callable[[Sequence[T]], float] = mean,  # type: ignore[assignment]
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap over queries: resample whole queries, look at the middle `level`.

    Args:
        items: One entry a query: its metric, or whatever the statistic takes.
        statistic: From resampled entries to a number; the mean unless told.
        level: Share of the resamples between the two ends.
        resamples: How many.
        seed: Same seed, same interval.
    """
    if statistic is mean:
        values = np.asarray(items, dtype=np.float64)[:, None]  # (Q, 1)
        return middle(resampled_means(values, resamples=resamples, seed=seed)[:, 0], level=level)
    draws = _draws(len(items), resamples, seed)  # (R, Q)
    return middle([statistic([items[i] for i in row]) for row in draws], level=level)


def resampled_means(values: np.ndarray, *, resamples: int = 1000, seed: int = 0) -> np.ndarray:
    """Means (R, M) of values (Q, M) over R resamples of whole queries, for statistics of means."""
    if not len(values):
        return np.zeros((0, values.shape[1]))
    return np.asarray(values[_draws(len(values), resamples, seed)].mean(axis=1))


def middle(samples: Sequence[float] | np.ndarray, *, level: float = 0.95) -> tuple[float, float]:
    """The ends of the middle `level` of samples, those that are no number left out."""
    found = np.asarray(samples, dtype=np.float64)
    found = found[~np.isnan(found)]
    if not len(found):
        return (float("nan"), float("nan"))
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(found, [tail, 1.0 - tail])
    return (float(low), float(high))


def _draws(count: int, resamples: int, seed: int) -> np.ndarray:
    """Indices (R, Q) of resampled queries; none of nothing."""
    if not count:
        return np.zeros((0, 0), dtype=np.int64)
    return np.random.default_rng(seed).integers(0, count, size=(resamples, count))
