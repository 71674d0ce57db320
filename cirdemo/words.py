"""Descriptions as words: their phrases, the phrases of their own, and words for a control."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence

# a phrase starts at one of these words, or is a word in -ing
STARTS = {
    "in",
    "on",
    "at",
    "by",
    "beside",
    "with",
    "and",
    "near",
    "under",
    "next",
    "while",
    "without",
}
MEANINGLESS = {"a", "an", "the", "and", "with", "in", "on", "at", "by", "of", "beside"}
NUMBERS = {"one", "two", "three", "four", "five"}  # no thing by themselves
STEM = 4  # letters that "scarf" and "scarves" share


def phrases(text: str) -> list[str]:
    """The text cut into small phrases: 'a brown dog', 'with a hat', 'sitting', 'in the snow'."""
    out: list[list[str]] = []
    for word in re.findall(r"[\w'-]+", text.lower()):
        if not out or word in STARTS or word.endswith("ing"):
            out.append([word])
        elif out[-1][-1].endswith("ing"):
            out.append([word])
        else:
            out[-1].append(word)
    return [" ".join(words) for words in out]


def quoted(items: Sequence[str], joint: str = "and") -> str:
    """Words or phrases in quotes, as a sentence lists them."""
    *most, last = [f"“{item}”" for item in items]
    return f"{', '.join(most)} {joint} {last}" if most else last


def own_words(description: str, caption: str) -> str:
    """The phrases of a description that a caption of the reference lacks, joined.

    The whole description where it has none of its own, as after "remove the dog".
    """
    known = set(phrases(caption))
    own = [phrase for phrase in phrases(description) if phrase not in known]
    return " ".join(own) or description


def control_words(texts: Iterable[str], said: Sequence[str]) -> list[str]:
    """Words of some texts that are not among what was said of a picture, in order of the alphabet.

    Args:
        texts: Captions of other pictures.
        said: Descriptions and captions of the picture.
    """
    taken = {word for text in said for word in re.findall(r"[\w'-]+", text.lower())}
    words = {word for text in texts for word in re.findall(r"[\w'-]+", text.lower())}
    words -= STARTS | MEANINGLESS | NUMBERS
    return sorted(w for w in words if not any(akin(w, other) for other in taken))


def akin(a: str, b: str) -> bool:
    """Whether two words are forms of one ("fox" and "foxes"), or may be."""
    return a[:STEM] == b[:STEM] or (
        min(len(a), len(b)) >= 3 and (a.startswith(b) or b.startswith(a))
    )


def control_word(texts: Iterable[str], said: Sequence[str], seed: str = "") -> str:
    """One of `control_words` at random, the same for the same seed.

    Raises:
        ValueError: The texts have no word that was not said.
    """
    words = control_words(texts, said)
    if not words:
        raise ValueError("every word of the texts was said of the picture")
    return random.Random(seed).choice(words)
