"""Edits that nothing satisfies: they are impossible, said in the worlds' words, and varied."""

import random
from pathlib import Path

import pytest

from cirdemo.data.drawn import fables, impossible, queries
from cirdemo.data.drawn.dataset import DrawnDataset
from cirdemo.train import vocabulary


@pytest.fixture(scope="module")
def pools():
    return {w: queries.make_pool(w, ("train",) * 30, 5) for w in ("fables", "wardrobe")}


def _made(pool, kind, test=False):
    rng = random.Random(3)
    made = ((c, impossible.sample(c, kind, rng, test=test)) for c in pool.contents)
    return [(c, m) for c, m in made if m is not None]


def test_absent_names_an_animal_that_is_not_there(pools):
    made = _made(pools["fables"], "absent")
    assert len(made) > 0.8 * len(pools["fables"].contents)
    for scene, odd in made:
        noun = odd.why.removeprefix("there is no ")
        assert noun in fables.SPECIES and noun not in {a.species for a in scene.animals}
        assert f"the {noun}" in odd.text or f"the {fables.plural(noun)}" in odd.text
        assert odd.text != odd.likes[0].text


def test_a_literal_reader_shows_the_absent_animal(pools):
    shown = 0
    for scene, odd in _made(pools["fables"], "absent"):
        gone, stranger = odd.swap
        (like,) = odd.likes
        description = odd.literally(like.intersection(scene))
        assert not {gone, fables.plural(gone)} & set(description.split()) or gone in like.text
        shown += bool({stranger, fables.plural(stranger)} & set(description.split()))
    assert shown > 20
    (_, other), *_ = _made(pools["fables"], "contradiction")
    assert other.literally("a grey dog") == "a grey dog"


def test_a_contradiction_asks_for_two_different_targets(pools):
    for world, pool in pools.items():
        made = _made(pool, "contradiction")
        assert len(made) > 0.8 * len(pool.contents)
        for _, odd in made:
            one, other = odd.likes
            assert odd.text == f"{one.text} and {other.text}"
            assert one != other
        if world == "wardrobe":
            assert _made(pool, "absent") == []


def test_the_words_are_known_to_the_model(pools):
    known = vocabulary.chat_tokenizer().get_vocab()
    for world, kind in (
        ("fables", "absent"),
        ("fables", "contradiction"),
        ("wardrobe", "contradiction"),
    ):
        for _, odd in _made(pools[world], kind, test=True):
            for word in (*odd.text.split(), *odd.why.split()):
                assert word in known, (word, odd.text)


def test_training_uses_no_phrasing_of_test_alone(pools):
    both = {k: {m.text for _, m in _made(pools["fables"], "absent", test=k)} for k in (False, True)}
    assert any("please remove" in t or t.startswith("could ") for t in both[True])
    assert not any("please remove" in t for t in both[False])


def test_a_split_gives_as_many_as_asked_for():
    home = Path(__file__).parents[1] / "assets" / "galleries"
    for world, kinds in (("fables", set(impossible.KINDS)), ("wardrobe", {"contradiction"})):
        dataset = DrawnDataset(home / world)
        made = impossible.of_dataset(dataset, "test", 100)
        assert len({(i, odd.text) for i, odd in made}) == len(made) == 100
        assert {odd.kind for _, odd in made} == kinds
        assert made == impossible.of_dataset(dataset, "test", 100)
        assert {i for i, _ in made} <= {t.reference_id for t in dataset.triplets("test")}
