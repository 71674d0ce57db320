"""The reasoner as it streams, and what it makes of steps that a person wrote."""

import os

import numpy as np
import pytest

from cirdemo import prompts
from cirdemo.builder import build_engine
from cirdemo.config import Settings
from cirdemo.reason import Reasoner
from cirdemo.retrieve.learned import CotComposer
from cirdemo.types import BadInput, Composed, Query, Rationale
from tests.fixtures_mllm import home, pictures, vlm  # noqa: F401

# ruff: noqa: F811


def ask(picture, text="make it white"):
    return Query(query_id="q", reference=picture, modification=text)


def steps(caption="", reasoning="", conclusion=""):
    return Rationale(caption=caption, reasoning=reasoning, conclusion=conclusion)


def test_steps_written_by_hand_are_kept_and_move_the_vector(vlm, pictures):
    reasoner, query = Reasoner(vlm), ask(pictures[0])
    seen = []
    for given in (steps("A Dog"), steps("A Dog", "make it white ."), steps("A Dog", "so", "a cat")):
        *_, (last, vector) = reasoner.stream(query, given)
        assert last.caption == "A Dog" and last.reasoning.startswith(given.reasoning)
        assert given.conclusion in ("", last.conclusion)
        seen.append(vector)
    assert np.abs(seen[0] - seen[1]).max() > 1e-3 < np.abs(seen[1] - seen[2]).max()
    parts = list(reasoner.stream(query, steps("A Dog", "so", "a cat")))
    assert len(parts) == 1  # nothing was left to write


class Told:
    """Captions that say one thing of every picture."""

    def of(self, image):
        return "a dog in the snow"

    def of_many(self, images):
        return [self.of(image) for image in images]


def test_a_caption_is_weighed_by_who_writes_it(vlm, pictures):
    query, caption = ask(pictures[0]), "a dog in the snow"
    answer = f"caption: {caption} reasoning: make it white . conclusion: a white dog"
    mine, writers = (Reasoner(vlm, told).certainty(query, answer) for told in (None, Told()))
    behind = answer.index(" reasoning")
    begin = answer.index(caption)
    inside = [t for t in writers if t[0] < behind]
    assert [answer[a:b].strip() for a, b, _ in inside] == caption.split()
    alone = vlm.certainty([pictures[0], prompts.CAPTION], caption)
    assert inside == [(a + begin, b + begin, p) for a, b, p in alone]
    rest = [t for t in mine if t[0] >= behind]
    assert rest == [t for t in writers if t[0] >= behind] and len(rest) > 6
    assert [p for a, _, p in mine if begin <= a < behind] != [p for _, _, p in inside]


def test_the_writers_caption_is_the_first_step(vlm, pictures):
    reasoner, query = Reasoner(vlm, Told()), ask(pictures[0])
    longer = ask(pictures[1], "put it by the lake at night beside a drum")
    (one, vector), (two, other) = reasoner.reason_many([query, longer])
    assert one.caption == two.caption == "a dog in the snow"
    for asked, rationale, wanted in ((query, one, vector), (longer, two, other)):
        first, *parts, (last, streamed) = reasoner.stream(asked)
        assert first == (steps("a dog in the snow"), None) and len(parts) > 1
        assert last == rationale
        np.testing.assert_allclose(streamed, wanted, atol=1e-4)
    *_, (mine, _) = reasoner.stream(query, steps("A Cat"))
    assert mine.caption == "A Cat"


def test_steps_from_outside_are_tidied_or_refused(vlm, pictures):
    reasoner, query = Reasoner(vlm), ask(pictures[0])
    *_, (last, _) = reasoner.stream(query, steps(" a <emb> <|im_end|>\n dog "))
    assert last.caption == "a dog"
    with pytest.raises(BadInput, match="The caption that you wrote"):
        next(reasoner.stream(query, steps("x" * 501)))
    with pytest.raises(BadInput, match="not the caption before it"):
        next(reasoner.stream(query, steps("  ", "because")))


def test_the_composer_streams_rationales_and_ends_in_a_vector(vlm, pictures):
    composer = CotComposer(Reasoner(vlm), space="s")
    *parts, last = composer.stream(ask(pictures[0]))
    assert parts and all(isinstance(part, Rationale) for part in parts)
    assert isinstance(last, Composed) and last.space == "s" and last.rationale is not None


@pytest.mark.weights
def test_the_shipped_reasoner_streams_what_it_writes_at_once():
    engine = build_engine(Settings.from_env(threads=len(os.sched_getaffinity(0))))
    reasoner = engine.composer("cot")._reasoner
    for image_id, text in (("fables-0042", "two of them hugging"), ("fables-0009", "in the snow")):
        query = engine.make_query(reference_id=image_id, text=text)
        rationale, vector = reasoner.reason(query)
        *parts, (last, streamed) = reasoner.stream(query)
        assert last == rationale and last.conclusion
        np.testing.assert_allclose(streamed, vector, atol=1e-4)
        for part, none in parts:
            assert none is None
            assert rationale.caption.startswith(part.caption)
            assert not part.reasoning or part.caption == rationale.caption
        # a caption by hand: the conclusion follows it, whatever the picture shows
        coat = rationale.caption.split()[1]
        recoloured = steps(rationale.caption.replace(coat, "pink"))
        *_, (pink, _) = reasoner.stream(query, recoloured)
        assert pink.conclusion == rationale.conclusion.replace(coat, "pink")
        # a conclusion by hand: the vector turns to it
        other = steps(rationale.caption, rationale.reasoning, "two pink frogs jumping")
        *_, (_, steered) = reasoner.stream(query, other)
        said = engine.parts.encoder.get().encode_texts([other.conclusion])[0]
        assert float(steered @ said) > float(vector @ said) + 0.3
