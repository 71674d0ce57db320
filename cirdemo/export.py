"""Records as JSON objects and Markdown: the shapes of the command-line contract."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cirdemo.evaluate import Report, by_kind, by_phrasing
from cirdemo.evaluate.errors import analyse
from cirdemo.evaluate.summary import ties
from cirdemo.evaluate.tables import blocks_markdown, markdown
from cirdemo.types import BadInput, Evaluation, Ranking, SearchResult

__all__ = [
    "blocks_markdown",
    "evaluation_json",
    "fill_readme",
    "finite",
    "markdown",
    "report_json",
    "search_json",
]


def finite(value: Any) -> Any:
    """The value with null for NaN and infinities, which JSON does not have, and plain types."""
    if isinstance(value, Mapping):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    if hasattr(value, "item"):  # a numpy scalar
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def search_json(result: SearchResult, *, top: int | None = None) -> dict[str, Any]:
    """A search result as the `search --json` object; coarse lists cut to `top`."""
    query, thought = result.query, result.rationale
    answer: dict[str, Any] = {
        "query": {
            "query_id": query.query_id,
            "modification": query.modification,
            "reference_id": query.reference_id,
        },
        "descriptions": {
            mode: {
                "text": d.text,
                "cues": [{"text": c.text, "status": c.status} for c in d.cues],
                "writer": d.writer,
            }
            for mode, d in result.descriptions.items()
        },
        "coarse": {name: _ranking(r, top) for name, r in result.coarse.items()},
        "reranked": [
            {
                "image_id": r.image_id,
                "rank": r.rank,
                "coarse_rank": r.coarse_rank,
                "score": r.score,
                "p_yes": r.yes_probability,
                **({"failed": why} if (why := result.unanswered.get(r.image_id)) else {}),
            }
            for r in result.reranked
        ],
        "rationale": None
        if thought is None
        else {
            "caption": thought.caption,
            "reasoning": thought.reasoning,
            "conclusion": thought.conclusion,
        },
        "seconds": {stage: round(s, 4) for stage, s in result.seconds.items()},
        "models": dict(result.models),
        "unknown_words": list(result.unknown_words),
        "notices": list(result.notices),
    }
    return finite(answer)  # type: ignore[no-any-return]


def _ranking(ranking: Ranking, top: int | None) -> list[dict[str, Any]]:
    return [
        {"image_id": c.image_id, "rank": c.rank, "score": c.score} for c in ranking.candidates[:top]
    ]


def evaluation_json(results: Sequence[Evaluation], *, gallery: int) -> dict[str, Any]:
    """Evaluations of one split as the `evaluate --json` object; rates are in [0, 1].

    Args:
        results: At least one, all of one dataset, split and protocol.
        gallery: How many pictures were searched.
    """
    first = results[0]
    answer: dict[str, Any] = {
        "dataset": first.dataset,
        "split": first.split,
        "protocol": first.protocol,
        "queries": max((len(r.rows) for r in results if r.method != "caption"), default=0),
        "gallery": gallery,
        "methods": {
            r.method: {
                **r.means,
                "n": len(r.rows),
                "seconds": round(r.seconds, 2),
                "interval": {k: list(v) for k, v in r.interval.items()},
                "by_kind": by_kind(r),
                "by_phrasing": by_phrasing(r),
                **({"ties": tied} if (tied := ties(r.rows)) else {}),
            }
            for r in results
        },
    }
    return finite(answer)  # type: ignore[no-any-return]


def report_json(report: Report, *, gallery: int, **blocks: Any) -> dict[str, Any]:
    """The whole `evaluate --json` object: the evaluations, and what stands beside them.

    Args:
        report: From `evaluate.measure`.
        gallery: How many pictures were searched.
        blocks: More objects by name, such as what was measured of the explanations.
    """
    answer = evaluation_json(report.evaluations, gallery=gallery)
    setr = next((e for e in report.evaluations if e.method == "setr"), None)
    if setr is not None:
        found = analyse(setr.rows)
        answer["errors"] = {k: found[k] for k in ("missed", "counts", "by_kind")}
    answer |= {"skipped": dict(report.skipped), "seconds": round(report.seconds, 1)}
    answer["planned"] = report.planned or answer["queries"]
    answer["made"] = {
        "date": datetime.now(UTC).date().isoformat(),
        "models": dict(report.models),
        "calibration": dict(report.calibration),
    }
    return finite(answer | blocks)  # type: ignore[no-any-return]


def fill_readme(path: Path, report: Mapping[str, Any], command: str) -> None:
    """Replace what stands between the dataset's two markers by the command and its table.

    Raises:
        BadInput: The file has no such markers.
    """
    fill_between(path, "results", report["dataset"], command, markdown(report))


def fill_between(path: Path, kind: str, name: str, command: str, table: str) -> None:
    """Replace what stands between two markers of a README by a command and what it printed.

    Args:
        path: The README.
        kind: Of the markers, `<!-- kind:name -->` and `<!-- /kind -->`.
        name: Which of that kind.
        command: What made the table.
        table: In Markdown.

    Raises:
        BadInput: The file has no such markers.
    """
    start, end = f"<!-- {kind}:{name} -->", f"<!-- /{kind} -->"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    head, found, rest = text.partition(start)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise BadInput(f"{path} has no lines {start} and {end}; add both where the table goes.")
    block = f"\n```\n{command}\n```\n\n{table}\n"
    path.write_text(head + start + block + end + tail, encoding="utf-8")
