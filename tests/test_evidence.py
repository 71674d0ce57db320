"""The `evidence` command: shape on a few queries of the shipped models, and its own small rules."""

import json
import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
from PIL import Image

from cirdemo.builder import build_engine
from cirdemo.cli import main
from cirdemo.config import Settings
from cirdemo.evaluate import evidence
from cirdemo.types import BadInput, Query, Rationale


def test_a_reason_is_true_where_both_captions_say_it():
    shown, wanted = "two brown dogs with hats sitting", "two white dogs with hats jumping"
    assert evidence._differs("brown not white", shown, wanted)
    assert evidence._differs("sitting not jumping", shown, wanted)
    assert evidence._differs("dog not dog", shown, wanted)
    assert not evidence._differs("white not brown", shown, wanted)
    assert not evidence._differs("brown not black", shown, wanted)


def test_a_bent_caption_holds_one_phrase_that_is_not_true():
    own = Rationale(caption="a brown dog sitting", reasoning="r", conclusion="c")
    other = Rationale(caption="a pink cat sitting", reasoning="", conclusion="")
    bent = evidence._bend(own, other, own, random.Random(0))
    assert bent is not None and "a pink cat" in bent.caption and bent.conclusion == "c"
    assert evidence._bend(own, own, own, random.Random(0)) is None


class Parrot:
    """A reasoner whose conclusion is the caption it is given, or always the same."""

    def __init__(self, conclusion=""):
        self.conclusion = conclusion

    def stream(self, query, given):
        said = replace(given, conclusion=self.conclusion or given.caption)
        yield SimpleNamespace(rationale=said)


def test_a_conclusion_follows_a_caption_of_another_colour_or_does_not():
    text = "a brown dog sitting"

    def handed(reasoner, colours, said="add a hat"):
        query = Query(
            query_id="q", reference=Image.new("RGB", (8, 8)), modification=said, reference_id="r"
        )
        return evidence._handed(reasoner, query, text, text, colours, random.Random(0))

    assert handed(Parrot(), ("brown", "white")) is True
    assert handed(Parrot(text), ("brown", "white")) is False
    assert handed(Parrot(), ("brown", "white"), "make it brown") is None  # said, not carried over
    assert handed(Parrot(), ("brown", "orange")) is None  # no other colour


@pytest.mark.weights
def test_the_command_measures_the_shipped_models(capsys):
    assert main(["evidence", "fables", "--limit", "12", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["queries"] == 12 and found["split"] == "val"
    bent = found["support"]["caption_bent"]
    assert bent["auc"] > 0.7 and bent["flagged_of_false"] > 2 * bent["flagged_of_true"]
    assert found["why"]["refused"] >= 6 and found["why"]["cue_hit"] > found["why"]["cue_chance"]
    with pytest.raises(BadInput, match="at least 1"):
        evidence.evidence(build_engine(Settings.from_env()), "fables", limit=0)
