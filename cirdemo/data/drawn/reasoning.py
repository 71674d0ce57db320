"""True rationales of the drawn worlds: what an edit changes and what of the reference it leaves."""

from __future__ import annotations

from typing import Any

from cirdemo.data.drawn import edits, edits_wardrobe, fables, queries, wardrobe
from cirdemo.types import Rationale

PLAIN = "plain"
NAMED = 2  # differences of a picture that are named


def _animals_change(before: fables.Scene, edit: edits.Edit) -> list[str]:
    old, new = before.animals, edit.animals
    parts = []
    if len(old) != len(new):
        parts.append(f"count {fables.NUMBER[len(old)]} to {fables.NUMBER[len(new)]}")
        gone = [a for a in old if a not in new]
        come = [a for a in new if a not in old]
        parts += [f"remove the {a.species}" for a in gone]
        parts += [f"add {fables.animal_words(a)}" for a in come]
    else:
        by_species = {a.species: a for a in new}
        for i, was in enumerate(old if edits.is_mixed(old) else old[:1]):
            now = by_species.get(was.species, new[i] if edit.changed in (None, i) else was)
            if was.species != now.species:
                parts.append(f"{was.species} to {now.species}")
            if was.coat != now.coat:
                parts.append(f"{was.species} coat {was.coat} to {now.coat}")
            if was.accessory != now.accessory:
                worn = was.accessory or PLAIN
                parts.append(f"{was.species} {worn} to {now.accessory or PLAIN}")
    if before.action != edit.action:
        parts.append(f"{before.action} to {edit.action}")
    return parts


def _fables(before: fables.Scene, edit: edits.Edit) -> Rationale:
    parts = _animals_change(before, edit)
    if edit.spoken:
        parts.append(fables.surroundings_words(**edit.spoken))
    kept_out = {
        k: getattr(before, k)
        for k in ("setting", "time", "weather", "prop")
        if k not in edit.spoken
    }
    left = fables.surroundings_words(**kept_out) or "nothing"
    return Rationale(
        caption=fables.caption(before),
        reasoning=f"change {' and '.join(parts)} . leave out {left} .",
        conclusion=edit.intersection(before),
    )


def _wardrobe(before: wardrobe.Garment, edit: edits_wardrobe.GarmentEdit) -> Rationale:
    parts = []
    for attribute in edit.changed:
        old, new = getattr(before, attribute) or PLAIN, getattr(edit.wanted, attribute) or PLAIN
        parts.append(f"{attribute} {old} to {new}")
    return Rationale(
        caption=wardrobe.caption(before),
        reasoning=f"change {' and '.join(parts)} . keep all the rest .",
        conclusion=edit.union(),
    )


def rationale(pool: queries.Pool, asked: Any) -> Rationale:
    """The true rationale of a query."""
    return of_edit(pool.world, pool.contents[asked.reference], asked.edit)


def of_edit(world: str, before: Any, edit: Any) -> Rationale:
    """The true rationale of an edit of a scene or a garment."""
    return (_fables if world == "fables" else _wardrobe)(before, edit)


def mismatch(pool: queries.Pool, asked: Any, picture: int) -> str:
    """Where a picture first differs from what a query asks for: 'brown not white'; '' for a target.

    At most `NAMED` differences are named, count before what the animals are and do.
    """
    shown: Any = pool.contents[picture]
    pairs: list[tuple[str, str]] = []
    if pool.world == "fables":
        wanted = asked.edit.target(pool.contents[asked.reference])
        if len(shown.animals) != len(wanted.animals):
            count = fables.NUMBER
            pairs.append((count[len(shown.animals)], count[len(wanted.animals)]))
        else:
            for a, b in zip(shown.animals, wanted.animals, strict=True):
                pairs += [(getattr(a, k), getattr(b, k)) for k in ("species", "coat", "accessory")]
        pairs.append((shown.action, wanted.action))
        pairs += [(getattr(shown, k), v) for k, v in asked.edit.spoken.items()]
    else:
        names = ("category", *wardrobe.ATTRIBUTES)
        pairs = [(getattr(shown, k), getattr(asked.edit.wanted, k)) for k in names]
    different = [f"{a or PLAIN} not {b or PLAIN}" for a, b in pairs if a != b]
    return " and ".join(dict.fromkeys(different[:NAMED]))
