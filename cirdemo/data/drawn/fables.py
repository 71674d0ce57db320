"""The fables world: animals in places. Records, their words, and the split rule.

A scene is a *subject* (its animals and what they do) in *surroundings* (setting, time, weather,
prop). A modification speaks of the subject or of a part of the surroundings; surroundings that it
does not speak of vary freely between a reference and its targets, as in CIRR.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import asdict, dataclass
from typing import Any, Literal

SPECIES = (
    "cat",
    "dog",
    "rabbit",
    "bear",
    "fox",
    "lion",
    "elephant",
    "deer",
    "owl",
    "frog",
)
COATS = ("white", "grey", "black", "brown", "orange", "yellow", "blue", "pink")
ACCESSORIES = ("hat", "crown", "scarf", "glasses", "cape", "flower")  # "" is none
SOLO_ACTIONS = ("standing", "sitting", "jumping", "sleeping")
PAIR_ACTIONS = ("standing", "sitting", "jumping", "hugging", "chasing", "riding")
TRIO_ACTIONS = ("standing", "sitting", "jumping")
ACTIONS_BY_COUNT = {1: SOLO_ACTIONS, 2: PAIR_ACTIONS, 3: TRIO_ACTIONS}
ROLE_ACTIONS = ("chasing", "riding")  # the first animal does it to the second
SETTINGS: dict[str, str] = {  # name -> words
    "meadow": "in the meadow",
    "forest": "in the forest",
    "beach": "on the beach",
    "desert": "in the desert",
    "snow": "in the snow",
    "city": "in the city",
    "mountains": "in the mountains",
    "lake": "by the lake",
    "farm": "on the farm",
    "garden": "in the garden",
    "castle": "by the castle",
    "volcano": "by the volcano",
}
TIMES: dict[str, str] = {"day": "", "sunset": "at sunset", "night": "at night"}
WEATHERS: dict[str, str] = {"clear": "", "rain": "in the rain", "fog": "in the fog"}
PROPS: dict[str, str] = {  # "" is none
    "": "",
    "ball": "beside a ball",
    "balloon": "beside a balloon",
    "sledge": "beside a sledge",
    "lantern": "beside a lantern",
    "basket": "beside a basket",
    "kite": "beside a kite",
    "drum": "beside a drum",
    "cake": "beside a cake",
}
NUMBER = {1: "one", 2: "two", 3: "three"}
PLURAL = {"fox": "foxes", "deer": "deer"}
ACCESSORY_PLURAL = {"glasses": "glasses", "scarf": "scarves"}
Split = Literal["train", "val", "test"]
SPLIT_SHARES = {"val": 2, "test": 3}  # of 20 hash buckets; the rest is train


@dataclass(frozen=True, slots=True)
class Animal:
    """One animal: species, coat colour, accessory ("" for none)."""

    species: str
    coat: str
    accessory: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture's content. Two animals are twins (equal) or of two species; three are equal."""

    animals: tuple[Animal, ...]
    action: str
    setting: str
    time: str
    weather: str
    prop: str

    @property
    def subject(self) -> tuple[tuple[Animal, ...], str]:
        """The combination that splits never share: the animals (unordered unless roles differ)."""
        return (self.animals, self.action)

    def to_json(self) -> dict[str, Any]:
        """A record that `from_json` reads back."""
        return asdict(self)


def from_json(record: dict[str, Any]) -> Scene:
    """The scene of a JSON record."""
    animals = tuple(Animal(**a) for a in record["animals"])
    rest = {k: record[k] for k in ("action", "setting", "time", "weather", "prop")}
    return Scene(animals=animals, **rest)


def make_scene(
    animals: tuple[Animal, ...], action: str, setting: str, time: str, weather: str, prop: str
) -> Scene:
    """A scene in its one canonical order: without roles, the animals stand in species order."""
    if action not in ROLE_ACTIONS:
        order = {s: i for i, s in enumerate(SPECIES)}
        animals = tuple(sorted(animals, key=lambda a: order[a.species]))
    return Scene(animals, action, setting, time, weather, prop)


