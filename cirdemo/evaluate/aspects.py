"""What a modification text is about: CIRCO's annotated aspects, or rules on the words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cirdemo.types import Triplet

BY_RULE = "by the words of the text, not annotated"
ANNOTATED = "as CIRCO annotates them"
# CIRCO's names where they fit; a text may have several aspects, or none
_RULES = {
    "addition": r"\b(?:add(?:s|ed|ing)?|with|wearing|holding|plus|more)\b",
    "cardinality": r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|\d+|only|single|several|"
    r"many|both|another|fewer)\b",
    "comparative_statement": r"\b(?:than|more|less|fewer|(?:larg|small|bigg|dark|light|bright|clos|"
    r"short|tall|long|young|old|wid|thinn|fatt)er)\b",
    "compare_change": r"\b(?:instead|rather|chang(?:e|es|ed|ing)|replac(?:e|es|ed|ing)|different|"
    r"swap|turn(?:s|ed)? into)\b",
    "negation": r"\b(?:no|not|without|remov(?:e|es|ed|ing)|delet(?:e|es|ed|ing)|none|never)\b",
    "same": r"\b(?:same|similar|as before|still|keep)\b",
    "spatial_relations_background": r"\b(?:background|left|right|behind|front|above|below|under|"
    r"beside|next to|on top|inside|outside|indoors?|outdoors?|around|between)\b",
    "statement_with_conjunction": r"\b(?:and|but|while)\b|[,;]",
    "viewpoint": r"\b(?:close-?up|closer|zoom(?:s|ed)?|angle|view(?:ed|point)?|camera|facing|"
    r"side|from above|shot|cropped)\b",
}
_COMPILED = {name: re.compile(rule, re.IGNORECASE) for name, rule in _RULES.items()}


def aspects_of(triplet: Triplet) -> tuple[str, ...]:
    """The annotated aspects of a query, or those that the rules find in its text."""
    if triplet.aspects:
        return triplet.aspects
    return tuple(n for n, rule in _COMPILED.items() if rule.search(triplet.modification))


def source_of(triplets: Sequence[Triplet]) -> str:
    """Where the aspects of a split come from."""
    return ANNOTATED if any(t.aspects for t in triplets) else BY_RULE
