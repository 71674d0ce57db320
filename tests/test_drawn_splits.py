"""Splits share no target, and the shipped galleries hold what their queries say, all of it."""

import json
from functools import cache
from pathlib import Path

import pytest

from cirdemo.data.drawn import fables as f
from cirdemo.data.drawn import galleries, queries
from cirdemo.data.drawn import wardrobe as w
from tests.drawn_language import read_scene

GALLERIES = Path(__file__).resolve().parents[1] / "assets" / "galleries"
WORLDS = ("fables", "wardrobe")
PICTURES = {"fables": 2000, "wardrobe": 1200}
QUERIES = {"fables": {"val": 400, "test": 600}, "wardrobe": {"val": 300, "test": 300}}
AROUND = ("setting", "time", "weather", "prop")
SILENT = (None, "day", "clear", "")  # what a description without these words reads as


@cache
def records(world):
    lines = (GALLERIES / world / "records.jsonl").read_text().splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


@cache
def rows(world):
    return [json.loads(line) for line in (GALLERIES / world / "queries.jsonl").open()]


@cache
def shipped_pool(world):
    families = galleries.GALLERY_FAMILIES[world]
    return queries.make_pool(world, families, galleries.GALLERY_SEED)


@cache
def contents(world):
    """The shipped records as scenes or garments."""
    read = f.from_json if world == "fables" else w.from_json
    return {i: read(row["record"]) for i, row in records(world).items()}


def subject(content):
    """What splits never share: animals and action, or the garment."""
    return content.subject if isinstance(content, f.Scene) else content


def split_of(content):
    return f.split_of(*content.subject) if isinstance(content, f.Scene) else w.split_of(content)


def targets_of(world):
    """Subjects of all targets, by split."""
    found = {"val": set(), "test": set()}
    for row in rows(world):
        found[row["split"]] |= {subject(contents(world)[i]) for i in row["target_ids"]}
    return found


# --- the rule -----------------------------------------------------------------------------


def test_every_subject_has_one_split_and_shares_are_as_stated():
    pool = queries.make_pool("fables", ("train", "val", "test") * 30, seed=5)
    for scene in pool.contents:
        moved = f.make_scene(scene.animals[::-1], scene.action, "snow", "night", "fog", "cake")
        if scene.action not in f.ROLE_ACTIONS:
            assert split_of(moved) == split_of(scene)
    splits = [f.split_of((a, b), "hugging") for a, b in _cats_with_others()]
    assert 0.07 < splits.count("val") / len(splits) < 0.13  # 2 of 20 buckets, n = 3,456
    assert 0.12 < splits.count("test") / len(splits) < 0.18  # 3 of 20
    garments = set(contents("wardrobe").values())
    assert {w.split_of(g) for g in garments} == {"train", "val", "test"}


def _cats_with_others():
    return [
        (f.Animal("cat", mine), f.Animal(s, c, a))
        for mine in f.COATS
        for s in f.SPECIES
        if s != "cat"
        for c in f.COATS
        for a in ("", *f.ACCESSORIES[1:])
    ]


@pytest.mark.parametrize("world", WORLDS)
def test_train_pools_show_train_subjects_only(world):
    for seed in (1, 2):
        pool = queries.make_pool(world, ("train",) * 300, seed)
        assert len(pool.contents) == 3000
        assert {split_of(c) for c in pool.contents} == {"train"}
    assert queries.make_pool(world, ("train",) * 9, 1) == queries.make_pool(
        world, ("train",) * 9, 1
    )
    assert queries.make_pool(world, ("train",) * 9, 2) != queries.make_pool(
        world, ("train",) * 9, 1
    )


@pytest.mark.parametrize("world", WORLDS)
def test_targets_of_the_splits_are_apart(world):
    targets = targets_of(world)
    assert targets["val"] and targets["test"]
    assert not targets["val"] & targets["test"]
    train = {subject(c) for c in queries.make_pool(world, ("train",) * 1000, 1).contents}
    for split, subjects in targets.items():
        assert not subjects & train
        whole = {f.split_of(*s) if world == "fables" else w.split_of(s) for s in subjects}
        assert whole == {split}


# --- what is shipped ----------------------------------------------------------------------


