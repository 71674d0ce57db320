"""What each method is, in a few words: one text for every page that names methods."""

from __future__ import annotations

from collections.abc import Iterable

from cirdemo.lineup import DEPTH

SAYS = {
    "text": "the text alone",
    "image": "the reference alone",
    "sum": "both vectors added",
    "product": "both similarities multiplied",
    "union": "all that the reference shows, changed as the edit says",
    "enhanced": "the core, and the place or look",
    "intersection": "the subject, changed as the edit says",
    "inversion": "a network writes a pseudo-word for the picture",
    "oti": "a pseudo-word is optimised for this picture",
    "qformer": "a Q-Former reads text and patches",
    "dpo": "a text tower tuned by preferences",
    "dpo_published": "dpo, as its published code does it",
    "cot": "reasoning: thinks in words, then embeds",
    "cot_direct": "no reasoning: embeds without a word",
    "rrf": "rank fusion: union, intersection and cot, by rank",
    "setr": f"re-ranked: intersection, its first {DEPTH} by P(Yes)",
    "setr_fused": "re-ranked by P(Yes) and the coarse score together",
    "caption": "no search: captions pictures, counted under “text exact”",
}


def choices(names: Iterable[str]) -> list[tuple[str, str]]:
    """Methods to pick from: what is shown, with what each is, and the name that it stands for."""
    return [(f"{name}: {SAYS[name]}" if name in SAYS else name, name) for name in names]
