"""The counterfactual lab: what variants say, what they find, and how that is summed up."""

import json
from pathlib import Path

import pytest
from fakes import ScriptedJudge, fake_engine

from cirdemo.counterfactual import (
    Outcome,
    Variant,
    by_effect,
    effect,
    marked,
    robustness,
    run,
    variants,
    weights,
)
from cirdemo.counterfactual.variants import MOST_OWN, drops, negations, paraphrases, places, swaps
from cirdemo.data.drawn import rephrase, wording
from cirdemo.types import BadInput, MissingCheckpoint, UnknownName

GALLERIES = Path(__file__).resolve().parents[1] / "assets" / "galleries"


def val(world):
    lines = (GALLERIES / world / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["split"] == "val"]


# --- variants -------------------------------------------------------------------------------


def test_each_word_is_left_out_once():
    found = drops("make  it red !")
    assert [v.text for v in found] == ["it red !", "make red !", "make it !"]
    assert [v.word for v in found] == [0, 1, 2] and found[2].says == "without “red”"
    assert drops("red") == []


def test_values_are_swapped_in_their_form_and_the_same_way_every_time():
    found = swaps("turn the foxes orange", rephrase.families("fables"))
    assert found == swaps("turn the foxes orange", rephrase.families("fables"))
    assert len(found) == 4
    for v in found:
        _, _, animal, colour = v.text.split()
        assert (animal == "foxes") is not (colour == "orange")  # one edit at a time
        assert animal in ("foxes", "deer") or animal.endswith("s")
    changed = swaps("an orange owl", [("an orange", "a blue"), ("orange", "blue"), ("owl", "cat")])
    assert [v.text for v in changed] == ["a blue owl", "an orange cat"]


def test_another_one_is_no_number():
    assert not swaps("add another one", rephrase.families("fables"))


@pytest.mark.parametrize(
    ("text", "opposite"),
    [
        ("without the hat", "with the hat"),
        ("no hat please", "hat please"),
        ("not sitting but jumping", "sitting and not jumping"),
        ("i do not want the hat", "i want the hat"),
        ("the dog should be red", "the dog should not be red"),
        ("make it red", "do not make it red"),
        ("hugging instead", "not hugging instead"),
    ],
)
def test_negation_puts_a_no_in_or_takes_it_out(text, opposite):
    assert negations(text)[0].text == opposite


@pytest.mark.parametrize("world", ["fables", "wardrobe"])
def test_every_val_text_has_training_paraphrases_and_none_of_tests_own(world):
    for row in val(world):
        found = rephrase.rephrase(world, row["modification"], row["kind"])
        assert found and row["modification"] not in found and len(set(found)) == len(found)
        for text in found:
            assert wording.is_test_only(world, row["kind"], text) is False


@pytest.mark.parametrize(
    ("text", "kind", "among", "never"),
    [
        ("make it white", "colour", "paint it white", "paint them white"),
        ("the dogs should be white", "colour", "the same but the dogs are white", "is white"),
        ("the cat chasing the dog instead", "relation", "make the cat chase the dog", "them"),
        ("no hat please", "negation", "take off the hat", "scarf"),
        ("take one of them away", "comparison", "there should be one fewer", "more"),
    ],
)
def test_a_paraphrase_keeps_what_is_said(text, kind, among, never):
    found = rephrase.rephrase("fables", text, kind)
    assert among in found and not any(never in t for t in found)
    assert among in rephrase.rephrase("fables", text)  # also where the kind is not known


def test_both_captions_of_a_garment_are_rephrased():
    found = rephrase.rephrase("wardrobe", "is red and has short sleeves", "colour")
    assert all(" and " in t and "red" in t and "short" in t for t in found)
    assert any("is red" not in t and "has short sleeves" not in t for t in found)


def test_a_text_of_no_world_is_paraphrased_by_rule():
    found = paraphrases("Make the car faster.", "fables")
    assert [v.text for v in found][:2] == [
        "make the car faster please",
        "this time make the car faster",
    ]
    assert all(v.keeps_meaning for v in found)


def test_words_in_the_same_place_of_captions_are_alternatives():
    told = [f"a {c} {t}" for c in ("red", "blue", "green") for t in ("car", "bus")] * 2
    found = {w: others for w, *others in places("make the red car fly", told)}
    assert set(found["red"]) == {"blue", "green"} and "fly" not in found


