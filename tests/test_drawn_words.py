"""The words of the drawn worlds: captions, modification texts, and what only test says."""

import json
import random
import re
from pathlib import Path

import pytest

from cirdemo.data.drawn import fables as f
from cirdemo.data.drawn import phrases, queries
from cirdemo.data.drawn import wardrobe as w
from cirdemo.train import vocabulary
from tests.drawn_language import WORLDS, read_garment, read_scene, said_by

GALLERIES = Path(__file__).resolve().parents[1] / "assets" / "galleries"
KINDS = [(world, kind) for world, (kinds, _) in WORLDS.items() for kind in kinds]
HAT_DOG = f.Animal("dog", "brown", "hat")
OWL = f.Animal("owl", "orange", "glasses")
CAT = f.Animal("cat", "white")


@pytest.mark.parametrize(
    ("noun", "many", "one"),
    [
        ("fox", "foxes", "a fox"),
        ("deer", "deer", "a deer"),
        ("owl", "owls", "an owl"),
        ("elephant", "elephants", "an elephant"),
        ("scarf", "scarves", "a scarf"),
        ("glasses", "glasses", "glasses"),
        ("hat", "hats", "a hat"),
    ],
)
def test_plurals_and_articles(noun, many, one):
    assert (f.plural(noun), f.article(noun)) == (many, one)


@pytest.mark.parametrize(
    ("animals", "action", "words"),
    [
        ((HAT_DOG,), "sitting", "a brown dog with a hat sitting"),
        ((OWL,), "sleeping", "an orange owl with glasses sleeping"),
        ((HAT_DOG,) * 2, "hugging", "two brown dogs with hats hugging"),
        ((CAT,) * 3, "jumping", "three white cats jumping"),
        ((HAT_DOG, CAT), "riding", "a brown dog with a hat riding a white cat"),
        ((CAT, OWL), "hugging", "a white cat and an orange owl with glasses hugging"),
    ],
)
def test_subjects_in_words(animals, action, words):
    assert f.subject_words(animals, action) == words


def test_whole_captions_by_hand():
    scene = f.make_scene((OWL,) * 2, "standing", "lake", "night", "rain", "cake")
    assert f.caption(scene) == (
        "two orange owls with glasses standing by the lake at night in the rain beside a cake"
    )
    assert f.caption(f.make_scene((CAT,), "sitting", "snow", "day", "clear", "")) == (
        "a white cat sitting in the snow"
    )
    garment = w.Garment("dress", "orange", "striped", "no", "v", "regular", "belt")
    assert w.caption(garment) == (
        "a medium orange striped dress with no sleeves a v neck and a belt"
    )
    assert w.garment_words("shirt", colour="orange") == "an orange shirt"


def test_pairs_without_roles_have_one_order():
    around = ("lake", "day", "clear", "")
    for action in set(f.PAIR_ACTIONS) - set(f.ROLE_ACTIONS):
        assert f.make_scene((OWL, CAT), action, *around).animals == (CAT, OWL)
        assert f.split_of((OWL, CAT), action) == f.split_of((CAT, OWL), action)
    for action in f.ROLE_ACTIONS:
        one, other = ((OWL, CAT), (CAT, OWL))
        assert f.make_scene(one, action, *around).animals == one
        assert f.make_scene(other, action, *around).animals == other


def test_captions_tell_the_whole_record():
    rng = random.Random(3)
    for _ in range(1500):
        animals, action = f.sample_subject(rng)
        scene = f.make_scene(animals, action, *f.sample_surroundings(rng))
        assert read_scene(f.caption(scene)) == scene
        assert f.from_json(json.loads(json.dumps(scene.to_json()))) == scene
        garment = w.sample_garment(rng)
        assert read_garment(w.caption(garment)) == garment
        assert w.from_json(json.loads(json.dumps(garment.to_json()))) == garment


@pytest.mark.parametrize(("world", "kind"), KINDS)
def test_every_kind_has_twelve_phrasings_and_some_only_in_test(world, kind):
    said = WORLDS[world][0][kind]
    assert len(set(said.common)) == len(said.common) >= 12
    assert len(set(said.test)) == len(said.test) >= 2
    assert not set(said.common) & set(said.test)


def _words(texts):
    return {t for text in texts for t in re.findall(r"[a-z]+", re.sub(r"\{\w+\}", " ", text))}


def test_test_phrasings_have_no_word_of_their_own(monkeypatch):
    """A miss on them is then one of structure and not of vocabulary."""
    kinds = [*phrases.FABLES.values(), *phrases.WARDROBE.values()]
    own = _words(t for said in kinds for t in said.test)
    for name in ("FABLES", "WARDROBE"):
        table = {k: phrases.Phrasings(s.common, ()) for k, s in getattr(phrases, name).items()}
        monkeypatch.setattr(phrases, name, table)
    assert own - set(vocabulary.world_words()) == set()  # of values and of common phrasings


def test_every_word_of_the_test_phrasings_is_heard_in_training():
    heard = set()
    for world in WORLDS:
        pool = queries.make_pool(world, ("train",) * 300, seed=11)
        heard |= _words(asked.edit.text for asked in pool.asked)
        heard |= _words(pool.caption(i) for i in range(len(pool.contents)))
    for kinds, _ in WORLDS.values():
        assert _words(t for said in kinds.values() for t in said.test) <= heard


def test_reader_tells_common_from_test_phrasings():
    assert said_by("fables", "colour", "make the dog white") == {"common"}
    assert said_by("fables", "colour", "could the dog be white") == {"test"}
    assert said_by("fables", "pose", "the dogs are sitting this time") == {"common"}
    assert said_by("fables", "pose", "sitting this time") == {"test"}
    assert said_by("fables", "colour", "sing a song") == set()
    assert said_by("wardrobe", "colour", "is red and not blue and a v neck please") == {
        "common",
        "test",
    }


@pytest.mark.parametrize("world", list(WORLDS))
def test_train_never_says_what_only_test_says(world):
    pool = queries.make_pool(world, ("train",) * 300, seed=11)
    assert len(pool.asked) == 1500
    for asked in pool.asked:
        assert said_by(world, asked.edit.kind, asked.edit.text) == {"common"}, asked.edit


@pytest.mark.parametrize("world", list(WORLDS))
def test_shipped_val_says_common_phrasings_and_test_says_others(world):
    rows = [json.loads(line) for line in (GALLERIES / world / "queries.jsonl").open()]
    only = dict.fromkeys(WORLDS[world][0], 0)
    for row in rows:
        ways = said_by(world, row["kind"], row["modification"])
        assert ways, row
        if row["split"] == "val":
            assert ways == {"common"}, row
        elif ways != {"common"}:
            only[row["kind"]] += 1
    assert min(only.values()) >= 1, only
    count = sum(r["split"] == "test" for r in rows)
    # half of the captions in test are of test-only phrasings; wardrobe has two a query
    assert 0.35 < sum(only.values()) / count < 0.85
    assert {r["kind"] for r in rows} == set(only)
