"""Edits that no picture can satisfy, in the worlds' own phrasings.

`absent`: the edit is asked of an animal that the reference does not show.
`contradiction`: one thing is asked to be two things at once.
The judge is trained to answer No to all of them, and `evaluate` counts how often it does.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Any, Literal

from cirdemo.data.drawn import edits, edits_wardrobe
from cirdemo.data.drawn import fables as f
from cirdemo.data.drawn import wardrobe as w
from cirdemo.types import Dataset, ImageId

Kind = Literal["absent", "contradiction"]
KINDS: tuple[Kind, ...] = ("absent", "contradiction")
NAMING = ("colour", "species", "accessory", "remove", "pose")  # edits that can name their animal
SINGLE = ("colour", "species", "count", "pose", "setting")  # edits of what has one value only
GARMENT_SINGLE = ("colour", "pattern", "sleeve", "neckline", "length")
NO_SUCH = "there is no {noun}"
NOT_BOTH = "not both"
TRIES = 40


@dataclass(frozen=True, slots=True)
class Impossible:
    """A modification text that cannot be satisfied."""

    kind: Kind
    text: str
    why: str
    likes: tuple[Any, ...]  # the possible edits it was made from: a careless reader sees one
    swap: tuple[str, str] | None = None  # absent: the animal of that edit, and the one asked for

    def literally(self, description: str) -> str:
        """Such an edit's description by a reader who takes an absent animal for granted."""
        if self.swap is None:
            return description
        for old, new in zip(*((s, f.plural(s)) for s in self.swap), strict=True):
            description = re.sub(rf"\b{old}\b", new, description)
        return description


def sample(content: Any, kind: Kind, rng: random.Random, *, test: bool) -> Impossible | None:
    """An impossible edit of a scene or a garment, or None where the kind does not fit.

    Args:
        content: Scene or Garment of the reference.
        kind: What makes it impossible; garments know contradictions only.
        rng: Where the choices come from.
        test: Whether test-only phrasings may be used.
    """
    if isinstance(content, f.Scene):
        make = _absent if kind == "absent" else _contradiction
        return next(filter(None, (make(content, rng, test) for _ in range(TRIES))), None)
    if kind == "absent":
        return None
    return next(filter(None, (_two_garments(content, rng, test) for _ in range(TRIES))), None)


def of_dataset(
    dataset: Dataset, split: str, count: int, seed: int = 0
) -> list[tuple[ImageId, Impossible]]:
    """So many impossible queries on the references of a split: (reference id, edit).

    Deterministic; the kinds in turn, each reference at most twice, phrasings of the split.
    """
    rng = random.Random(f"impossible-{split}-{seed}")
    references = sorted({t.reference_id for t in dataset.triplets(split)})
    rng.shuffle(references)
    made: list[tuple[ImageId, Impossible]] = []
    for image_id in references * 2:
        record = dataset.record(image_id)["record"]  # type: ignore[attr-defined]
        content = (f if "animals" in record else w).from_json(record)
        for step in range(len(KINDS)):
            kind = KINDS[(len(made) + step) % len(KINDS)]
            odd = sample(content, kind, rng, test=split == "test")
            if odd is not None:
                made.append((image_id, odd))
                break
        if len(made) == count:
            break
    return made


def _absent(scene: f.Scene, rng: random.Random, test: bool) -> Impossible | None:
    edit = edits.KINDS[rng.choice(NAMING)](scene, rng, test)
    if edit is None:
        return None
    there = [a.species for a in scene.animals]
    named = [s for s in there if re.search(rf"\bthe ({s}|{f.plural(s)})\b", edit.text)]
    strangers = [s for s in f.SPECIES if s not in there and s not in edit.text]
    if not named or not strangers:
        return None
    gone, stranger = rng.choice(named), rng.choice(strangers)
    text = re.sub(rf"\bthe {f.plural(gone)}\b", f"the {f.plural(stranger)}", edit.text)
    text = re.sub(rf"\bthe {gone}\b", f"the {stranger}", text)
    return Impossible("absent", text, NO_SUCH.format(noun=stranger), (edit,), (gone, stranger))


def _contradiction(scene: f.Scene, rng: random.Random, test: bool) -> Impossible | None:
    kind = rng.choice(SINGLE)
    one, other = (edits.KINDS[kind](scene, rng, test) for _ in range(2))
    if one is None or other is None or one.changed != other.changed:
        return None
    if kind == "setting":
        places = {e.spoken.get("setting", "") for e in (one, other)}
        differ = len(places) == 2 and "" not in places
    else:
        differ = (one.animals, one.action) != (other.animals, other.action)
    if not differ:
        return None
    return Impossible("contradiction", f"{one.text} and {other.text}", NOT_BOTH, (one, other))


def _two_garments(garment: w.Garment, rng: random.Random, test: bool) -> Impossible | None:
    kind = rng.choice(GARMENT_SINGLE)
    one, other = (edits_wardrobe.one_edit(garment, kind, rng, test) for _ in range(2))
    if one is None or other is None or one.wanted == other.wanted:
        return None
    return Impossible("contradiction", f"{one.text} and {other.text}", NOT_BOTH, (one, other))
