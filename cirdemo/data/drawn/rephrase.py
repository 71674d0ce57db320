"""The same wish in other words, and other values of the same attribute.

A text that one of the training phrasings fits is taken apart into its slots, and the slots fill
the other training phrasings of its kind. Phrasings that only test uses are neither read nor
written, so that trying a text in other words gives nothing of the test split away.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Mapping

from cirdemo.data.drawn import edits, wording
from cirdemo.data.drawn import fables as f
from cirdemo.data.drawn import wardrobe as w
from cirdemo.data.drawn.wording import AND, WORLDS

Slots = dict[str, str]
_SLOT = re.compile(r"\{(\w+)\}")
_THE = "the "
_CLUMSY = re.compile(r"^them |\ba [aeio]")  # phrasings that a slot does not agree with
_STEM = {**edits.VERB, **{stem: act for act, stem in edits.VERB.items()}}  # both ways


def rephrase(world: str, text: str, kind: str = "") -> list[str]:
    """Other training phrasings of a text, in the order of the phrasings; none where none fits.

    Args:
        world: fables or wardrobe.
        text: As the world's own texts are written: lower case, without a full stop.
        kind: The text's kind, where it is known; else every kind that fits is tried.

    Raises:
        KeyError: There is no such world.
    """
    kinds = [kind] if kind in WORLDS[world] else list(WORLDS[world])
    if world == "fables":
        return _other(_one(world, text, kinds), text)
    found: list[str] = []
    for at in (m.start() for m in re.finditer(AND, text)):  # two captions joined by "and"
        first, second = text[:at], text[at + len(AND) :]
        ways = [_one(world, part, list(WORLDS[world])) for part in (first, second)]
        if all(ways):  # both halves are captions; a half with one phrasing only keeps it
            pairs = itertools.zip_longest(*map(_other, ways, (first, second)), fillvalue="")
            found += [f"{a or first}{AND}{b or second}" for a, b in pairs]
    return _other(found or _one(world, text, kinds), text)


def _other(texts: list[str], text: str) -> list[str]:
    """Texts once each, without the text itself and those that read badly."""
    return [t for t in dict.fromkeys(texts) if t != text and not _CLUMSY.search(t)]


def _one(world: str, text: str, kinds: list[str]) -> list[str]:
    """The text, where a phrasing fits it, and every other phrasing that its slots fill."""
    found = []
    for kind in kinds:
        templates = WORLDS[world][kind].common
        for slots in _readings(world, kind, text):
            known = _widened(world, slots)
            for template in templates:
                if all(known.get(name) for name in _SLOT.findall(template)):
                    found.append(template.format(**known))
    return list(dict.fromkeys(found))


def _readings(world: str, kind: str, text: str) -> Iterator[Slots]:
    """The slots of each training phrasing that fits a text."""
    for pattern in _readers(world, kind):
        if match := pattern.fullmatch(text):
            yield {k: v for k, v in match.groupdict().items() if v}


@functools.cache
def _readers(world: str, kind: str) -> tuple[re.Pattern[str], ...]:
    """A pattern of each training phrasing, with a group for each slot."""
    fill = wording.slot_patterns(world, kind)

    def reader(template: str) -> re.Pattern[str]:
        made, seen = "", set()
        for i, part in enumerate(_SLOT.split(template)):  # words and slot names by turns
            if i % 2 == 0:
                made += re.escape(part)
            else:
                made += f"(?P={part})" if part in seen else f"(?P<{part}>{fill[part]})"
                seen.add(part)
        return re.compile(made)

    return tuple(reader(template) for template in WORLDS[world][kind].common)


def _widened(world: str, slots: Mapping[str, str]) -> Slots:
    """Slots with those that follow from them: "the dogs" also says that it is "are"."""
    known = dict(slots)
    if "g" in known or "h" in known:  # "the hat" and "hat"
        known.setdefault("h", known.get("g", "").removeprefix(_THE))
        known.setdefault("g", _THE + known["h"])
    if world == "wardrobe":
        for one, other in (("s", "s2"), ("s2", "s")):
            if known.get(one, "no") != "no":
                known.setdefault(other, known[one])
        return known
    if "N" in known:
        known.setdefault("X", _THE + known["N"])
    if "X" not in known and known.get("x", "").startswith(_THE):
        known["X"] = known["x"]
    if "X" in known:
        known.setdefault("x", known["X"])
        if AND not in known["X"]:
            known.setdefault("N", known["X"].removeprefix(_THE))
        if (number := _number(known["X"])) is not None:
            known.setdefault("is", ("is", "are")[number])
            known.setdefault("has", ("has", "have")[number])
    if known.get("t", "").startswith((_THE, "two ")):
        known.setdefault("p", known["t"])
    if "p" in known and AND not in known["p"]:
        known.setdefault("t", known["p"])
    for one, other in (("v", "i"), ("i", "v")):  # "chasing the dog" and "chase the dog"
        if one in known:
            act, space, whom = known[one].partition(" ")
            known.setdefault(other, _STEM[act] + space + whom)
    if "e" in known:
        known |= {"v": known["e"]}
    elif known.get("t") == "them" and " " not in known.get("v", " "):
        known["e"] = known["v"]
    if "fewer" in known or "away" in known:
        known |= {"fewer": "fewer", "away": "away"}
    return known


def _number(named: str) -> int | None:
    """0 for one animal, 1 for several, None where the word does not tell ("the deer")."""
    noun = named.removeprefix(_THE)
    if AND in noun:
        return 1
    if noun in f.SPECIES:
        return None if f.plural(noun) == noun else 0
    return 1


# --- values ---------------------------------------------------------------------------------


def families(world: str) -> list[tuple[str, ...]]:
    """Words that can stand in one another's place, in every form that texts use.

    Raises:
        KeyError: There is no such world.
    """
    return {"fables": _fables_families, "wardrobe": _wardrobe_families}[world]()


def _with_article(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f.article(word) for word in words)


def _fables_families() -> list[tuple[str, ...]]:
    props = tuple(p for p in f.PROPS if p)
    acts = tuple(edits.VERB)
    # "glasses" has no article, so without one it would stand for "a hat" and for "hats" alike
    worn = tuple(a for a in f.ACCESSORIES if f.plural(a) != a)
    return [
        *((_with_article(words)) for words in (f.COATS, f.SPECIES, worn, props)),
        *(f.COATS, f.SPECIES, worn, props),
        *(tuple(f.plural(x) for x in words) for words in (f.SPECIES, (*worn, "glasses"))),
        acts,
        tuple(edits.VERB.values()),
        tuple(f.SETTINGS.values()),
        tuple(t for t in f.TIMES.values() if t),
        tuple(t for t in f.WEATHERS.values() if t),
        tuple(f.NUMBER.values()),
    ]


def _wardrobe_families() -> list[tuple[str, ...]]:
    details = tuple(d for d in w.DETAILS if d)
    return [
        tuple(f"{s} sleeves" for s in w.SLEEVES),
        tuple(w.NECK_WORDS.values()),
        tuple(w.DETAIL_WORDS.values()),
        tuple(_with_article(w.COLOURS)),
        w.COLOURS,
        w.PATTERNS,
        tuple(w.LENGTH_WORDS.values()),
        details,
    ]
