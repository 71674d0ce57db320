"""Readers of the drawn worlds' language, written apart from the code that writes it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from cirdemo.data.drawn import fables as f
from cirdemo.data.drawn import phrases
from cirdemo.data.drawn import wardrobe as w

SINGULAR = {f.plural(noun): noun for noun in (*f.SPECIES, *f.ACCESSORIES)}
COUNT = {"two": 2, "three": 3}


def any_of(words) -> str:
    """A pattern for one of the words, longest first."""
    return "(?:" + "|".join(sorted(map(re.escape, words), key=len, reverse=True)) + ")"


# --- captions -----------------------------------------------------------------------------

_ONE = re.compile(
    rf"an? (?P<coat>{any_of(f.COATS)}) (?P<species>{any_of(f.SPECIES)})"
    rf"(?: with (?:an? )?(?P<accessory>{any_of(f.ACCESSORIES)}))?"
)
_MANY = re.compile(
    rf"(?P<count>two|three) (?P<coat>{any_of(f.COATS)}) "
    rf"(?P<species>{any_of(f.plural(s) for s in f.SPECIES)})"
    rf"(?: with (?P<accessory>{any_of(f.plural(a) for a in f.ACCESSORIES)}))?"
)
_ACTIONS = tuple(dict.fromkeys(a for actions in f.ACTIONS_BY_COUNT.values() for a in actions))


def _animal(match: re.Match) -> f.Animal:
    species, worn = match["species"], match["accessory"] or ""
    return f.Animal(SINGULAR.get(species, species), match["coat"], SINGULAR.get(worn, worn))


def read_scene(caption: str) -> f.Scene:
    """The scene that a caption tells."""
    if many := _MANY.match(caption):
        animals: tuple[f.Animal, ...] = (_animal(many),) * COUNT[many["count"]]
        rest = caption[many.end() :]
    else:
        one = _ONE.match(caption)
        animals, rest = (_animal(one),), caption[one.end() :]
    action = re.match(rf"(?: and)? ?({any_of(_ACTIONS)})? ?", rest)
    verb, rest = action[1], rest[action.end() :]
    if other := _ONE.match(rest):
        animals, rest = (*animals, _animal(other)), rest[other.end() :].lstrip()
    if verb is None:
        verb, _, rest = rest.partition(" ")
    around = {}
    tables = {"setting": f.SETTINGS, "time": f.TIMES, "weather": f.WEATHERS, "prop": f.PROPS}
    for part, table in tables.items():
        default = next((k for k, words in table.items() if not words), None)
        found = [k for k, words in table.items() if words and words == _head(rest, words)]
        around[part] = max(found, key=lambda k: len(table[k])) if found else default
        if found:
            rest = rest[len(table[around[part]]) :].lstrip()
    assert not rest, f"{rest!r} is left of {caption!r}"
    return f.Scene(animals, verb, **around)


def _head(rest: str, words: str) -> str:
    return words if rest == words or rest.startswith(words + " ") else ""


_GARMENT = re.compile(
    rf"an? (?P<length>short|medium|long) (?P<colour>{any_of(w.COLOURS)}) "
    rf"(?P<pattern>{any_of(w.PATTERNS)}) (?P<category>{any_of(w.CATEGORIES)}) "
    rf"with (?P<sleeve>{any_of(w.SLEEVES)}) sleeves(?: and)? "
    rf"(?P<neckline>{any_of(w.NECK_WORDS.values())})"
    rf"(?: and (?P<detail>{any_of(w.DETAIL_WORDS.values())}))?"
)


def read_garment(caption: str) -> w.Garment:
    """The garment that a caption tells."""
    match = _GARMENT.fullmatch(caption)
    assert match, caption

    def back(table: Mapping[str, str], words: str | None) -> str:
        return next((k for k, v in table.items() if v == words), "")

    told = match.groupdict()
    told["neckline"] = back(w.NECK_WORDS, told["neckline"])
    told["detail"] = back(w.DETAIL_WORDS, told["detail"])
    told["length"] = back(w.LENGTH_WORDS, told["length"])
    return w.Garment(**told)


# --- modification texts -------------------------------------------------------------------

_NOUN = any_of([*f.SPECIES, *f.ACCESSORIES, *SINGULAR])
_THE = rf"the {_NOUN}(?: and the {_NOUN})?"
_VERB = any_of(["stand", "sit", "jump", "sleep", "hug", "chase", "ride"])
_AROUND = [
    any_of(words for words in table.values() if words)
    for table in (f.SETTINGS, f.TIMES, f.WEATHERS)
]
_FABLES_SLOTS = {
    "x": rf"(?:it|them|{_THE})",
    "X": _THE,
    "N": _NOUN,
    "is": "(?:is|are)",
    "has": "(?:has|have)",
    "c": any_of(f.COATS),
    "s": rf"(?:an? )?{_NOUN}",
    "a": rf"(?:another one|{_ONE.pattern}|an? {any_of(p for p in f.PROPS if p)})",
    "r": rf"the {_NOUN}",
    "k": rf"the {_NOUN}",
    "g": rf"the {_NOUN}",
    "h": _NOUN,
    "n": "(?:one|two|three)",
    "m": "(?:one|two|three)",
    "M": _NOUN,
    "e": any_of(_ACTIONS),
    "v": rf"{any_of(_ACTIONS)}(?: the {_NOUN})?",
    "i": rf"{_VERB}(?: the {_NOUN})?",
    "p": rf"(?:two of them|{_THE})",
    "t": rf"(?:two of them|them|{_THE})",
    "w": any_of(_ACTIONS),
    "b": rf"(?:an? )?{_NOUN}",
    "l": " ".join(f"(?:{words})?" for words in _AROUND).replace(" ", " ?"),
    "Y": _THE,
    "more": "more",
    "fewer": "fewer",
    "away": "away",
}
_WARDROBE_SLOTS = {
    "c": any_of(w.COLOURS),
    "p": any_of(w.PATTERNS),
    "q": any_of(w.PATTERNS),
    "s": any_of(w.SLEEVES),
    "t": any_of(w.SLEEVES),
    "s2": any_of(w.SLEEVES),
    "n": any_of(w.NECK_WORDS.values()),
    "m": any_of(w.NECK_WORDS.values()),
    "l": any_of(w.LENGTH_WORDS.values()),
    "k": any_of(w.LENGTH_WORDS.values()),
    "d": any_of(w.DETAIL_WORDS.values()),
    "g": rf"the {any_of(w.DETAIL_WORDS)}",
    "h": any_of(w.DETAIL_WORDS),
    "r": "(?:longer|shorter)",
    "u": "(?:longer|shorter)",
}
# one letter means different things under different kinds
_KIND_SLOTS = {
    ("fables", "colour"): {"o": any_of(f.COATS)},
    ("fables", "comparison"): {"o": any_of(f.COATS)},
    ("wardrobe", "colour"): {"o": any_of(w.COLOURS)},
}
WORLDS = {
    "fables": (phrases.FABLES, _FABLES_SLOTS),
    "wardrobe": (phrases.WARDROBE, _WARDROBE_SLOTS),
}


def _pattern(template: str, slots: Mapping[str, str]) -> re.Pattern:
    parts = re.split(r"\{(\w+)\}", template)
    text = "".join(
        re.escape(part) if n % 2 == 0 else "(?:" + re.sub(r"\?P<\w+>", "?:", slots[part]) + ")"
        for n, part in enumerate(parts)
    )
    return re.compile(text)


PATTERNS = {
    (world, kind, which): [
        _pattern(t, slots | _KIND_SLOTS.get((world, kind), {})) for t in getattr(said, which)
    ]
    for world, (kinds, slots) in WORLDS.items()
    for kind, said in kinds.items()
    for which in ("common", "test")
}


def said_by(world: str, kind: str, text: str) -> set[str]:
    """Which phrasings ("common", "test") can have made a text; each half of a wardrobe text."""
    if world == "fables":
        return {
            which
            for which in ("common", "test")
            if any(p.fullmatch(text) for p in PATTERNS[world, kind, which])
        }
    found = set()
    for half in re.split(r" and (?!not )", text):
        ways = {
            which
            for which in ("common", "test")
            for k in phrases.WARDROBE
            if any(p.fullmatch(half) for p in PATTERNS[world, k, which])
        }
        assert ways, half
        found.add("common" if "common" in ways else "test")
    return found
