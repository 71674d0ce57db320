"""Edits of a fables scene: what a modification text asks for, and the words that ask for it.

An edit changes the subject or speaks of a part of the surroundings; it knows the subject the
target must show and what it said about the surroundings, so targets can be found exactly.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cirdemo.data.drawn import fables as f
from cirdemo.data.drawn import phrases

VERB = {
    "standing": "stand",
    "sitting": "sit",
    "jumping": "jump",
    "sleeping": "sleep",
    "hugging": "hug",
    "chasing": "chase",
    "riding": "ride",
}
Animals = tuple[f.Animal, ...]


@dataclass(frozen=True, slots=True)
class Edit:
    """A modification of a scene: its kind, its text and what its targets must show."""

    kind: str
    text: str
    animals: Animals
    action: str
    spoken: dict[str, str] = field(default_factory=dict)  # surroundings part -> value
    changed: int | None = None  # which animal of a mixed pair it speaks of

    def target(self, scene: f.Scene) -> f.Scene:
        """The scene with the edit done and everything else kept (what union describes)."""
        kept = {k: getattr(scene, k) for k in ("setting", "time", "weather", "prop")}
        return f.make_scene(self.animals, self.action, **{**kept, **self.spoken})

    def satisfied(self, scene: f.Scene) -> bool:
        """Whether a scene is a target."""
        wanted = f.make_scene(self.animals, self.action, "", "", "", "").subject
        return scene.subject == wanted and all(
            getattr(scene, k) == v for k, v in self.spoken.items()
        )

    def union(self, scene: f.Scene) -> str:
        """True union description."""
        return f.caption(self.target(scene))

    def enhanced(self, scene: f.Scene) -> str:
        """Between union and intersection: the subject, what is spoken of, and the place."""
        subject = self.target(scene)
        tail = f.surroundings_words(**{"setting": scene.setting, **self.spoken})
        return f"{f.subject_words(subject.animals, subject.action)} {tail}"

    def intersection(self, scene: f.Scene) -> str:
        """True intersection description: the subject and what the edit speaks of."""
        subject = self.target(scene)
        tail = f.surroundings_words(**self.spoken)
        return f"{f.subject_words(subject.animals, subject.action)} {tail}".rstrip()


def is_mixed(animals: Animals) -> bool:
    """Two different animals, so that an edit must name the one it means."""
    return len(animals) == 2 and animals[0] != animals[1]


def _noun_slots(animals: Animals, i: int, rng: random.Random) -> dict[str, str]:
    one = is_mixed(animals) or len(animals) == 1
    noun = animals[i].species if one else f.plural(animals[i].species)
    pronoun = "it" if one else "them"
    named = f"the {noun}"
    x = named if is_mixed(animals) or rng.random() < 0.5 else pronoun
    return {
        "x": x,
        "X": named,
        "N": noun,
        "is": "is" if one else "are",
        "has": "has" if one else "have",
    }


def _change(animals: Animals, i: int, **new: str) -> Animals:
    """The animals with one (of a mixed pair) or all (of equal ones) changed."""
    if is_mixed(animals):
        return tuple(replace(a, **new) if j == i else a for j, a in enumerate(animals))
    return tuple(replace(a, **new) for a in animals)


def _pick(animals: Animals, rng: random.Random) -> int:
    return rng.randrange(2) if is_mixed(animals) else 0


def _finish(
    kind: str,
    slots: dict[str, str],
    rng: random.Random,
    test: bool,
    animals: Animals,
    action: str,
    spoken: dict[str, str] | None = None,
    changed: int | None = None,
) -> Edit | None:
    text = phrases.choose(phrases.FABLES[kind], rng, test=test, slots=slots)
    if text is None:
        return None
    return Edit(kind, text, animals, action, spoken or {}, changed)


def _colour(scene: f.Scene, rng: random.Random, test: bool) -> Edit | None:
    i = _pick(scene.animals, rng)
    old = scene.animals[i].coat
    new = rng.choice([c for c in f.COATS if c != old])
    slots = {**_noun_slots(scene.animals, i, rng), "c": new, "o": old}
    return _finish(
        "colour", slots, rng, test, _change(scene.animals, i, coat=new), scene.action, changed=i
    )


def _species(scene: f.Scene, rng: random.Random, test: bool) -> Edit | None:
    i = _pick(scene.animals, rng)
    taken = {a.species for a in scene.animals}
    new = rng.choice([s for s in f.SPECIES if s not in taken])
    one = is_mixed(scene.animals) or len(scene.animals) == 1
    words = f.article(new) if one else f.plural(new)
    slots = {**_noun_slots(scene.animals, i, rng), "s": words}
    return _finish(
        "species", slots, rng, test, _change(scene.animals, i, species=new), scene.action, changed=i
    )


def _add(scene: f.Scene, rng: random.Random, test: bool) -> Edit | None:
    slots = _noun_slots(scene.animals, 0, rng)
    if is_mixed(scene.animals):
        slots["x"] = "them"
    if is_mixed(scene.animals) or rng.random() < 0.35:
        prop = rng.choice([p for p in f.PROPS if p and p != scene.prop])
        slots["a"] = f.article(prop)
        return _finish("add", slots, rng, test, scene.animals, scene.action, {"prop": prop})
    n = len(scene.animals) + 1
    if n > 3 or scene.action not in f.ACTIONS_BY_COUNT[n]:
        return None
    if n == 3 or rng.random() < 0.3:
        slots["a"] = "another one"
        return _finish("add", slots, rng, test, scene.animals + scene.animals[:1], scene.action)
    new = f.sample_animal(rng)
    if new.species == scene.animals[0].species:
        return None
    slots["a"] = f.animal_words(new)
    return _finish("add", slots, rng, test, (*scene.animals, new), scene.action)


def _remove(scene: f.Scene, rng: random.Random, test: bool) -> Edit | None:
    if not is_mixed(scene.animals) or scene.action not in f.SOLO_ACTIONS:
        return None
    i = rng.randrange(2)
    keep = scene.animals[1 - i]
    slots = {"r": f"the {scene.animals[i].species}", "k": f"the {keep.species}"}
    return _finish("remove", slots, rng, test, (keep,), scene.action, changed=i)


def _count(scene: f.Scene, rng: random.Random, test: bool) -> Edit | None:
    if is_mixed(scene.animals):
        return None
    old = len(scene.animals)
    new = rng.choice([n for n in (1, 2, 3) if n != old])
    if scene.action not in f.ACTIONS_BY_COUNT[new]:
        return None
    noun = scene.animals[0].species
    slots = {"n": f.NUMBER[new], "m": f.NUMBER[old], "M": noun if new == 1 else f.plural(noun)}
    return _finish("count", slots, rng, test, scene.animals[:1] * new, scene.action)


def _relation(scene: f.Scene, rng: random.Random, test: bool) -> Edit | None:
    animals = scene.animals
    if len(animals) == 3:
        return None
    new = rng.choice([a for a in ("hugging", "chasing", "riding") if a != scene.action])
    v, i = new, VERB[new]
    if is_mixed(animals) and new in f.ROLE_ACTIONS:
        if rng.random() < 0.5:
            animals = animals[::-1]
        p = t = f"the {animals[0].species}"
        v, i = f"{new} the {animals[1].species}", f"{i} the {animals[1].species}"
        alone = ""
    elif len(animals) == 1:
        animals, p, t, alone = animals * 2, "two of them", "two of them", ""
    else:
        names = [f"the {a.species}" for a in animals]
        p = " and ".join(names) if is_mixed(animals) else f"the {f.plural(animals[0].species)}"
        t, alone = "them", v
    slots = {"v": v, "i": i, "p": p, "t": t, "e": alone}
    return _finish("relation", slots, rng, test, animals, new)


def _pose(scene: f.Scene, rng: random.Random, test: bool) -> Edit | None:
    poses = [a for a in f.ACTIONS_BY_COUNT[len(scene.animals)] if a in f.SOLO_ACTIONS]
    new = rng.choice([a for a in poses if a != scene.action])
    slots = {**_noun_slots(scene.animals, 0, rng), "v": new, "w": scene.action, "i": VERB[new]}
    if is_mixed(scene.animals):
        both = " and ".join(f"the {a.species}" for a in scene.animals)
        slots |= {"x": rng.choice(("them", both)), "X": both, "is": "are"}
    return _finish("pose", slots, rng, test, scene.animals, new)


def _accessory(scene: f.Scene, rng: random.Random, test: bool) -> Edit | None:
    i = _pick(scene.animals, rng)
    new = rng.choice([a for a in f.ACCESSORIES if a != scene.animals[i].accessory])
    one = is_mixed(scene.animals) or len(scene.animals) == 1
    slots = {**_noun_slots(scene.animals, i, rng), "b": f.article(new) if one else f.plural(new)}
    animals = _change(scene.animals, i, accessory=new)
    return _finish("accessory", slots, rng, test, animals, scene.action, changed=i)


def _setting(scene: f.Scene, rng: random.Random, test: bool) -> Edit | None:
    spoken: dict[str, str] = {}
    if rng.random() < 0.75:
        spoken["setting"] = rng.choice([s for s in f.SETTINGS if s != scene.setting])
    if rng.random() < 0.35 or not spoken:
        part, values = rng.choice((("time", ("sunset", "night")), ("weather", ("rain", "fog"))))
        spoken[part] = rng.choice([v for v in values if v != getattr(scene, part)])
    slots = {**_noun_slots(scene.animals, 0, rng), "l": f.surroundings_words(**spoken)}
    if is_mixed(scene.animals):
        slots |= {"x": "them", "X": ""}
    return _finish("setting", slots, rng, test, scene.animals, scene.action, spoken)


def _negation(scene: f.Scene, rng: random.Random, test: bool) -> Edit | None:
    i = _pick(scene.animals, rng)
    one = is_mixed(scene.animals) or len(scene.animals) == 1
    worn = scene.animals[i].accessory
    if worn and rng.random() < 0.7:
        noun = worn if one else f.plural(worn)
        slots = {
            **_noun_slots(scene.animals, i, rng),
            "g": f"the {noun}",
            "h": noun,
            "v": "",
            "w": "",
        }
        animals = _change(scene.animals, i, accessory="")
        return _finish("negation", slots, rng, test, animals, scene.action, changed=i)
    if is_mixed(scene.animals) and scene.action in f.SOLO_ACTIONS and rng.random() < 0.5:
        gone = scene.animals[i].species
        slots = {"g": f"the {gone}", "h": gone, "X": "", "v": "", "w": ""}
        return _finish(
            "negation", slots, rng, test, (scene.animals[1 - i],), scene.action, changed=i
        )
    poses = [a for a in f.ACTIONS_BY_COUNT[len(scene.animals)] if a in f.SOLO_ACTIONS]
    new = rng.choice([a for a in poses if a != scene.action])
    slots = {"v": new, "w": scene.action, "X": "", "g": "", "h": ""}
    return _finish("negation", slots, rng, test, scene.animals, new)


def _comparison(scene: f.Scene, rng: random.Random, test: bool) -> Edit | None:
    more = {"more": "", "fewer": "", "away": "", "X": "", "Y": "", "o": ""}
    if is_mixed(scene.animals):
        i = rng.randrange(2)
        other = scene.animals[1 - i]
        if scene.animals[i].coat == other.coat:
            return None
        slots = {
            **more,
            "X": f"the {scene.animals[i].species}",
            "Y": f"the {other.species}",
            "o": other.coat,
        }
        animals = _change(scene.animals, i, coat=other.coat)
        return _finish("comparison", slots, rng, test, animals, scene.action, changed=i)
    n = len(scene.animals) + rng.choice((-1, 1))
    if n not in f.ACTIONS_BY_COUNT or scene.action not in f.ACTIONS_BY_COUNT[n]:
        return None
    up = n > len(scene.animals)
    slots = more | ({"more": "more"} if up else {"fewer": "fewer", "away": "away"})
    return _finish("comparison", slots, rng, test, scene.animals[:1] * n, scene.action)


KINDS: dict[str, Callable[[f.Scene, random.Random, bool], Edit | None]] = {
    "colour": _colour,
    "species": _species,
    "add": _add,
    "remove": _remove,
    "count": _count,
    "relation": _relation,
    "pose": _pose,
    "accessory": _accessory,
    "setting": _setting,
    "negation": _negation,
    "comparison": _comparison,
}


def sample_edit(
    scene: f.Scene,
    rng: random.Random,
    split: f.Split,
    kinds: set[str],
    *,
    any_subject: bool = False,
) -> Edit | None:
    """An edit of one of the kinds whose target subject belongs to the split, or None.

    With `any_subject` the target may be of any split (a distractor of a held-out gallery).
    """
    for _ in range(60):
        kind = rng.choice(sorted(kinds))
        edit = KINDS[kind](scene, rng, split == "test")
        if edit is not None and (any_subject or f.split_of(edit.animals, edit.action) == split):
            return edit
    return None
