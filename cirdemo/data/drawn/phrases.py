"""Phrasings of modification texts, by world and kind.

Each kind has phrasings for every split and phrasings that only test uses, built from words that
train also uses, so that a miss on them is a miss of structure and not of vocabulary.
Slots: {x} pronoun or noun ("it", "them", "the dog"), {X} noun ("the dogs"), {is} / {has} agreeing
with it, {N} bare noun; edits.py says what the others hold. A phrasing fits where all of its slots
are filled, so a slot left empty also says "not this phrasing".
"""

from __future__ import annotations

from typing import NamedTuple


class Phrasings(NamedTuple):
    """Phrasings every split may use, and phrasings that stay out of train and val."""

    common: tuple[str, ...]
    test: tuple[str, ...]


# words that say how something is asked, and not what: without them a text asks for the same
MANNER = frozenset(
    "make change turn paint give let show put have bring want see should could be is are the a an "
    "i to it them this time same please now has come comes".split()
)

FABLES: dict[str, Phrasings] = {
    "colour": Phrasings(
        (
            "make {x} {c}",
            "change the colour of {X} to {c}",
            "{X} should be {c}",
            "turn {x} {c}",
            "the same but {X} {is} {c}",
            "{c} {N} instead of {o}",
            "i want {X} in {c}",
            "paint {x} {c}",
            "give {X} a {c} coat",
            "{X} in {c} please",
            "this time {X} {is} {c}",
            "let {X} be {c}",
            "could you make {x} {c}",
        ),
        ("could {X} be {c}", "change {x} to {c}", "{X} but {c} please", "i want {x} to be {c}"),
    ),
    "species": Phrasings(
        (
            "replace {x} with {s}",
            "change {X} into {s}",
            "make {x} {s}",
            "{s} instead of {X}",
            "turn {x} into {s}",
            "the same but with {s} in place of {X}",
            "{X} should be {s}",
            "swap {X} for {s}",
            "i want {s} instead of {X}",
            "let {X} be {s}",
            "this time {s} in place of {X}",
            "{X} {is} now {s}",
        ),
        (
            "could {X} be {s}",
            "replace {X} and show {s} please",
            "{s} in place of {x}",
            "change {x} to {s}",
        ),
    ),
    "add": Phrasings(
        (
            "add {a}",
            "put {a} next to {x}",
            "there should be {a} too",
            "{a} joins {x}",
            "the same with {a}",
            "give {x} company : {a}",
            "i want to see {a} as well",
            "show {a} beside {x}",
            "bring in {a}",
            "now with {a} too",
            "let {a} join {x}",
            "and add {a} please",
        ),
        (
            "please put in {a} as well",
            "could there be {a} too",
            "show {x} with {a}",
            "{a} next to {x} please",
        ),
    ),
    "remove": Phrasings(
        (
            "remove {r}",
            "take {r} away",
            "{r} should be gone",
            "leave out {r}",
            "only {k}",
            "just {k} on its own",
            "get rid of {r}",
            "{k} alone",
            "i want only {k} to be left",
            "drop {r}",
            "show {k} on its own",
            "let {r} go",
        ),
        ("please remove {r}", "only {k} should be left", "take {r} out", "show just {k} please"),
    ),
    "count": Phrasings(
        (
            "make it {n}",
            "{n} of them",
            "{n} {M} instead of {m}",
            "there should be {n} {M}",
            "show {n} of them",
            "change the number to {n}",
            "i want {n} {M}",
            "the same but {n} of them",
            "{n} instead of {m}",
            "let there be {n}",
            "now {n} {M}",
            "{n} {M} this time",
        ),
        (
            "could there be {n} {M}",
            "{n} of them please",
            "show {n} {M} instead",
            "i want {n} of them",
        ),
    ),
    "relation": Phrasings(
        (
            "{e} instead",
            "make {t} {i}",
            "{t} should be {v}",
            "{p} {v}",
            "show {p} {v} instead",
            "now {p} {v}",
            "the same but {e}",
            "i want {t} {v}",
            "let {p} {i}",
            "{p} should be {v}",
            "have {t} {i} this time",
            "change it to {p} {v}",
            "{p} {v} instead",
        ),
        (
            "could {p} be {v}",
            "show {t} {v} please",
            "this time {p} {v}",
            "{p} {v} please",
        ),
    ),
    "pose": Phrasings(
        (
            "{v} instead of {w}",
            "make {x} {i}",
            "{X} should be {v}",
            "now {v}",
            "the same but {v}",
            "let {x} {i}",
            "i want {X} {v}",
            "{X} {is} {v} this time",
            "change the pose to {v}",
            "have {x} {i}",
            "show {X} {v}",
            "{v} please",
        ),
        ("could {X} be {v}", "{v} this time", "show {x} {v} instead", "{X} {v} please"),
    ),
    "accessory": Phrasings(
        (
            "give {x} {b}",
            "put {b} on {x}",
            "{X} should wear {b}",
            "add {b} to {X}",
            "let {X} wear {b}",
            "{X} with {b}",
            "now {X} {has} {b}",
            "the same but {X} {has} {b}",
            "i want {X} with {b}",
            "make {x} wear {b}",
            "have {x} wear {b}",
            "this time {X} with {b}",
        ),
        (
            "could {X} wear {b}",
            "{b} on {X} please",
            "show {X} with {b}",
            "{X} should have {b}",
        ),
    ),
    "setting": Phrasings(
        (
            "{l} instead",
            "move {x} so that the scene is {l}",
            "the same {l}",
            "now {l}",
            "show {x} {l}",
            "change the place : {l}",
            "it should be {l}",
            "i want {X} {l}",
            "put {x} {l}",
            "let it be {l}",
            "this time {l}",
            "the scene should be {l}",
        ),
        ("could it be {l}", "{X} {l} please", "show it {l} instead", "change the scene : {l}"),
    ),
    "negation": Phrasings(
        (
            "without {g}",
            "no {h} please",
            "not {w} but {v}",
            "take off {g}",
            "{X} should not wear {g}",
            "remove {g} from {X}",
            "the same without {g}",
            "{X} without {g}",
            "no more {h}",
            "i do not want {g}",
            "{X} must not have {g}",
            "leave {g} off",
            "no longer {w} but {v}",
            "{v} and not {w}",
        ),
        (
            "please no {h}",
            "show {X} without {g}",
            "{g} should be gone",
            "{v} , no longer {w}",
        ),
    ),
    "comparison": Phrasings(
        (
            "{X} in the same colour as {Y}",
            "make {X} the same colour as {Y}",
            "{X} should be as {o} as {Y}",
            "give {X} the colour of {Y}",
            "one {more} of them",
            "add one {more}",
            "one {more} than now",
            "one {fewer} than now",
            "one {fewer} of them",
            "take one of them {away}",
            "{X} and {Y} of the same colour , that of {Y}",
            "let {X} have the colour of {Y}",
            "there should be one {more}",
            "there should be one {fewer}",
        ),
        (
            "{X} of the same colour as {Y} please",
            "i want one {more} of them",
            "please show one {fewer} of them",
            "change {X} to the colour of {Y}",
        ),
    ),
}

