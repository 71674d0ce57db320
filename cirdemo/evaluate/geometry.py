"""How the vectors of pictures and texts lie in one space, and what that does to their sum.

Encoders that were trained by contrast put pictures into one narrow cone and texts into another
(Liang et al., Mind the Gap, 2022). Two pictures are then nearer to each other than any picture is
to its text, so that a plain sum of both is ruled by the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

SPREAD = 2_000  # rows, evenly taken, whose pairs give least, most and percentiles
QUERIES = 200  # pictures with a text each, whose lists are compared
FIRST = 10  # pictures of a list that are compared
WEIGHTS = tuple(round(0.05 * n, 2) for n in range(21))  # of the text in the sum
STEP = 20  # queries scored at a time: 20 x N float32 in memory, a few times


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosines:
    """Cosines of pairs; the mean is of all pairs, the rest of at most `SPREAD` rows a side."""

    mean: float
    least: float
    low: float  # the 5 % percentile
    high: float  # the 95 % percentile
    most: float


def within(rows: np.ndarray) -> Cosines | None:
    """Cosines of different rows (N, D) of unit norm; None where there is no pair."""
    count = len(rows)
    if count < 2:
        return None
    total = float(np.square(rows.sum(0, dtype=np.float64)).sum())
    norms = float(np.square(rows, dtype=np.float64).sum())
    some = _even(rows, SPREAD)
    pairs = (some @ some.T)[np.triu_indices(len(some), 1)]
    return _cosines((total - norms) / (count * (count - 1)), pairs)


def between(some: np.ndarray, others: np.ndarray) -> Cosines:
    """Cosines of the rows (N, D) with the rows (M, D), all of unit norm."""
    mean = float(some.mean(0, dtype=np.float64) @ others.mean(0, dtype=np.float64))
    return _cosines(mean, (_even(some, SPREAD) @ _even(others, SPREAD).T).ravel())


def gap(some: np.ndarray, others: np.ndarray) -> float:
    """The modality gap: distance between the mean rows (N, D) and (M, D) (Liang et al., 2022)."""
    away = some.mean(0, dtype=np.float64) - others.mean(0, dtype=np.float64)
    return float(np.linalg.norm(away))


def mixed(
    pictures: np.ndarray, texts: np.ndarray, references: Sequence[int] | None = None
) -> dict[str, Any] | None:
    """Of which side the first pictures of the sum are, by the weight of the text.

    Args:
        pictures: (N, D) the gallery, unit norm.
        texts: (T, D) the texts, unit norm.
        references: Row of the picture that goes with each text, and is left out of its list;
            any picture, fixed by a seed, unless given.

    Returns:
        {"queries", "first", "chance", "weights": [{"text", "of_picture", "of_text"}], "level"}:
        the shares of the first pictures by picture alone and by text alone that are among the
        first of the sum; `chance` is that of an arbitrary list; `level` is the weight of the text
        where the two shares are equal, None where they never are. None for fewer than 21 pictures.
    """
    if len(pictures) < 2 * FIRST + 1 or not len(texts):
        return None
    asked = np.unique(np.linspace(0, len(texts) - 1, min(QUERIES, len(texts))).astype(int))
    if references is None:
        random = np.random.default_rng(0)
        rows = random.permutation(len(pictures))[np.arange(len(asked)) % len(pictures)]
    else:
        rows = np.asarray(references)[asked]
    shares = np.zeros((len(WEIGHTS), 2))
    for start in range(0, len(asked), STEP):
        mine, own = asked[start : start + STEP], rows[start : start + STEP]
        alike, said = pictures[own] @ pictures.T, texts[mine] @ pictures.T  # (Q, N)
        at = np.arange(len(own))
        alike[at, own] = said[at, own] = -np.inf
        sides = [_first(alike), _first(said)]
        for n, weight in enumerate(WEIGHTS):
            scores = said if weight == 1 else alike if weight == 0 else None
            if scores is None:  # -inf stays what it is; times 0 it would be no number
                scores = (1 - weight) * alike + weight * said
            found = _first(scores)
            shares[n] += [_in_both(found, side) for side in sides]
    shares /= len(asked) * FIRST
    return {
        "queries": len(asked),
        "first": FIRST,
        "chance": FIRST / (len(pictures) - 1),
        "weights": [
            {"text": weight, "of_picture": float(a), "of_text": float(b)}
            for weight, (a, b) in zip(WEIGHTS, shares, strict=True)
        ],
        "level": _level(shares[:, 1] - shares[:, 0]),
    }


def geometry(
    pictures: np.ndarray | None,
    texts: np.ndarray | None,
    references: Sequence[int] | None = None,
) -> dict[str, Any]:
    """All of the above of what is given: (N, D) pictures, (T, D) texts, unit norm."""
    told: dict[str, Any] = {}
    for name, rows in (("pictures", pictures), ("texts", texts)):
        if rows is not None:
            found = within(rows)
            told[name] = {
                "count": len(rows),
                "dim": rows.shape[1],
                "cosine": asdict(found) if found else None,
            }
    if pictures is not None and texts is not None:
        told["between"] = {"cosine": asdict(between(pictures, texts)), "gap": gap(pictures, texts)}
        told["sum"] = mixed(pictures, texts, references)
    return told


def _even(rows: np.ndarray, most: int) -> np.ndarray:
    if len(rows) <= most:
        return rows
    return np.asarray(rows[np.linspace(0, len(rows) - 1, most).astype(int)])


def _cosines(mean: float, pairs: np.ndarray) -> Cosines:
    least, low, high, most = np.percentile(pairs, (0, 5, 95, 100))
    return Cosines(
        mean=mean, least=float(least), low=float(low), high=float(high), most=float(most)
    )


def _first(scores: np.ndarray) -> np.ndarray:
    """The best rows of each query: (Q, FIRST), in no order."""
    return np.argpartition(-scores, FIRST - 1, axis=1)[:, :FIRST]


def _in_both(some: np.ndarray, others: np.ndarray) -> int:
    return sum(len(np.intersect1d(a, b)) for a, b in zip(some, others, strict=True))


def _level(ahead: np.ndarray) -> float | None:
    """The weight at which the text's lead (W,) turns from minus to plus, between two of them."""
    for n in range(1, len(ahead)):
        if ahead[n - 1] < 0 <= ahead[n]:
            part = ahead[n - 1] / (ahead[n - 1] - ahead[n])
            return float(WEIGHTS[n - 1] + part * (WEIGHTS[n] - WEIGHTS[n - 1]))
    return None
