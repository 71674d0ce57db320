"""Prompts: where the words stand, and what is read out of a rationale."""

import pytest

from cirdemo import prompts
from cirdemo.types import BadInput, Rationale


def test_prompts_hold_the_modification_and_the_wanted_description():
    assert prompts.describe_prompt("make it red", "union", "a dog") == (
        "Reference: a dog. Modification: make it red. Describe the target in one sentence: "
        "everything the reference shows, with the modification done."
    )
    assert prompts.describe_prompt("make it red", "intersection", "a dog") == (
        "Reference: a dog. Modification: make it red. Describe the target in one short sentence: "
        "only what the modification is about, nothing else of the reference."
    )
    assert prompts.judge_prompt("make it red", "a red dog") == (
        "Modification: make it red. Wanted: a red dog. "
        "Does the next picture show the target? Answer Yes or No."
    )
    assert prompts.judge_prompt("make it red", "a red dog", "a dog") == (
        "Reference: a dog. Modification: make it red. Wanted: a red dog. "
        "Does the next picture show the target? Answer Yes or No."
    )
    assert prompts.reason_prompt("make it red").startswith("Modification: make it red. Think")


def test_a_rationale_is_its_caption_and_the_rest():
    told = Rationale(caption="a dog", reasoning="make it red .", conclusion="a red dog")
    caption, rest = prompts.rationale_text(told)
    assert caption == prompts.begin_rationale(
        Rationale(caption="a dog", reasoning="", conclusion="")
    )[0].removesuffix(" reasoning:")
    assert prompts.parse_rationale(f"{caption} {rest}") == told


def test_braces_of_a_user_are_only_text():
    assert "Modification: {wanted} {0}." in prompts.judge_prompt("{wanted} {0}", "a {dog}")


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        (
            "caption: a dog reasoning: change it . conclusion: a cat",
            ("a dog", "change it .", "a cat"),
        ),
        ("caption: a\nreasoning: b\nconclusion: c <emb>", ("a", "b", "c")),
        ("Caption :  a  dog Reasoning : x CONCLUSION: y  z", ("a dog", "x", "y z")),
        ("caption: reasoning: conclusion:", ("", "", "")),
        (
            "caption: a dog reasoning: it was cut off",
            ("caption: a dog reasoning: it was cut off", "", ""),
        ),
        ("", ("", "", "")),
    ],
)
def test_rationales_are_read_step_by_step(text, steps):
    caption, reasoning, conclusion = steps
    assert prompts.parse_rationale(text) == Rationale(
        caption=caption, reasoning=reasoning, conclusion=conclusion
    )


def test_what_is_written_is_read_back():
    text = prompts.RATIONALE.format(caption="a b", reasoning="c , d .", conclusion="e")
    assert prompts.parse_rationale(f"{text} {prompts.EMBED}") == Rationale(
        caption="a b", reasoning="c , d .", conclusion="e"
    )


@pytest.mark.parametrize(
    "name", ["CAPTION", "MODIFICATION", "NEXT", "JUDGE", "REASON", "RATIONALE"]
)
def test_the_hash_follows_every_prompt(monkeypatch, name):
    before = prompts.prompt_hash()
    assert before == prompts.prompt_hash()
    monkeypatch.setattr(prompts, name, getattr(prompts, name) + " please")
    assert prompts.prompt_hash() != before


def test_the_hash_follows_how_a_prompt_is_put_together(monkeypatch):
    before = prompts.prompt_hash()
    monkeypatch.setattr(prompts, "judge_prompt", lambda text, wanted, caption="": text + wanted)
    assert prompts.prompt_hash() != before


@pytest.mark.parametrize("mode", ["union", "intersection"])
def test_the_hash_follows_every_mode(monkeypatch, mode):
    before = prompts.prompt_hash()
    monkeypatch.setitem(prompts.DESCRIBE, mode, "Say it.")
    assert prompts.prompt_hash() != before


def steps(caption="", reasoning="", conclusion=""):
    return Rationale(caption=caption, reasoning=reasoning, conclusion=conclusion)


@pytest.mark.parametrize(
    ("given", "begin", "left"),
    [
        (steps(), "", True),
        (steps("a dog"), "caption: a dog reasoning:", True),
        (steps("a dog", "change it ."), "caption: a dog reasoning: change it . conclusion:", True),
        (steps("a", "b", "c"), "caption: a reasoning: b conclusion: c", False),
    ],
)
def test_a_rationale_begins_with_the_steps_that_are_given(given, begin, left):
    assert prompts.begin_rationale(given) == (begin, left)


def test_a_step_behind_one_that_is_missing_is_refused():
    with pytest.raises(BadInput, match="conclusion is written by hand, but not the reasoning"):
        prompts.begin_rationale(steps("a", "", "c"))
    with pytest.raises(BadInput, match="not the caption"):
        prompts.begin_rationale(steps("", "b"))


@pytest.mark.parametrize(
    ("given", "text", "found"),
    [
        (steps(), "", steps()),
        (steps(), "caption : a blue", steps("a blue")),
        (steps(), "caption : a dog reasoning", steps("a dog")),
        (steps(), "caption : a reasoning : change x", steps("a", "change x")),
        (steps(), "caption: a reasoning: b . conclusion: c <emb>", steps("a", "b .", "c")),
        (steps("my Dog"), "change x . conclusion : c", steps("my Dog", "change x .", "c")),
        (steps("my dog", "why: because"), "c", steps("my dog", "why: because", "c")),
        (steps("a", "b", "c"), "", steps("a", "b", "c")),
    ],
)
def test_a_rationale_is_read_while_it_is_written(given, text, found):
    assert prompts.continue_rationale(given, text) == found