WARDROBE: dict[str, Phrasings] = {
    "colour": Phrasings(
        (
            "is {c}",
            "is {c} instead of {o}",
            "make it {c}",
            "in {c}",
            "the colour is {c}",
            "has a {c} colour",
            "change the colour to {c}",
            "should be {c}",
            "i want it in {c}",
            "comes in {c}",
            "is {c} and not {o}",
            "more of a {c} one",
            "let it come in {c}",
        ),
        ("the same in {c}", "has {c} as its colour", "is not {o} but {c}", "should come in {c}"),
    ),
    "pattern": Phrasings(
        (
            "is {p}",
            "is {p} instead of {q}",
            "has a {p} pattern",
            "make it {p}",
            "the pattern is {p}",
            "with a {p} print",
            "change the pattern to {p}",
            "should be {p}",
            "i want a {p} one",
            "comes with a {p} look",
            "the print is {p}",
            "is {p} and not {q}",
        ),
        ("the same but {p}", "has a {p} print", "is not {q} but {p}", "should have a {p} look"),
    ),
    "sleeve": Phrasings(
        (
            "has {s} sleeves",
            "with {s} sleeves",
            "{s} sleeves instead of {t} sleeves",
            "give it {s} sleeves",
            "the sleeves are {s2}",
            "change the sleeves to {s} sleeves",
            "should have {s} sleeves",
            "i want {s} sleeves",
            "comes with {s} sleeves",
            "make the sleeves {s2}",
            "has {s} and not {t} sleeves",
            "is one with {s} sleeves",
        ),
        (
            "the same with {s} sleeves",
            "{s} sleeves please",
            "should come with {s} sleeves",
            "has {s} sleeves instead",
        ),
    ),
    "neckline": Phrasings(
        (
            "has {n}",
            "with {n}",
            "{n} instead of {m}",
            "give it {n}",
            "change the neckline to {n}",
            "should have {n}",
            "i want {n}",
            "comes with {n}",
            "has {n} and not {m}",
            "is one with {n}",
            "the neckline is {n}",
            "make it one with {n}",
        ),
        ("the same with {n}", "{n} please", "should come with {n}", "has {n} instead"),
    ),
    "length": Phrasings(
        (
            "is {l}",
            "is {l} and not {k}",
            "make it {l}",
            "has a {l} cut",
            "the length is {l}",
            "with a {l} length",
            "change the length to {l}",
            "should be {l}",
            "i want a {l} one",
            "comes in a {l} length",
            "is of {l} length",
            "is {l} instead of {k}",
        ),
        ("the same but {l}", "has a {l} length", "is not {k} but {l}", "should be of {l} length"),
    ),
    "detail": Phrasings(
        (
            "has {d}",
            "with {d}",
            "add {d}",
            "give it {d}",
            "should have {d}",
            "i want {d}",
            "comes with {d}",
            "has {d} on it",
            "is one with {d}",
            "put {d} on it",
            "make it one with {d}",
            "there is {d} on it",
        ),
        ("the same with {d}", "{d} please", "should come with {d}", "add {d} to it"),
    ),
    "negation": Phrasings(
        (
            "without {g}",
            "has no {h}",
            "no {h} please",
            "take off {g}",
            "remove {g}",
            "should not have {g}",
            "the same without {g}",
            "i do not want {g}",
            "comes without {g}",
            "must not have {g}",
            "no more {h}",
            "leave out {g}",
        ),
        (
            "please no {h}",
            "should come without {g}",
            "is one without {g}",
            "has no {h} on it",
        ),
    ),
    "comparison": Phrasings(
        (
            "is {r}",
            "make it {r}",
            "should be {r}",
            "has a {r} cut",
            "is a bit {r}",
            "has {u} sleeves",
            "with {u} sleeves",
            "make the sleeves {u}",
            "give it {u} sleeves",
            "should have {u} sleeves",
            "i want a {r} one",
            "i want {u} sleeves",
        ),
        (
            "comes in a {r} cut",
            "the same but {r}",
            "{u} sleeves please",
            "comes with {u} sleeves",
        ),
    ),
}


def choose(phrasings: Phrasings, rng, *, test: bool, slots: dict[str, str]) -> str | None:
    """A phrasing whose slots are all filled; in test half of them are test-only ones.

    Returns None where no phrasing fits the slots.
    """

    def fitting(texts: tuple[str, ...]) -> list[str]:
        return [t for t in texts if all(f"{{{s}}}" not in t or v for s, v in slots.items())]

    pool = fitting(phrasings.test) if test and rng.random() < 0.5 else []
    pool = pool or fitting(phrasings.common)
    if not pool:
        return None
    return rng.choice(pool).format(**slots)
