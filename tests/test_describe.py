"""Cues: what a description keeps, drops, adds and changes, on pairs worked out by hand."""

import pytest
from PIL import Image

from cirdemo.describe import MLLMWriter, align_cues, phrases, with_phrase, without_phrase
from cirdemo.prompts import describe_prompt
from cirdemo.types import Description, Query


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        (
            "a brown dog with a hat sitting in the snow at night",
            ["a brown dog", "with a hat", "sitting", "in the snow", "at night"],
        ),
        ("a brown dog riding a white cat", ["a brown dog", "riding", "a white cat"]),
        ("a fox and an owl hugging by the lake", ["a fox", "and an owl", "hugging", "by the lake"]),
        ("A Long RED dress, with a v neck.", ["a long red dress", "with a v neck"]),
        ("", []),
    ],
)
def test_phrases(text, cut):
    assert phrases(text) == cut


@pytest.mark.parametrize(
    ("caption", "description", "cues"),
    [
        (  # intersection: the surroundings are dropped, the colour is changed
            "a brown dog with a hat sitting in the snow at night",
            "a white dog with a hat sitting",
            [
                ("changed", "a brown dog → a white dog"),
                ("kept", "with a hat"),
                ("kept", "sitting"),
                ("dropped", "in the snow"),
                ("dropped", "at night"),
            ],
        ),
        (  # union: everything else stays
            "a brown dog sitting in the snow",
            "a white dog sitting in the snow",
            [
                ("changed", "a brown dog → a white dog"),
                ("kept", "sitting"),
                ("kept", "in the snow"),
            ],
        ),
        (  # an accessory is added
            "a brown dog sitting",
            "a brown dog with a crown sitting",
            [("kept", "a brown dog"), ("added", "with a crown"), ("kept", "sitting")],
        ),
        (  # one action takes another's place
            "a fox and an owl standing by the lake",
            "a fox and an owl hugging",
            [
                ("kept", "a fox"),
                ("kept", "and an owl"),
                ("changed", "standing → hugging"),
                ("dropped", "by the lake"),
            ],
        ),
        (  # articles and prepositions alone relate nothing: another place is not a changed one
            "a cat in the snow",
            "a cat in the city",
            [("kept", "a cat"), ("added", "in the city"), ("dropped", "in the snow")],
        ),
        (  # each phrase of the caption is changed into one phrase only
            "a red dog",
            "a red cat and a blue dog",
            [("changed", "a red dog → a red cat"), ("added", "and a blue dog")],
        ),
        (  # "and" is no change, whichever side it stands on
            "an owl riding an elephant",
            "an owl and an elephant",
            [("kept", "an owl"), ("kept", "and an elephant"), ("dropped", "riding")],
        ),
        ("a cat sitting", "a cat sitting", [("kept", "a cat"), ("kept", "sitting")]),
        ("", "a cat", [("added", "a cat")]),
        ("a cat", "", [("dropped", "a cat")]),
    ],
)
def test_cues(caption, description, cues):
    assert [(c.status, c.text) for c in align_cues(caption, description)] == cues


class Scripted:
    """Says its prompt's last word after the picture's size, and captions by size."""

    identity = "scripted@1"

    def __init__(self):
        self.asked = []

    def generate(self, turns):
        self.asked += [prompt for _, prompt in turns]
        return [f"a {image.width} dog" for image, _ in turns]

    def caption(self, images):
        return [f"a {image.width} dog sitting" for image in images]


def test_the_writer_says_what_it_asked_and_who_answered():
    model = Scripted()
    query = Query(query_id="q", reference=Image.new("RGB", (7, 7)), modification="one dog")
    found = MLLMWriter(model).write(query, "intersection")
    assert (found.text, found.mode, found.writer) == ("a 7 dog", "intersection", "scripted@1")
    asked = describe_prompt("one dog", "intersection", "a 7 dog sitting")
    assert found.prompt == asked == model.asked[0]
    assert [(c.status, c.text) for c in found.cues] == [("kept", "a 7 dog"), ("dropped", "sitting")]


def test_a_batch_is_in_order():
    queries = [
        Query(query_id=str(n), reference=Image.new("RGB", (n, n)), modification="x")
        for n in (3, 1, 2)
    ]
    texts = [d.text for d in MLLMWriter(Scripted()).write_many(queries, "union")]
    assert texts == ["a 3 dog", "a 1 dog", "a 2 dog"]


def test_cues_leave_and_return_where_they_stood():
    caption = "a grey cat with a flower riding a blue frog in the garden"
    full = Description(text=caption, mode="union", caption=caption)
    assert without_phrase(full, "in the garden") == "a grey cat with a flower riding a blue frog"
    alone = without_phrase(full, "riding")
    assert alone == "a grey cat with a flower and a blue frog in the garden"
    short = Description(text="a grey cat in the garden", mode="union", caption=caption)
    assert with_phrase(short, "with a flower") == "a grey cat with a flower in the garden"
    assert with_phrase(short, "in the snow") == "a grey cat in the garden in the snow"
