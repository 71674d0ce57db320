"""The public answer of the search endpoint: a SearchResult as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cirdemo.types import Query, Ranking, SearchResult


def as_json(result: SearchResult, top: int = 10) -> dict[str, Any]:
    """The public answer, as on the command line."""

    def listed(ranking: Ranking) -> list[dict[str, object]]:
        return [
            {"image_id": c.image_id, "rank": c.rank, "score": round(c.score, 6)}
            for c in ranking.candidates[:top]
        ]

    descriptions: Mapping[str, Any] = {
        mode: {"text": d.text, "cues": [{"text": c.text, "status": c.status} for c in d.cues]}
        for mode, d in result.descriptions.items()
    }
    said = result.rationale
    return {
        "query": _query(result.query),
        "descriptions": descriptions,
        "coarse": {name: listed(r) for name, r in result.coarse.items()},
        "reranked": [
            {
                "image_id": r.image_id,
                "rank": r.rank,
                "coarse_rank": r.coarse_rank,
                "score": round(r.score, 6),
                "p_yes": round(r.yes_probability, 6),
            }
            for r in result.reranked[:top]
        ],
        "rationale": said
        and {"caption": said.caption, "reasoning": said.reasoning, "conclusion": said.conclusion},
        "seconds": {k: round(v, 4) for k, v in result.seconds.items()},
        "models": dict(result.models),
        "unknown_words": list(result.unknown_words),
        "notices": list(result.notices),
    }


def _query(query: Query) -> dict[str, object]:
    return {
        "query_id": query.query_id,
        "reference_id": query.reference_id,
        "modification": query.modification,
    }