@pytest.mark.parametrize("world", WORLDS)
def test_sizes(world):
    assert len(records(world)) == PICTURES[world]
    files = {p.stem for p in (GALLERIES / world / "images").iterdir()}
    assert files == set(records(world))
    counts = {s: sum(r["split"] == s for r in rows(world)) for s in ("val", "test")}
    assert counts == QUERIES[world]
    assert len({r["query_id"] for r in rows(world)}) == sum(counts.values())


def test_bytes():
    sizes = [p.stat().st_size for p in GALLERIES.rglob("*") if p.is_file()]
    assert sum(sizes) <= 25_000_000
    assert max(sizes) <= 10_000_000


@pytest.mark.parametrize("world", WORLDS)
def test_the_shipped_gallery_is_what_the_code_draws(world):
    drawn = sorted(map(repr, shipped_pool(world).contents))
    assert sorted(map(repr, contents(world).values())) == drawn
    caption = queries.CAPTION[world]
    assert all(caption(contents(world)[i]) == r["caption"] for i, r in records(world).items())


@pytest.mark.parametrize("world", WORLDS)
def test_queries_list_all_their_targets_and_no_other(world):
    """Looked for by brute force over the records, for every query."""
    pool, every = shipped_pool(world), contents(world)
    assert len(pool.asked) == len(rows(world))
    by_subject = {}
    for image_id, content in every.items():
        by_subject.setdefault(repr(subject(content)), []).append(image_id)
    for asked, row in zip(pool.asked, rows(world), strict=True):
        reference = pool.contents[asked.reference]
        assert every[row["reference_id"]] == reference
        assert row["modification"] == asked.edit.text
        if world == "fables":
            wanted = f.make_scene(asked.edit.animals, asked.edit.action, "", "", "", "").subject
            spoken = asked.edit.spoken
        else:
            wanted, spoken = asked.edit.wanted, {}
        right = {
            i
            for i in by_subject.get(repr(wanted), [])
            if all(getattr(every[i], part) == value for part, value in spoken.items())
        }
        assert set(row["target_ids"]) == right - {row["reference_id"]} != set(), row
        assert len(set(row["target_ids"])) == len(row["target_ids"])


@pytest.mark.parametrize("world", WORLDS)
def test_descriptions_are_true_of_the_targets(world):
    for row in rows(world):
        for image_id in row["target_ids"]:
            target = contents(world)[image_id]
            if world == "wardrobe":
                assert w.caption(target) == row["union"] == row["conclusion"]
                continue
            told = read_scene(row["intersection"])
            assert told.subject == target.subject
            spoken = {p: getattr(told, p) for p in AROUND if getattr(told, p) not in SILENT}
            assert all(getattr(target, part) == value for part, value in spoken.items())


@pytest.mark.parametrize("world", WORLDS)
def test_subsets_have_six_members_the_reference_and_one_target(world):
    kept = others = 0
    for row in rows(world):
        members = row["subset_ids"]
        assert len(set(members)) == len(members) == 6
        assert row["reference_id"] in members
        assert len(set(members) & set(row["target_ids"])) == 1
        if world == "fables":  # hard negatives that keep the reference's setting
            reference = contents(world)[row["reference_id"]]
            wrong = set(members) - set(row["target_ids"]) - {row["reference_id"]}
            kept += sum(contents(world)[i].setting == reference.setting for i in wrong)
            others += len(wrong)
    if world == "fables":
        assert kept / others > 0.25  # chance is 1 in 12 settings


@pytest.mark.parametrize("world", WORLDS)
def test_every_named_thing_has_a_box(world):
    for row in records(world).values():
        content = contents(world)[row["id"]]
        if world == "fables":
            wanted = {"surroundings"} | ({"prop"} if content.prop else set())
            for i, animal in enumerate(content.animals):
                wanted |= {f"animal:{i}", f"head:{i}"}
                wanted |= {f"accessory:{i}"} if animal.accessory else set()
        else:
            wanted = {"garment", "neckline", "hem"} | ({"detail"} if content.detail else set())
            wanted |= {"sleeves"} if content.sleeve != "no" else set()
        assert wanted <= set(row["boxes"]), (row["id"], wanted - set(row["boxes"]))
        for name, (x0, y0, x1, y1) in row["boxes"].items():
            assert 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1, (row["id"], name)
