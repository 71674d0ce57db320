"""A benchmark measured on captions of its pictures: no picture, no model hub, a minute at most.

Every method scores all captioned pictures from two queries, the modification text and the
reference's captions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cirdemo import metrics
from cirdemo.evaluate.caption_search import METHODS, Captioned, Search
from cirdemo.evaluate.measurement import PROTOCOLS, Report
from cirdemo.evaluate.summary import summarise
from cirdemo.registry import unknown
from cirdemo.types import Encoder

BASELINES = ("text", "caption")  # what the composition gap is measured against
Progress = Callable[[str, int, int], None]


def measure(
    data: Captioned,
    methods: Sequence[str],
    *,
    protocol: str = "reference-excluded",
    encoder: Callable[[], Encoder] | None = None,
    progress: Progress | None = None,
) -> tuple[Report, dict[str, Any]]:
    """Methods on a captioned split.

    Args:
        data: What is searched.
        methods: Names of `METHODS`.
        protocol: reference-excluded (CIRR) or reference-kept (CIRCO, FashionIQ).
        encoder: Makes the text encoder of the method dense.
        progress: Told what is being done.

    Returns:
        The report, and by method what is beside its means: {"soft", "weights"}.

    Raises:
        UnknownName: There is no such method or protocol.
        BadInput: dense was asked for and there is no encoder.
    """
    for name in methods:
        if name not in METHODS:
            raise unknown("method on captions", name, METHODS)
    if protocol not in PROTOCOLS:
        raise unknown("protocol", protocol, PROTOCOLS)
    search = Search(data, leave_out=PROTOCOLS[protocol], encoder=encoder)
    rows: dict[str, list[dict[str, Any]]] = {}
    beside: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    asked = [*dict.fromkeys(methods)]
    needed = [*asked, *(b for b in BASELINES if b not in asked)]  # the gap is against these
    for number, name in enumerate(needed, 1):
        start = time.perf_counter()
        rows[name], weights = search.rows(name)
        seconds[name] = time.perf_counter() - start
        beside[name] = {"soft": soft(rows[name])}
        if weights:
            beside[name]["weights"] = {f"half {n}": w for n, w in enumerate(weights, 1)}
        if progress:
            progress("methods", number, len(needed))
    found = [
        summarise(
            name,
            rows[name],
            [rows[b] for b in BASELINES],
            dataset=data.dataset,
            split=data.split,
            protocol=protocol,
            seconds=seconds[name],
        )
        for name in asked
    ]
    report = Report(
        evaluations=tuple(found),
        seconds=sum(seconds.values()),
        queries=data.triplets,
        planned=len(data.triplets),
        models=search.models,
    )
    return report, {name: beside[name] for name in asked}


def soft(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Means of the soft-label recalls, ties by id; {} where nothing has soft labels."""
    some = [row["soft"] for row in rows if "soft" in row]
    return {k: metrics.mean([s[k] for s in some]) for k in (some[0] if some else ())}
