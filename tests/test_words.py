"""Phrases of a description that are its own, and words for a control."""

import pytest

from cirdemo.words import control_word, control_words, own_words, phrases

CAPTION = "a grey bear with a cape jumping in the garden at night beside a drum"


@pytest.mark.parametrize(
    ("description", "own"),
    [
        ("a grey bear with a crown jumping", "with a crown"),
        ("a pink bear with a cape jumping", "a pink bear"),
        ("a grey bear with a cape jumping beside a kite", "beside a kite"),
        ("a grey bear sleeping by the castle", "sleeping by the castle"),
        ("a grey bear jumping", "a grey bear jumping"),  # something left, nothing came
    ],
)
def test_own_words(description, own):
    assert own_words(description, CAPTION) == own


def test_own_words_are_phrases_of_the_description():
    description = "a white cat and a grey bear with a hat riding at sunset"
    assert set(phrases(own_words(description, CAPTION))) <= set(phrases(description))


def test_control_words_were_not_said():
    others = ["two foxes with scarves", "a bear in the snow", "the fox with a scarf"]
    assert control_words(others, [CAPTION, "a fox"]) == ["scarf", "scarves", "snow"]
    assert control_words(others, ["a scarf on two foxes in snow by bears"]) == []


def test_control_word_is_fixed_by_its_seed():
    texts = ["kite drum snow castle frog owl lion"]
    picked = {control_word(texts, ["a cat"], seed=str(n)) for n in range(40)}
    assert len(picked) > 3
    assert control_word(texts, ["a cat"], seed="7") == control_word(texts, ["a cat"], seed="7")
    with pytest.raises(ValueError, match="every word"):
        control_word(["a kite"], ["the kites"])