def test_variants_begin_with_the_original_and_say_each_text_once():
    own = "\n".join(["  make it red", "in the sea", "in the sea", *map(str, range(40))])
    found = variants("make it red", world="fables", edit="colour", own=own)
    texts = [v.text for v in found]
    assert found[0].kind == "original" and len(set(texts)) == len(texts)
    assert "in the sea" in texts and sum(v.kind == "own" for v in found) <= MOST_OWN
    assert {v.kind for v in variants("make it red", kinds=["drop"])} == {"original", "drop"}


def test_marks_of_what_is_gone_and_new():
    assert marked("make it red", "make it blue") == [
        ("make it", "same"),
        ("red", "gone"),
        ("blue", "new"),
    ]
    assert marked("make it red", "it red") == [("make", "gone"), ("it red", "same")]


# --- the run --------------------------------------------------------------------------------


def tried(*texts):
    first, *rest = texts
    return [Variant(kind="original", text=first), *(Variant(kind="own", text=t) for t in rest)]


def outcomes(engine, texts, pinned="green", **options):
    query = engine.make_query(text=texts[0], reference_id="red", gallery="fables")
    return list(run(engine, query, pinned, tried(*texts), **options))


def test_each_variant_runs_the_whole_chain():
    judge = ScriptedJudge({"green": 0.75})
    found = outcomes(fake_engine(judge=judge), ["green", "blue", "green blue", "green green", "x"])
    assert [o.variant.text for o in found] == ["green", "blue", "green blue", "green green", "x"]
    assert found[0].rank == 1 and found[0].first == "green" and found[1].first == "blue"
    assert found[1].rank > found[2].rank > 1
    assert [o.description for o in found][:2] == ["green", "blue"] == judge.wanted[:2]
    assert all(o.yes_probability == 0.75 for o in found) and judge.seen[0] == ["green"]


def test_the_list_may_be_unions_while_the_judge_is_told_the_intersection():
    judge = ScriptedJudge({"green": 0.75})
    found = outcomes(fake_engine(judge=judge), ["green"], mode="union")
    assert found[0].description == "red green" and judge.wanted == ["green"]


def test_a_variant_that_cannot_run_is_told_in_its_place():
    found = outcomes(fake_engine(), ["green", "?" * 900, "blue"])
    assert [bool(o.error) for o in found] == [False, True, False] and "500" in found[1].error


def test_without_a_judge_there_are_ranks_alone():
    found = outcomes(fake_engine(broken={"judge": "none"}), ["green"])
    assert found[0].rank == 1 and found[0].yes_probability is None


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(BadInput, match="the reference itself"):
        outcomes(fake_engine(), ["green"], pinned="red")
    with pytest.raises(UnknownName):
        outcomes(fake_engine(), ["green"], pinned="gren")
    with pytest.raises(MissingCheckpoint):
        outcomes(fake_engine(broken={"intersection": "no model"}), ["green"])


# --- what the outcomes say ------------------------------------------------------------------


def outcome(kind, rank, p, word=None):
    return Outcome(variant=Variant(kind=kind, text="t", word=word), rank=rank, yes_probability=p)


def test_effect_is_the_larger_of_two_changes():
    start = outcome("original", 1, 0.9)
    assert effect(start, start, 1000) == 0
    assert effect(outcome("own", 1000, 0.9), start, 1000) == pytest.approx(1)
    assert effect(outcome("own", 10, 0.9), start, 1000) == pytest.approx(1 / 3)
    assert effect(outcome("own", 10, 0.1), start, 1000) == pytest.approx(0.8)
    assert effect(outcome("own", 10, None), start, 1000) == pytest.approx(1 / 3)


def test_outcomes_are_summed_up():
    told = [
        outcome("original", 1, 0.9),
        outcome("drop", 2, 0.9, word=0),
        outcome("drop", 300, 0.1, word=1),
        outcome("paraphrase", 10, 0.9),
        outcome("paraphrase", 11, 0.9),
        Outcome(variant=Variant(kind="own", text="t"), error="too long"),
    ]
    assert robustness(told) == (1, 2) and robustness(told[:3]) == (0, 0)
    order = by_effect(told, 1000)
    assert order[0] is told[2] and order[-1] is told[5] and told[0] not in order
    words = weights(told, 1000)
    assert set(words) == {0, 1} and words[1] > words[0] > 0
    assert weights(told[1:], 1000) == {}
