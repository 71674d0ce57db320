"""What each piece of a rationale rests on."""

import re

import pytest

from cirdemo.explain.support import SURE, supports
from cirdemo.types import Rationale

SAID = Rationale(
    caption="a brown dog with a hat sitting in the snow beside a sledge",
    reasoning="change dog coat brown to white and sitting to hugging . leave out in the snow "
    "beside a sledge .",
    conclusion="a white dog with a hat hugging",
)
ASKED = "make it white, hugging instead"


def certainty(doubts):
    """Every word is sure, but for some."""

    def of(answer):
        words = [m.span() for m in re.finditer(r"\S+", answer)]
        return [(a, b, doubts.get(answer[a:b], 0.99)) for a, b in words]

    return of


def test_a_rationale_falls_into_pieces_with_their_sources():
    found = supports(SAID, ASKED, certainty({}))
    assert [(s.step, s.text, s.cue) for s in found] == [
        ("caption", "a brown dog", "a brown dog"),
        ("caption", "with a hat", "with a hat"),
        ("caption", "sitting", "sitting"),
        ("caption", "in the snow", "in the snow"),
        ("caption", "beside a sledge", "beside a sledge"),
        ("reasoning", "change dog coat brown to white", "white"),
        ("reasoning", "sitting to hugging", "hugging"),
        ("reasoning", "leave out in the snow", "in the snow"),
        ("reasoning", "beside a sledge", "beside a sledge"),
        ("conclusion", "a white dog", "white"),
        ("conclusion", "with a hat", "with a hat"),
        ("conclusion", "hugging", "hugging"),
    ]
    assert all(s.supported and s.score == 0.99 for s in found)
    assert "The modification text says “white”" in found[5].why
    assert "The caption says “in the snow”" in found[7].why


def test_a_piece_is_as_sure_as_its_least_likely_word():
    found = {(s.step, s.text): s for s in supports(SAID, ASKED, certainty({"hat": 0.2}))}
    doubtful = found["caption", "with a hat"]
    assert not doubtful.supported and doubtful.score == 0.2
    assert "Unsure whether the picture shows it" in doubtful.why and "“hat”, 0.20" in doubtful.why
    assert not found["conclusion", "with a hat"].supported
    assert found["caption", "a brown dog"].supported


def test_words_from_nowhere_and_steps_that_are_missing():
    odd = Rationale(caption="a dog", reasoning="", conclusion="a purple dragon")
    found = supports(odd, "make it fly", certainty({"dragon": SURE - 0.01}))
    assert [(s.step, s.text) for s in found] == [
        ("caption", "a dog"),
        ("conclusion", "a purple dragon"),
    ]
    assert found[1].cue == "" and "Neither caption nor modification" in found[1].why
    assert not found[1].supported
    assert supports(Rationale(caption="", reasoning="", conclusion=""), "x", certainty({})) == ()


@pytest.mark.parametrize(
    "reasoning", ["keep .", "leave out", "change . and . and", "…", "in the snow", "a. b. c"]
)
def test_any_reasoning_can_be_cut(reasoning):
    said = Rationale(caption="a dog", reasoning=reasoning, conclusion="a cat")
    for piece in supports(said, "x", certainty({})):
        assert (
            piece.text and piece.text in (said.caption, said.conclusion, reasoning, *reasoning)
        ) or piece.text in reasoning
