"""The wardrobe world: single garments. Records, their words, and the split rule.

A modification speaks of one or two attributes; every other attribute stays, as in FashionIQ.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import asdict, dataclass
from typing import Any, Literal

CATEGORIES = ("dress", "shirt", "toptee")
COLOURS = ("white", "black", "red", "orange", "yellow", "green", "blue", "purple")
PATTERNS = ("plain", "striped", "dotted", "checked", "floral", "zigzag")
SLEEVES = ("no", "short", "long")
NECKLINES = ("round", "v", "collar", "square")
LENGTHS = ("short", "regular", "long")
DETAILS = ("", "pockets", "bow", "buttons", "belt", "ruffle")  # "" is none
ATTRIBUTES = {
    "colour": COLOURS,
    "pattern": PATTERNS,
    "sleeve": SLEEVES,
    "neckline": NECKLINES,
    "length": LENGTHS,
    "detail": DETAILS,
}
NECK_WORDS = {
    "round": "a round neck",
    "v": "a v neck",
    "collar": "a collar",
    "square": "a square neck",
}
DETAIL_WORDS = {
    "pockets": "pockets",
    "bow": "a bow",
    "buttons": "buttons",
    "belt": "a belt",
    "ruffle": "a ruffle",
}
LENGTH_WORDS = {"short": "short", "regular": "medium", "long": "long"}
Split = Literal["train", "val", "test"]


@dataclass(frozen=True, slots=True)
class Garment:
    """One picture's content."""

    category: str
    colour: str
    pattern: str
    sleeve: str
    neckline: str
    length: str
    detail: str

    def to_json(self) -> dict[str, Any]:
        """A record that `from_json` reads back."""
        return asdict(self)


def from_json(record: dict[str, Any]) -> Garment:
    """The garment of a JSON record."""
    return Garment(**{k: record[k] for k in Garment.__slots__})


def garment_words(
    category: str,
    colour: str = "",
    pattern: str = "",
    sleeve: str = "",
    neckline: str = "",
    length: str = "",
    detail: str = "",
) -> str:
    """'a long blue striped dress with short sleeves a v neck and a belt'; empty is unspoken."""
    adjectives = [LENGTH_WORDS.get(length, ""), colour, pattern]
    head = " ".join(w for w in (*adjectives, category) if w)
    head = ("an " if head[0] in "aeio" else "a ") + head
    extras = []
    if sleeve:
        extras.append(f"{sleeve} sleeves")
    if neckline:
        extras.append(NECK_WORDS[neckline])
    if detail:
        extras.append(DETAIL_WORDS[detail])
    if not extras:
        return head
    joined = extras[0] if len(extras) == 1 else " ".join(extras[:-1]) + " and " + extras[-1]
    return f"{head} with {joined}"


def caption(garment: Garment) -> str:
    """The full caption."""
    return garment_words(**asdict(garment))


def split_of(garment: Garment) -> Split:
    """The only split in which this combination may be a target; train never draws others."""
    bucket = int.from_bytes(hashlib.sha256(repr(garment).encode()).digest()[:4], "big") % 20
    return "val" if bucket < 2 else "test" if bucket < 4 else "train"


def sample_garment(rng: random.Random) -> Garment:
    """A garment; a third of them have no detail."""
    detail = "" if rng.random() < 0.33 else rng.choice(DETAILS[1:])
    return Garment(
        rng.choice(CATEGORIES),
        rng.choice(COLOURS),
        rng.choice(PATTERNS),
        rng.choice(SLEEVES),
        rng.choice(NECKLINES),
        rng.choice(LENGTHS),
        detail,
    )
