"""What methods are called and are, in a few words: one text for every page that names them."""

from __future__ import annotations

from collections.abc import Iterable

from cirdemo.lineup import DEPTH
from cirdemo.ui.cards import esc

NAMES = {  # as the page reads; files and commands have the code name
    "text": "Text only",
    "image": "Image only",
    "sum": "Sum of both",
    "product": "Product of both",
    "union": "Union",
    "enhanced": "Enhanced",
    "intersection": "Intersection",
    "inversion": "Pseudo-word",
    "oti": "Optimised pseudo-word",
    "qformer": "Q-Former",
    "dpo": "Retrieval-DPO",
    "dpo_published": "Retrieval-DPO as published",
    "cot": "Reasoning",
    "cot_direct": "No reasoning",
    "rrf": "Rank fusion",
    "setr": "Re-ranked",
    "setr_fused": "Re-ranked, fused",
    "caption": "Captions",
}
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
    "dpo_published": "the same, as its published code does it",
    "cot": "thinks in words, then embeds",
    "cot_direct": "embeds without a word",
    "rrf": "union, intersection and reasoning, by rank",
    "setr": f"intersection, its first {DEPTH} by P(Yes)",
    "setr_fused": "by P(Yes) and the coarse score together",
    "caption": "no search: captions pictures, counted under “text exact”",
}


def called(name: str) -> str:
    """A method's name as the page reads; a setting without one keeps its own."""
    return NAMES.get(name, name)


def code(name: str) -> str:
    """The name in files and commands, "" where the page's name is the same but for its case."""
    return "" if called(name).lower() == name else name


def titled(name: str) -> str:
    """Both names as HTML, the code name small."""
    small = f' <code class="code">{esc(code(name))}</code>' if code(name) else ""
    return f"{esc(called(name))}{small}"


def choices(names: Iterable[str], *, explained: bool = True) -> list[tuple[str, str]]:
    """Methods to pick from: both names, what each is if `explained`, and their value."""
    found = []
    for name in names:
        label = f"{called(name)} ({code(name)})" if code(name) else called(name)
        says = SAYS.get(name, "") if explained else ""
        found.append((f"{label}: {says}" if says else label, name))
    return found
