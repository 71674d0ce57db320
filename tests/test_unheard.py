"""A wish that is half understood is told as such, and one that is understood is not."""

from pathlib import Path

import pytest

from cirdemo.data.drawn.dataset import DrawnDataset
from cirdemo.data.drawn.rephrase import rephrase
from cirdemo.unheard import half_understood, never_seen, passed_over, unheard, vocabulary

WORLDS = Path(__file__).resolve().parents[1] / "assets" / "galleries"
CAPTIONS = (
    "two brown cats with hats sitting on the beach",
    "a grey fox with a crown riding a black dog in the snow beside a cake",
    "a white owl sleeping by the lake at night",
)
CAT = "a brown cat sitting by the lake"


@pytest.mark.parametrize(
    ("text", "made", "left"),
    [
        ("have it sleep on the beach while juggling", "a brown cat on the beach", ("sleep",)),
        ("let it ride a fox with a crown", "a brown cat with a crown riding", ("fox",)),
        ("add a cake and a hat", "a brown cat sitting beside a cake", ("hat",)),
        ("please make it wear a hat", "a brown cat with a hat", ()),
        ("let it ride a dog", "a brown cat riding a dog", ()),
        ("without the hat but with a crown", "a brown cat", ("crown",)),
        ("no crown, no hats", "a brown cat", ()),
        ("not riding but sleeping", "a brown cat sleeping", ()),
        ("replace the owl with a fox", "a fox", ()),
        ("an owl instead of a fox", "an owl", ()),
        ("take the cake away", "a brown cat", ()),
        ("make the cat an owl", "a brown owl", ()),
        ("turn the sky purple", "a brown cat", ()),  # seen in no caption: told elsewhere
        ("two of them, sleeping", "two brown cats sleeping", ()),
    ],
)
def test_words_that_no_description_took_up(text, made, left):
    assert unheard(text, [made, made], CAT, vocabulary(CAPTIONS)) == left


def test_a_word_in_one_description_was_heard():
    made = ["a brown cat on the beach at night", "a brown cat sleeping"]
    assert unheard("sleeping on the beach", made, CAT, vocabulary(CAPTIONS)) == ()
    assert unheard("sleeping on the beach", made, CAT, frozenset()) == ()  # nothing is known


@pytest.mark.parametrize("world", ["fables", "wardrobe"])
def test_an_understood_wish_is_not_called_half_understood(world):
    if not (WORLDS / world).is_dir():
        pytest.skip("no drawn world on disk")
    data = DrawnDataset(WORLDS / world)
    known = vocabulary(data.caption(i) for i in data.gallery_ids)
    false, asked = [], 0
    for query in data.triplets("val"):
        made = [query.union, query.intersection]
        for text in (query.modification, *rephrase(world, query.modification, query.kind)):
            asked += 1
            for caption in (data.caption(query.reference_id), ""):  # an upload has no caption
                false += [text] * bool(unheard(text, made, caption, known))
    assert asked > 1000
    assert len(false) < 0.01 * asked, false[:10]


def test_the_sentence_names_the_words_and_says_what_to_do():
    assert half_understood(()) == ""
    assert "speaks of “hat”, so nothing is searched with it." in half_understood(("hat",))
    said = half_understood(("hat", "fox", "sleep"))
    assert "of “hat”, “fox” and “sleep”, so nothing is searched with them." in said
    assert "run from there" in said


def test_words_that_left_no_trace_are_told_apart_from_those_that_were_guessed_at():
    assert never_seen((), ["a dog"]) == ""
    assert "“kimono”: what they make of it is a guess" in never_seen(("kimono",), [])
    said = never_seen(("eating", "pizza"), ["a pink deer"])
    assert said.startswith("Left out: “eating” and “pizza”.") and "these words" in said
    assert "guess" not in said
    both = never_seen(("pizza", "Kimono"), ["a deer in a kimono", "a deer"])
    assert "Left out: “pizza”." in both and "seen “Kimono”: what" in both


def test_a_long_text_of_which_little_was_taken_up_is_told():
    text = "one day the fox went out to sing for grapes but found only sour wine near an old barn"
    assert "use 1." in passed_over(text, ["a red fox"])
    assert "use none." in passed_over(text, ["a red dog"])
    assert passed_over(text, []) == "" and passed_over("let the fox sing", ["a dog"]) == ""
    assert passed_over(text, [text]) == ""
