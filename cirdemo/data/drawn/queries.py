"""Families of pictures and the queries over them, for galleries and for training pools alike.

A family is a reference, a second picture of the same subject in the same setting, and for each of
its edits a target and hard negatives. Surroundings of targets are drawn anew (fables), so a method
that drags the reference's surroundings along is pulled towards the hard negatives, which keep them.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cirdemo.data.drawn import edits, edits_wardrobe, fables, wardrobe
from cirdemo.types import Mode

FAMILY_PICTURES = 10
FAMILY_QUERIES = 5
SUBSET_SIZE = 6


@dataclass(frozen=True, slots=True)
class Asked:
    """A query before ids are known: positions are indices into the pool's contents."""

    reference: int
    edit: Any  # edits.Edit or edits_wardrobe.GarmentEdit
    near: tuple[int, ...]  # hard negatives of its family


@dataclass(frozen=True, slots=True)
class Pool:
    """Contents of pictures and the queries over them."""

    world: str
    contents: tuple[Any, ...]  # Scene or Garment
    asked: tuple[Asked, ...]

    def caption(self, i: int) -> str:
        """Full caption of a picture."""
        return CAPTION[self.world](self.contents[i])


CAPTION = {"fables": fables.caption, "wardrobe": wardrobe.caption}


def _fables_family(
    rng: random.Random, split: fables.Split
) -> tuple[list[fables.Scene], list[tuple[int, edits.Edit, list[int]]]]:
    while True:
        animals, action = fables.sample_subject(rng)
        if fables.split_of(animals, action) == split:
            break
    reference = fables.make_scene(animals, action, *fables.sample_surroundings(rng))
    # the reference's setting kept, the edit not done: what a union description drags along
    twin = replace(
        fables.make_scene(animals, action, *fables.sample_surroundings(rng)),
        setting=reference.setting,
    )
    scenes = [reference, twin]
    found: list[tuple[int, edits.Edit, list[int]]] = []
    # each kind in turn, so that kinds that always fit (setting) do not crowd out the others
    for kind in rng.sample(sorted(edits.KINDS), len(edits.KINDS)):
        if len(found) == FAMILY_QUERIES:
            break
        at = 0 if len(found) < 3 else 1
        edit = edits.sample_edit(scenes[at], rng, split, {kind})
        if edit is None:
            continue
        target = edit.target(
            replace(
                scenes[at],
                **dict(
                    zip(
                        ("setting", "time", "weather", "prop"),
                        fables.sample_surroundings(rng),
                        strict=True,
                    )
                ),
            )
        )
        scenes.append(target)
        found.append((at, edit, [1 - at]))
    if len(found) < FAMILY_QUERIES:  # a subject with too few held-out neighbours
        return _fables_family(rng, split)
    for i in rng.sample(range(FAMILY_QUERIES), FAMILY_PICTURES - len(scenes)):
        at, edit, near = found[i]
        if rng.random() < 0.3:  # a second target
            more = fables.sample_surroundings(rng)
            keys = ("setting", "time", "weather", "prop")
            scenes.append(edit.target(replace(scenes[at], **dict(zip(keys, more, strict=True)))))
            continue
        wrong = _wrong(scenes[at], edit, rng, split)
        near.append(len(scenes))
        scenes.append(wrong)
    return scenes, found


def _wrong(
    scene: fables.Scene, edit: edits.Edit, rng: random.Random, split: fables.Split
) -> fables.Scene:
    """A near miss in the reference's surroundings: the edit on the other animal, or another."""
    if edit.changed is not None and edits.is_mixed(scene.animals) and len(edit.animals) == 2:
        i = edit.changed
        before, after = scene.animals[i], edit.animals[i]
        new = {
            k: getattr(after, k)
            for k in ("coat", "accessory")
            if getattr(before, k) != getattr(after, k)
        }
        if new:
            other = replace(scene.animals[1 - i], **new)
            animals = (scene.animals[0], other) if i == 0 else (other, scene.animals[1])
            if split != "train" or fables.split_of(animals, scene.action) == "train":
                kept = (scene.setting, scene.time, scene.weather, scene.prop)
                return fables.make_scene(animals, scene.action, *kept)
    while True:
        kinds = set(edits.KINDS) - {"setting"}
        free = split != "train"
        other_edit = edits.sample_edit(scene, rng, split, kinds, any_subject=free)
        if (
            other_edit is not None
            and other_edit.target(scene).subject != edit.target(scene).subject
        ):
            return other_edit.target(scene)