# --- words --------------------------------------------------------------------------------


def plural(noun: str) -> str:
    """The plural of a species or an accessory."""
    return PLURAL.get(noun) or ACCESSORY_PLURAL.get(noun) or noun + "s"


def article(word: str) -> str:
    """The word with its indefinite article ("an orange", "glasses")."""
    if word == "glasses":
        return word
    return ("an " if word[0] in "aeio" else "a ") + word


def animal_words(animal: Animal) -> str:
    """'a brown dog with a hat'."""
    words = article(f"{animal.coat} {animal.species}")
    return words + (f" with {article(animal.accessory)}" if animal.accessory else "")


def subject_words(animals: tuple[Animal, ...], action: str) -> str:
    """'two brown dogs with hats hugging', 'a brown dog riding a white cat'."""
    first = animals[0]
    if len(animals) == 2 and animals[0] != animals[1]:
        if action in ROLE_ACTIONS:
            return f"{animal_words(first)} {action} {animal_words(animals[1])}"
        return f"{animal_words(first)} and {animal_words(animals[1])} {action}"
    if len(animals) == 1:
        return f"{animal_words(first)} {action}"
    words = f"{NUMBER[len(animals)]} {first.coat} {plural(first.species)}"
    if first.accessory:
        words += f" with {plural(first.accessory)}"
    return f"{words} {action}"


def surroundings_words(setting: str = "", time: str = "", weather: str = "", prop: str = "") -> str:
    """'in the forest at night in the rain beside a drum'; a part left empty is not spoken of."""
    parts = (
        SETTINGS.get(setting, ""),
        TIMES.get(time, ""),
        WEATHERS.get(weather, ""),
        PROPS.get(prop, ""),
    )
    return " ".join(p for p in parts if p)


def caption(scene: Scene) -> str:
    """The full caption: subject, then all surroundings that are not the default."""
    tail = surroundings_words(scene.setting, scene.time, scene.weather, scene.prop)
    return f"{subject_words(scene.animals, scene.action)} {tail}"


# --- sampling -----------------------------------------------------------------------------


def split_of(animals: tuple[Animal, ...], action: str) -> Split:
    """The only split in which this subject may be drawn as a target; train never draws others."""
    key = repr(make_scene(animals, action, "", "", "", "").subject).encode()
    bucket = int.from_bytes(hashlib.sha256(key).digest()[:4], "big") % 20
    if bucket < SPLIT_SHARES["val"]:
        return "val"
    return "test" if bucket < SPLIT_SHARES["val"] + SPLIT_SHARES["test"] else "train"


def sample_animal(rng: random.Random) -> Animal:
    """An animal; half of them wear nothing."""
    accessory = rng.choice(ACCESSORIES) if rng.random() < 0.5 else ""
    return Animal(rng.choice(SPECIES), rng.choice(COATS), accessory)


def sample_subject(rng: random.Random) -> tuple[tuple[Animal, ...], str]:
    """Animals and an action: one (45 %), a mixed pair (30 %), twins (15 %) or three (10 %)."""
    draw = rng.random()
    first = sample_animal(rng)
    if draw < 0.45:
        animals: tuple[Animal, ...] = (first,)
    elif draw < 0.75:
        second = sample_animal(rng)
        while second.species == first.species:
            second = sample_animal(rng)
        animals = (first, second)
    else:
        animals = (first,) * (2 if draw < 0.9 else 3)
    return animals, rng.choice(ACTIONS_BY_COUNT[len(animals)])


def sample_surroundings(rng: random.Random) -> tuple[str, str, str, str]:
    """Setting, time, weather, prop; defaults (day, clear, none) are the most frequent."""
    return (
        rng.choice(tuple(SETTINGS)),
        rng.choice(("day", "day", "sunset", "night")),
        rng.choice(("clear", "clear", "clear", "rain", "fog")),
        rng.choice(tuple(PROPS)) if rng.random() < 0.6 else "",
    )
