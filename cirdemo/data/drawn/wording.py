"""Which phrasings a modification text can have come from: those of every split, or test's alone.

A text is test-only where a phrasing that only test uses fits it and none of the common ones does.
A slot fits the words that `edits` and `edits_wardrobe` fill it with and no others, so that "change
the colour of the dog to white" is not taken for "change {x} to {c}".
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping

from cirdemo.data.drawn import edits, edits_wardrobe, phrases
from cirdemo.data.drawn import fables as f
from cirdemo.data.drawn import wardrobe as w

WORLDS = {"fables": phrases.FABLES, "wardrobe": phrases.WARDROBE}
AND = " and "
_SLOT = re.compile(r"\{(\w+)\}")


def _any(words: Iterable[str]) -> str:
    """A pattern of any of the words, longer ones first."""
    return "(?:" + "|".join(re.escape(x) for x in sorted(set(words), key=len, reverse=True)) + ")"


def _fables_slots() -> dict[str, dict[str, str]]:
    """Patterns of what fills each slot, by kind; "" holds for every kind."""
    noun = _any([*f.SPECIES, *map(f.plural, f.SPECIES)])
    the = f"the {noun}"
    both = f"{the}(?:{AND}{the})?"
    coat, acts, stems = _any(f.COATS), _any(edits.VERB), _any(edits.VERB.values())
    worn = _any(x for a in f.ACCESSORIES for x in (a, f.plural(a)))
    worn_by = _any(x for a in f.ACCESSORIES for x in (f.article(a), f.plural(a)))
    one = f"an? {coat} {_any(f.SPECIES)}(?: with {_any(map(f.article, f.ACCESSORIES))})?"
    number = _any(f.NUMBER.values())
    words = [t for t in (*f.SETTINGS.values(), *f.TIMES.values(), *f.WEATHERS.values()) if t]
    return {
        "": {"x": f"(?:it|them|{both})", "X": both, "N": noun, "is": "(?:is|are)"}
        | {"has": "(?:has|have)", "c": coat, "o": coat, "n": number, "m": number, "M": noun}
        | {"s": _any(x for s in f.SPECIES for x in (f.article(s), f.plural(s)))}
        | {"a": f"(?:another one|{_any(f.article(p) for p in f.PROPS if p)}|{one})"}
        | {"r": the, "k": the, "b": worn_by, "l": f"{_any(words)}(?: {_any(words)})?"}
        | {"g": f"the (?:{noun}|{worn})", "h": f"(?:{noun}|{worn})", "v": acts, "w": acts}
        | {"i": stems, "Y": the, "more": "more", "fewer": "fewer", "away": "away"},
        "relation": {
            "v": f"{acts}(?: {the})?",
            "i": f"{stems}(?: {the})?",
            "e": acts,
            "p": f"(?:two of them|{both})",
            "t": f"(?:two of them|them|{the})",
        },
    }


def _wardrobe_slots() -> dict[str, dict[str, str]]:
    colour, pattern, sleeve = _any(w.COLOURS), _any(w.PATTERNS), _any(w.SLEEVES)
    neck, length = _any(w.NECK_WORDS.values()), _any(w.LENGTH_WORDS.values())
    longer = _any(x for by in edits_wardrobe.COMPARATIVES.values() for x in by.values())
    names = [d for d in w.DETAILS if d]
    return {
        "": {"c": colour, "o": colour, "p": pattern, "q": pattern, "s": sleeve, "t": sleeve}
        | {"s2": sleeve, "n": neck, "m": neck, "l": length, "k": length, "r": longer}
        | {"u": longer, "d": _any(w.DETAIL_WORDS.values()), "g": f"the {_any(names)}"}
        | {"h": _any(names)},
    }


@functools.cache
def slot_patterns(world: str, kind: str) -> dict[str, str]:
    """What fills each slot of a kind's phrasings, as patterns.

    Raises:
        KeyError: There is no such world.
    """
    slots = {"fables": _fables_slots, "wardrobe": _wardrobe_slots}[world]()
    return slots[""] | slots.get(kind, {})


@functools.cache
def _patterns(world: str) -> dict[str, tuple[re.Pattern[str], re.Pattern[str]]]:
    """For each kind, what its common phrasings and what its test-only phrasings look like."""

    def pattern(templates: Iterable[str], fill: Mapping[str, str]) -> re.Pattern[str]:
        made = []
        for template in templates:
            parts = _SLOT.split(template)  # words and slot names by turns
            made.append(
                "".join(fill[p] if i % 2 else re.escape(p) for i, p in enumerate(parts)),
            )
        return re.compile("|".join(made))

    table = {}
    for kind, known in WORLDS[world].items():
        fill = slot_patterns(world, kind)
        table[kind] = (pattern(known.common, fill), pattern(known.test, fill))
    return table


def is_test_only(world: str, kind: str, text: str) -> bool | None:
    """Whether a text of a kind has a phrasing that train and val never use.

    A wardrobe text is two captions joined by "and", the first of its kind; it is test-only where
    either of them is.

    Returns:
        None where no phrasing of the kind fits the text.

    Raises:
        KeyError: There is no such world or kind.
    """
    table = _patterns(world)
    if world == "fables":
        return _fits(table, kind, text)
    found = []
    for at in (m.start() for m in re.finditer(AND, text)):
        first = _fits(table, kind, text[:at])
        rest = [_fits(table, other, text[at + len(AND) :]) for other in table]
        found += [first or second for second in rest if None not in (first, second)]
    # of several readings, one without a test-only phrasing says that train may have had the text
    return all(found) if found else None


def _fits(
    table: Mapping[str, tuple[re.Pattern[str], re.Pattern[str]]], kind: str, text: str
) -> bool | None:
    """False where a common phrasing fits, True where only a test-only one does, else None."""
    common, test = table[kind]
    if common.fullmatch(text):
        return False
    return True if test.fullmatch(text) else None
