"""What a search was asked to do, in words: the settings without which its numbers say little."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from cirdemo.prompts import STEPS
from cirdemo.types import SearchResult

STAGES = {"describe": "descriptions", "rerank": "verdicts", "reason": "reasoning"}
REGIONS = {
    "ignore": "without the part that you painted over",
    "keep": "only the part that you painted over",
    "crop": "cut to the part that you marked",
}


def settings(result: SearchResult, options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values, one a setting; those that had no part in the result are left out.

    Args:
        result: A search.
        options: The keywords that `Engine.search` was called with, records or what a bundle
            keeps of them; and "region" and "threshold", where the caller has them.
    """
    by_hand = _fields(options.get("steer"))
    rows = [(f"{m} description", "written by you") for m in by_you(result)]
    if region := str(options.get("region") or ""):
        rows.append(("reference image", REGIONS.get(region.partition(":")[0], region)))
    for name, word in (("without", "turned against"), ("more", "liked"), ("less", "not liked")):
        if listed := ", ".join(by_hand.get(name) or ()):
            rows.append((f"{word} by you", listed))
    if result.reranked:
        whose = options.get("rerank_on", "coarse")
        number = sum(r.image_id in result.judgements for r in result.reranked)
        rows.append(("judge", f"LoRA adapter {'on' if result.tuned else 'off'}"))
        rows.append(("judged", f"{number} pictures of the {whose} list"))
        if "fuse" in options:
            fused = "P(Yes) fused with the coarse score" if options["fuse"] else "P(Yes) alone"
            rows.append(("ordered by", fused))
        if "threshold" in options:
            low = f"{options['threshold']:.2f}; verdicts below it are greyed"
            rows.append(("threshold of P(Yes)", low))
    if step := thought_by_you(options):
        kept = STEPS[: STEPS.index(step)]
        rest = f"; {' and '.join(kept)} before it kept as it stood" if kept else ""
        rows.append(("reasoning", f"{step} written by you{rest}"))
    if known := [words for stage, words in STAGES.items() if stage in result.remembered]:
        rows.append(("remembered", f"{', '.join(known)}: answered before, not asked again"))
    return rows


def spent(result: SearchResult) -> list[str]:
    """Each stage with its seconds, or that its answers were remembered."""
    return [
        f"{stage} {'remembered' if stage in result.remembered else f'{seconds:.2f} s'}"
        for stage, seconds in result.seconds.items()
    ]


def by_you(result: SearchResult) -> list[str]:
    """The modes whose description the user wrote."""
    return [m for m, told in result.descriptions.items() if told.writer == "user"]


def thought_by_you(options: Mapping[str, Any]) -> str:
    """The step of the rationale that the user wrote, the last that was given; '' for none."""
    given = _fields(options.get("thoughts"))
    return next((step for step in reversed(STEPS) if given.get(step)), "")


def _fields(value: Any) -> Mapping[str, Any]:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value if isinstance(value, Mapping) else {}
