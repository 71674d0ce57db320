"""The things that an edit of a drawn world speaks of, as boxes; and whether a map points at them.

Found from the records of the reference and of a target, never from a model. A box is
(x0, y0, x1, y1) in shares of the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Box = tuple[float, float, float, float]
Record = Mapping[str, Any]
Boxes = Mapping[str, Box]

GARMENT_PARTS = {  # attribute of a garment -> name of its box
    "colour": "garment",
    "pattern": "garment",
    "sleeve": "sleeves",
    "neckline": "neckline",
    "length": "hem",
    "detail": "detail",
}
TOLERANCE = 0.03  # of a side around a box: the source's 15 pixels on pictures of about 500
NO_PLACE = "setting"  # the kind of edit that speaks of surroundings: they have no box


def edited(kind: str, reference: Record, target: Record, shown: Record, boxes: Boxes) -> list[Box]:
    """Where a picture shows what the edit is about; empty where it does not, or has no place.

    Fables: the added prop; the accessory that was put on; the animal that was recoloured,
    replaced or lost its accessory; the animal that came; else (pose, relation, count, an animal
    that left) all animals. A setting has no box. Wardrobe: the parts of the garment that changed.

    Args:
        kind: The edit's kind.
        reference: Record of the reference.
        target: Record of a target.
        shown: Record of the picture: a target, or a hard negative.
        boxes: Boxes of the picture.
    """
    if "animals" in target:
        return _edited_scene(kind, reference, target, shown, boxes)
    changed = [part for key, part in GARMENT_PARTS.items() if reference[key] != target[key]]
    # a garment that lost its detail has no box for it: the edit is about the garment then
    names = [part if part in boxes else "garment" for part in changed]
    return [boxes[name] for name in dict.fromkeys(names)]


def named(kind: str, reference: Record, target: Record, shown: Record, boxes: Boxes) -> list[Box]:
    """Where a picture shows anything that the intersection description names.

    Fables: the animals with what they wear, and the prop where the edit speaks of it. Wardrobe:
    the garment. Arguments as in `edited`.
    """
    if "animals" not in target:
        return [boxes["garment"]]
    prop = kind == "add" and _speaks_of_prop(reference, target) and shown["prop"] == target["prop"]
    return [
        box
        for name, box in boxes.items()
        if name.startswith(("animal", "accessory")) or (name == "prop" and prop)
    ]


def cells_in(boxes: Sequence[Box], shape: tuple[int, int]) -> np.ndarray:
    """Which cells of a grid have their centre in a box, give or take `TOLERANCE`.

    Args:
        boxes: In shares of the picture.
        shape: (Gh, Gw).

    Returns:
        (Gh, Gw) bool. Its mean is the chance that a blind guess points at a box.
    """
    y = ((np.arange(shape[0]) + 0.5) / shape[0])[:, None]
    x = ((np.arange(shape[1]) + 0.5) / shape[1])[None, :]
    inside = np.zeros(shape, bool)
    for x0, y0, x1, y1 in boxes:
        across = (x >= x0 - TOLERANCE) & (x <= x1 + TOLERANCE)
        inside |= across & (y >= y0 - TOLERANCE) & (y <= y1 + TOLERANCE)
    return inside


def points_at(heat: np.ndarray, boxes: Sequence[Box]) -> bool:
    """Whether the hottest cell of a map (Gh, Gw) is in one of the boxes.

    A flat map points nowhere: its first cell is not taken for a guess.
    """
    if float(heat.max()) <= float(heat.min()):
        return False
    hottest = np.unravel_index(int(heat.argmax()), heat.shape)
    return bool(cells_in(boxes, (heat.shape[0], heat.shape[1]))[hottest])


def _speaks_of_prop(reference: Record, target: Record) -> bool:
    """Whether an edit that adds something adds a prop: the animals are those of the reference."""
    return _sorted(reference["animals"]) == _sorted(target["animals"])


def _edited_scene(
    kind: str, reference: Record, target: Record, shown: Record, boxes: Boxes
) -> list[Box]:
    if kind == NO_PLACE:
        return []
    if kind == "add" and _speaks_of_prop(reference, target):
        return [boxes["prop"]] if shown["prop"] == target["prop"] else []
    animals = shown["animals"]
    everyone = [boxes[f"animal:{i}"] for i in range(len(animals))]
    new = [a for a in target["animals"] if a not in reference["animals"]]
    if not new or reference["action"] != target["action"]:
        return everyone
    old = [a for a in reference["animals"] if a not in target["animals"]]
    # a hard negative may still show the animal as it was before the edit
    here = _of_species(animals, new) or _of_species(animals, old)
    worn = new[0]["accessory"]
    if worn and any({**a, "accessory": worn} == new[0] for a in old):
        return [boxes[f"accessory:{i}"] for i in here if animals[i]["accessory"] == worn]
    return [everyone[i] for i in here]


def _of_species(animals: Sequence[Record], like: Sequence[Record]) -> list[int]:
    species = {a["species"] for a in like}
    return [i for i, animal in enumerate(animals) if animal["species"] in species]


def _sorted(animals: Sequence[Record]) -> list[tuple[str, str, str]]:
    return sorted((a["species"], a["coat"], a["accessory"]) for a in animals)