def _wardrobe_family(
    rng: random.Random, split: wardrobe.Split
) -> tuple[list[wardrobe.Garment], list[tuple[int, edits_wardrobe.GarmentEdit, list[int]]]]:
    while True:
        reference = wardrobe.sample_garment(rng)
        if wardrobe.split_of(reference) == split:
            break
    garments = [reference]
    found: list[tuple[int, edits_wardrobe.GarmentEdit, list[int]]] = []
    while len(found) < FAMILY_QUERIES:
        edit = edits_wardrobe.sample_edit(reference, rng, split)
        if edit is not None and edit.wanted not in garments:
            found.append((0, edit, []))
            garments.append(edit.wanted)
    while len(garments) < FAMILY_PICTURES:
        _, edit, near = rng.choice(found)
        if rng.random() < 0.2:  # a second target, or the reference's garment once more
            garments.append(rng.choice((edit.wanted, reference)))
            continue
        attribute = rng.choice([a for a in wardrobe.ATTRIBUTES if a not in edit.changed])
        values = [v for v in wardrobe.ATTRIBUTES[attribute] if v != getattr(edit.wanted, attribute)]
        wrong = replace(edit.wanted, **{attribute: rng.choice(values)})
        if split != "train" or wardrobe.split_of(wrong) == "train":
            near.append(len(garments))
            garments.append(wrong)
    return garments, found


FAMILY = {"fables": _fables_family, "wardrobe": _wardrobe_family}


def make_pool(world: str, families: Sequence[str], seed: int) -> Pool:
    """Pictures and queries of one family per given split name; deterministic from the seed."""
    contents: list[Any] = []
    asked: list[Asked] = []
    for n, split in enumerate(families):
        rng = random.Random(f"{world}-{seed}-{n}")
        pictures, found = FAMILY[world](rng, split)  # type: ignore[arg-type]
        base = len(contents)
        contents += pictures
        asked += [Asked(base + at, edit, tuple(base + i for i in near)) for at, edit, near in found]
    return Pool(world, tuple(contents), tuple(asked))


def _key(content: Any) -> Hashable:
    return content.subject if isinstance(content, fables.Scene) else content


def targets(pool: Pool) -> list[tuple[int, ...]]:
    """For each query, all pictures of the pool that satisfy it, the reference left out."""
    by_key: dict[Hashable, list[int]] = defaultdict(list)
    for i, content in enumerate(pool.contents):
        by_key[_key(content)].append(i)
    out = []
    for query in pool.asked:
        wanted = (
            query.edit.target(pool.contents[query.reference]).subject
            if pool.world == "fables"
            else query.edit.wanted
        )
        hits = (i for i in by_key[wanted] if query.edit.satisfied(pool.contents[i]))
        out.append(tuple(i for i in hits if i != query.reference))
    return out


def describe(pool: Pool, query: Asked) -> dict[Mode, str]:
    """True descriptions of a query, by mode."""
    return described(pool.world, pool.contents[query.reference], query.edit)


def described(world: str, content: Any, edit: Any) -> dict[Mode, str]:
    """True descriptions of an edit of a scene or a garment, by mode."""
    told = (content,) if world == "fables" else ()
    return {
        "union": edit.union(*told),
        "enhanced": edit.enhanced(*told),
        "intersection": edit.intersection(*told),
    }


def subset(pool: Pool, query: Asked, hits: tuple[int, ...], rng: random.Random) -> tuple[int, ...]:
    """Six pictures: reference, one target, and hard negatives of the family before any others."""
    family = range(
        query.reference // FAMILY_PICTURES * FAMILY_PICTURES,
        query.reference // FAMILY_PICTURES * FAMILY_PICTURES + FAMILY_PICTURES,
    )
    first = [i for i in query.near if i not in hits]
    rest = [i for i in family if i not in hits and i not in first and i != query.reference]
    rng.shuffle(rest)
    members = [query.reference, rng.choice(hits), *(first + rest)[: SUBSET_SIZE - 2]]
    rng.shuffle(members)
    return tuple(members)
