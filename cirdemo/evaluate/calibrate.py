"""`calibrate`: what the judge's margins mean, fitted on validation queries only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cirdemo import metrics
from cirdemo.evaluate import evaluate
from cirdemo.rerank import Calibration
from cirdemo.types import BadInput

if TYPE_CHECKING:
    from cirdemo.engine import Engine

SPLIT = "val"
CERTAIN = 1e-12  # probabilities nearer to 0 or 1 have lost their margin


def calibrate(
    engine: Engine, datasets: Sequence[str], out: Path, *, limit: int | None = None
) -> dict[str, Any]:
    """Judge the candidates of validation queries, fit a `Calibration`, write it beside the judge.

    Args:
        engine: With the judge, under whatever calibration it has by now.
        datasets: Each with a split `val`.
        out: The judge's folder.
        limit: Only the first so many queries of each.

    Returns:
        The calibration, what it was fitted on, and the expected calibration error before, after
        the temperature, and with the true share of targets told.

    Raises:
        BadInput: The engine's judge corrects to a prior, so its margins cannot be read back.
    """
    judge: Any = engine.parts.judge.get()
    if judge.prior is not None:
        raise BadInput("Unset CIRDEMO_JUDGE_PRIOR: it would be fitted into the calibration.")
    pairs = [
        pair
        for name in datasets
        for result in evaluate(engine, name, SPLIT, ["setr"], limit, captions=False)
        if result.method == "setr"
        for row in result.rows
        for pair in row["judged"]  # type: ignore[attr-defined]
    ]
    labels = [bool(truth) for _, truth in pairs]
    raw = [_margin(p) * judge.calibration.temperature for p, _ in pairs]
    found = Calibration.fit(raw, labels)
    rate = metrics.mean([float(truth) for truth in labels])
    facts = {
        "split": SPLIT,
        "datasets": list(datasets),
        "candidates": len(pairs),
        "targets": sum(labels),
        "ece_before": _ece([_p(m) for m in raw], labels),
        "ece": _ece([_p(found.margin(m)) for m in raw], labels),
        "ece_with_prior": _ece([_p(found.margin(m, rate)) for m in raw], labels),
    }
    found.save(out, **facts)
    return {
        "temperature": found.temperature,
        "prior_temperature": found.prior_temperature,
        "rate": found.rate,
        **facts,
    }


def _margin(probability: float) -> float:
    p = min(max(probability, CERTAIN), 1 - CERTAIN)
    return math.log(p / (1 - p))


def _p(margin: float) -> float:
    return 1 / (1 + math.exp(-margin))


def _ece(probabilities: Sequence[float], labels: Sequence[bool]) -> float:
    return round(metrics.expected_calibration_error(probabilities, labels), 5)
