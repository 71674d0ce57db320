"""Texts are told apart by the phrasing they were made from."""

import random
from pathlib import Path

import pytest

from cirdemo.data.drawn import edits, edits_wardrobe, fables, phrases, wardrobe
from cirdemo.data.drawn.dataset import DrawnDataset
from cirdemo.data.drawn.wording import WORLDS, is_test_only

GALLERIES = Path(__file__).resolve().parents[1] / "assets" / "galleries"
TEXTS = 12  # a template
TEMPLATES = [
    (world, kind, template, test)
    for world, table in WORLDS.items()
    for kind, known in table.items()
    for test, templates in enumerate(known)
    for template in templates
]


def texts(world, kind, template, monkeypatch):
    """Texts of one template, filled by the worlds' own edits."""
    table = {"fables": phrases.FABLES, "wardrobe": phrases.WARDROBE}[world]
    monkeypatch.setitem(table, kind, phrases.Phrasings((template,), ()))
    rng, found = random.Random(template), []
    for _ in range(4000):
        if world == "fables":
            scene = fables.make_scene(*fables.sample_subject(rng), *fables.sample_surroundings(rng))
            edit = edits.KINDS[kind](scene, rng, False)
        else:
            edit = edits_wardrobe.one_edit(wardrobe.sample_garment(rng), kind, rng, False)
        if edit is not None:
            found.append(edit.text)
        if len(found) == TEXTS:
            break
    assert found, f"nothing fills {template!r}"
    return found


@pytest.mark.parametrize(("world", "kind", "template", "test"), TEMPLATES)
def test_every_phrasing_is_told(world, kind, template, test, monkeypatch):
    is_test_only(world, kind, "")  # compiles the real table before it is replaced
    said = texts(world, kind, template, monkeypatch)
    if world == "wardrobe":  # behind a caption that train has too
        said = [f"{t} and is blue" for t in said]
    verdicts = [is_test_only(world, kind, t) for t in said]
    if not test:
        assert verdicts == [False] * len(said), said
    else:
        assert verdicts.count(True) == len(said), [
            t for t, v in zip(said, verdicts, strict=True) if not v
        ]


@pytest.mark.parametrize("world", ["fables", "wardrobe"])
def test_shipped_queries(world):
    data = DrawnDataset(GALLERIES / world)
    for split in data.splits:
        found = [is_test_only(world, t.kind, t.modification) for t in data.triplets(split)]
        assert None not in found, split
        share = found.count(True) / len(found)
        if split != "test":
            assert share == 0.0
        elif world == "fables":  # half of the texts are drawn from test's own phrasings
            assert 0.4 < share < 0.6
        else:  # either of two captions
            assert 0.65 < share < 0.85


def test_a_slot_takes_only_its_own_words():
    # "change {x} to {c}" is test's own, with "the colour of the dog" no {x}
    assert is_test_only("fables", "colour", "change the colour of the dog to white") is False
    assert is_test_only("fables", "colour", "change the dog to white") is True
    assert is_test_only("fables", "colour", "something else altogether") is None


def test_either_caption_of_a_garment_counts():
    assert is_test_only("wardrobe", "colour", "is blue and has a collar") is False
    assert is_test_only("wardrobe", "colour", "is blue and not white and a collar please") is True
    assert is_test_only("wardrobe", "colour", "is blue and a collar please") is True
    assert is_test_only("wardrobe", "colour", "is not white but blue and has a collar") is True
    assert is_test_only("wardrobe", "colour", "is blue and not white and has a collar") is False
