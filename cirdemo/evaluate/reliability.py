"""What the judge's probabilities are worth: bins, scores, thresholds, and a temperature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cirdemo import metrics
from cirdemo.evaluate.packed import Cases
from cirdemo.rerank import Calibration

BINS = 10  # of equal width, as of the expected calibration error
STEPS = 200  # thresholds of the sweep
Z = 1.96  # of a 95 % interval


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """Judged candidates: margins before any calibration (N,), whether each is a target (N,)."""

    raw: np.ndarray
    right: np.ndarray
    kinds: np.ndarray  # (N,) the query's kind
    temperature: float = 1.0  # that the evaluation divided by

    def probabilities(self, temperature: float) -> np.ndarray:
        """P(Yes) (N,) under a temperature."""
        scaled = np.clip(self.raw / temperature, -700, 700)
        return np.asarray(1 / (1 + np.exp(-scaled)))

    def of(self, kind: str) -> Judged:
        """The candidates of one kind of query."""
        some = self.kinds == kind
        return Judged(
            raw=self.raw[some],
            right=self.right[some],
            kinds=self.kinds[some],
            temperature=self.temperature,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Candidates of about the same P(Yes)."""

    count: int
    said: float  # their mean P(Yes)
    true: float  # their share of targets
    low: float  # 95 % interval of that share, after Wilson
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How good probabilities are, over all candidates; NaN where it is not defined."""

    count: int
    targets: int
    ece: float  # expected calibration error, 10 bins of equal width
    brier: float  # mean squared error
    log_loss: float  # nats
    auc: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What "yes from this P(Yes) on" gives; NaN where nothing is said yes to."""

    threshold: float
    yes: int
    hits: int
    precision: float
    recall: float
    f1: float


def judged(cases: Cases) -> Judged | None:
    """The judged candidates of an evaluation, or None where nothing was judged.

    Margins that were shifted to a known share of targets cannot be read back as one temperature's.
    """
    if not any(c.margins for c in cases.cases) or cases.prior is not None:
        return None
    pairs = cases.judged
    return Judged(
        raw=np.array([m for m, _ in pairs]) * cases.temperature,
        right=np.array([ok for _, ok in pairs], dtype=bool),
        kinds=np.array([c.kind for c in cases.cases for _ in c.margins]),
        temperature=cases.temperature,
    )


def wilson(rates: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % intervals of rates (B,), after Wilson (1927): never outside [0, 1]."""
    centre = (rates + Z * Z / (2 * counts)) / (1 + Z * Z / counts)
    half = Z * np.sqrt(rates * (1 - rates) / counts + Z * Z / (4 * counts**2))
    half /= 1 + Z * Z / counts
    return np.minimum(centre - half, rates), np.maximum(centre + half, rates)


def bins(p: np.ndarray, right: np.ndarray) -> list[Bin]:
    """The reliability curve; bins without candidates are left out."""
    cell = np.minimum((p * BINS).astype(int), BINS - 1)
    counts = np.bincount(cell, minlength=BINS)
    used = counts > 0
    said = np.bincount(cell, p, BINS)[used] / counts[used]
    true = np.bincount(cell, right, BINS)[used] / counts[used]
    low, high = wilson(true, counts[used])
    return [
        Bin(count=int(n), said=float(s), true=float(t), low=float(a), high=float(b))
        for n, s, t, a, b in zip(counts[used], said, true, low, high, strict=True)
    ]


def scores(p: np.ndarray, right: np.ndarray) -> Scores:
    """ECE, Brier, log loss and AUC of probabilities."""
    y = right.astype(np.float64)
    sure = np.clip(p, 1e-12, 1 - 1e-12)
    loss = -(y * np.log(sure) + (1 - y) * np.log(1 - sure))
    return Scores(
        count=len(p),
        targets=int(right.sum()),
        ece=metrics.expected_calibration_error(p.tolist(), right.tolist()),
        brier=float(np.mean((p - y) ** 2)) if len(p) else float("nan"),
        log_loss=float(loss.mean()) if len(p) else float("nan"),
        auc=metrics.auc(p.tolist(), right.tolist()),
    )


def at(p: np.ndarray, right: np.ndarray, threshold: float) -> Verdict:
    """Precision, recall and F1 when every candidate from a P(Yes) on counts as found."""
    yes = p >= threshold
    said, hits, targets = int(yes.sum()), int((yes & right).sum()), int(right.sum())
    return _verdict(threshold, said, hits, targets)


def _verdict(threshold: float, said: int, hits: int, targets: int) -> Verdict:
    nan = float("nan")
    return Verdict(
        threshold=threshold,
        yes=said,
        hits=hits,
        precision=hits / said if said else nan,
        recall=hits / targets if targets else nan,
        f1=2 * hits / (said + targets) if said + targets else nan,
    )


def sweep(p: np.ndarray, right: np.ndarray) -> list[Verdict]:
    """`at` for thresholds from 0 to 1."""
    ends = np.linspace(0, 1, STEPS + 1)
    every, hits = np.sort(p), np.sort(p[right])
    said = len(every) - np.searchsorted(every, ends)
    found = len(hits) - np.searchsorted(hits, ends)
    return [
        _verdict(float(t), int(s), int(h), len(hits))
        for t, s, h in zip(ends, said, found, strict=True)
    ]


def best(swept: Sequence[Verdict]) -> Verdict:
    """The threshold with the highest F1, the lowest such one; NaN never wins."""
    return max(swept, key=lambda v: v.f1 if v.f1 == v.f1 else -1.0)


def fit(found: Judged) -> Calibration | None:
    """The temperature that fits these candidates best; None without targets or without others."""
    if not 0 < found.right.sum() < len(found.right):
        return None
    return Calibration.fit(found.raw.tolist(), found.right.tolist())
