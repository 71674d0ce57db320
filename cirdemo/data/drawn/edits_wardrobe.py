"""Edits of a garment: one or two changed attributes and the captions that ask for them."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from cirdemo.data.drawn import phrases
from cirdemo.data.drawn import wardrobe as w

LOOK = ("colour", "pattern")  # what a garment is recognised by from afar
COMPARATIVES = {
    1: {"length": "longer", "sleeve": "longer"},
    -1: {"length": "shorter", "sleeve": "shorter"},
}


@dataclass(frozen=True, slots=True)
class GarmentEdit:
    """A modification of a garment: its kind, its text and the garment it asks for."""

    kind: str
    text: str
    wanted: w.Garment
    changed: tuple[str, ...]  # attributes it speaks of

    def satisfied(self, garment: w.Garment) -> bool:
        """Whether a garment is a target: every attribute, spoken of or not, is as wanted."""
        return garment == self.wanted

    def union(self) -> str:
        """True union description: the whole garment with the edit done."""
        return w.caption(self.wanted)

    def enhanced(self) -> str:
        """Between union and intersection: what the edit speaks of, and the look (LOOK)."""
        kept = {a: getattr(self.wanted, a) for a in w.ATTRIBUTES if a in (*LOOK, *self.changed)}
        return w.garment_words(self.wanted.category, **kept)

    def intersection(self) -> str:
        """True intersection description: the category and what the edit speaks of."""
        return w.garment_words(
            self.wanted.category, **{a: getattr(self.wanted, a) for a in self.changed}
        )


def _slots(kind: str, old: str, new: str) -> dict[str, str]:
    if kind == "colour":
        return {"c": new, "o": old}
    if kind == "pattern":
        return {"p": new, "q": old}
    if kind == "sleeve":
        return {"s": new, "t": old, "s2": "" if new == "no" else new}
    if kind == "neckline":
        return {"n": w.NECK_WORDS[new], "m": w.NECK_WORDS[old]}
    if kind == "length":
        return {"l": w.LENGTH_WORDS[new], "k": w.LENGTH_WORDS[old]}
    return {"d": w.DETAIL_WORDS.get(new, "")}


def one_edit(garment: w.Garment, kind: str, rng: random.Random, test: bool) -> GarmentEdit | None:
    """An edit of one attribute, of any split, or None where the kind does not fit."""
    if kind == "comparison":
        attribute = rng.choice(("length", "sleeve"))
        values = w.ATTRIBUTES[attribute]
        step = rng.choice((-1, 1))
        at = values.index(getattr(garment, attribute)) + step
        # "shorter sleeves" to mean no sleeves would not be said, so that step is left out
        if at not in range(len(values)) or (attribute == "sleeve" and at == 0):
            return None
        word = COMPARATIVES[step][attribute]
        slots = {"r": "", "u": ""} | {"r" if attribute == "length" else "u": word}
        new = values[at]
    elif kind == "negation":
        if not garment.detail:
            return None
        attribute, new = "detail", ""
        words = w.DETAIL_WORDS[garment.detail]
        slots = {"g": "the " + garment.detail, "h": words.removeprefix("a ")}
    else:
        attribute = kind
        old = getattr(garment, kind)
        new = rng.choice([v for v in w.ATTRIBUTES[kind] if v and v != old])
        slots = _slots(kind, old, new)
    text = phrases.choose(phrases.WARDROBE[kind], rng, test=test, slots=slots)
    if text is None:
        return None
    return GarmentEdit(kind, text, replace(garment, **{attribute: new}), (attribute,))


def sample_edit(garment: w.Garment, rng: random.Random, split: w.Split) -> GarmentEdit | None:
    """Two captions joined by 'and', as FashionIQ has them: two attributes, or one said twice."""
    kinds = sorted(phrases.WARDROBE)
    for _ in range(80):
        first = one_edit(garment, rng.choice(kinds), rng, split == "test")
        if first is None:
            continue
        if rng.random() < 0.3:  # both captions speak of the same attribute
            second = one_edit(garment, first.kind, random.Random(rng.random()), split == "test")
            wanted, changed = first.wanted, first.changed
            if second is None or second.wanted != wanted or second.text == first.text:
                continue
        else:
            second = one_edit(first.wanted, rng.choice(kinds), rng, split == "test")
            if second is None or second.changed == first.changed:
                continue
            wanted, changed = second.wanted, first.changed + second.changed
        if w.split_of(wanted) == split:
            order = tuple(a for a in w.ATTRIBUTES if a in changed)
            return GarmentEdit(first.kind, f"{first.text} and {second.text}", wanted, order)
    return None
