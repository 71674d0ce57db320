"""What a search's page says has happened: true of the run, and of one picture at a time."""

from dataclasses import replace

import pytest

from cirdemo.types import Cue
from cirdemo.ui import happened
from tests.test_ui_learn import ranking, run_of, verdict


def _written(run, **texts):
    """The run with descriptions that say more."""
    told = {m: replace(d, text=texts[m]) for m, d in run.result.descriptions.items()}
    return replace(run, result=replace(run.result, descriptions=told))


def test_a_search_is_told_in_sentences_that_its_captions_bear_out():
    texts = {"union": "a dog hugging in the snow", "intersection": "a dog hugging"}
    ahead = _written(run_of(union=41, intersection=1), **texts)
    carried, apart, free = happened.walked(ahead)
    assert "leaves out “in the snow”. 2 of the union's first 10 pictures" in carried
    # the first picture of the union is p1, "a dog in the snow"
    assert "shows “in the snow”, as the reference does, but not “hugging”" in apart
    assert "speak of “in the snow”" in free and "found does not show “in the snow”." in free
    snowy = {"t": "a dog hugging a cat in the snow", **{"p1": "a dog in the snow"}}
    kept = replace(ahead, caption=lambda i: snowy.get(i, "a lion"))
    assert len(happened.walked(kept)) == 2  # the target shows it too: it is not left open
    told = {"t": "a dog hugging a cat in the snow"}
    behind = replace(
        _written(run_of(union=1, intersection=7), **texts), caption=lambda i: told.get(i, "a lion")
    )
    said = happened.walked(behind)[1]
    assert "at rank 1 still shows “in the snow”; 6 of the 6 pictures" in said
    # a target that shows nothing of it is no proof of anything
    assert len(happened.walked(replace(behind, caption=lambda i: "a lion"))) == 1
    # nor is it where the pictures before the target show it as well
    assert len(happened.walked(replace(behind, caption=lambda i: "a cat in the snow"))) == 1
    # level: nothing to tell apart
    assert len(happened.walked(_written(run_of(union=3, intersection=3), **texts))) == 1


def test_what_was_asked_for_and_passed_over_is_told():
    run = _written(run_of(union=1, intersection=4), union="a dog", intersection="a dog with a hat")
    told = run.result.descriptions
    hat = (*told["intersection"].cues, Cue(text="with a hat", status="added"))
    told = {**told, "intersection": replace(told["intersection"], cues=hat)}
    run = replace(run, result=replace(run.result, descriptions=told))
    captions = {"t": "a dog with a hat", "p1": "a dog with a hat"}
    said = happened.walked(replace(run, caption=lambda i: captions.get(i, "a lion")))
    assert len(said) == 2 and "3 pictures" in said[1] and "2 do not show “with a hat”" in said[1]


def test_a_text_that_changed_nothing_is_told_and_no_story_with_it():
    run = _written(run_of(union=41, intersection=1), union="a dog and a cat", intersection="a dog")
    same = replace(run.result.descriptions["union"], caption="a dog and a cat")
    for told, count in ((same, 1), (replace(same, writer="user"), 2)):
        both = {**run.result.descriptions, "union": told}
        said = happened.walked(replace(run, result=replace(run.result, descriptions=both)))
        assert ("The models took nothing from your text" in said[0]) == (count == 1)
    new = replace(run.result.descriptions["intersection"], text="a white dog")
    both = {"union": same, "intersection": new}
    said = happened.walked(replace(run, result=replace(run.result, descriptions=both)))
    assert "The union took nothing" in said[0] and "The intersection did" in said[0]


def test_no_yes_at_all_is_told_once_the_judge_is_done():
    run = run_of(
        judged=(verdict("t", 1, 1, 0.2), verdict("p1", 2, 2, 0.1)), union=3, intersection=3
    )
    none = "says Yes to none of the 2 candidates"
    assert none not in " ".join(happened.walked(run))  # still at work
    done = replace(run, result=replace(run.result, stage="rerank"))
    assert none in happened.walked(done)[-1] and "in its own words" not in happened.walked(done)[-1]
    said = happened.walked(done, ["not both", "there is no cat", "not both"])[-1]
    assert "Of the first 3 it writes, in its own words: “not both” and “there is no cat”." in said
    assert (
        "Of the first it writes, in its own words: “not both”."
        in happened.walked(done, ["not both"])[-1]
    )


def test_a_judge_that_refuses_a_known_target_errs():
    judged = (verdict("t", 1, 1, 0.2), verdict("p1", 2, 2, 0.1))
    run = run_of(judged=judged, union=3, intersection=3)
    run = replace(run, result=replace(run.result, stage="rerank"))
    assert "though a known target is among them." in happened.walked(run)[-1]
    assert "perhaps nothing here fits" in happened.walked(replace(run, targets={"p9"}))[-1]


def test_two_descriptions_that_took_different_halves_of_the_text_are_told():
    run = _written(
        run_of(union=3, intersection=3),
        union="a white dog in the snow",
        intersection="a black dog in the desert",
    )
    asked = replace(
        run.result.query, modification="make it white and black and in the snow and in the desert"
    )
    run = replace(run, result=replace(run.result, query=asked))
    said = " ".join(happened.walked(run))
    assert "the union “white” and “snow”, the intersection “black” and “desert”." in said
    # what only one of them says is no half of the text
    less = _written(run, union="a white dog in the snow", intersection="a white dog")
    assert "different parts" not in " ".join(happened.walked(less))


def test_what_the_target_keeps_by_chance_is_accounted_for():
    run = _written(
        run_of(union=41, intersection=1),
        union="a dog hugging in the snow at night",
        intersection="a dog hugging",
    )
    cues = [Cue(text=t, status="kept") for t in ("in the snow", "at night")]
    away = [Cue(text=c.text, status="dropped") for c in cues]
    told = run.result.descriptions
    told = {
        "union": replace(told["union"], cues=tuple(cues)),
        "intersection": replace(told["intersection"], cues=tuple(away)),
    }
    captions = {"t": "a dog hugging a cat at night", "p1": "a dog in the snow at night"}
    run = replace(
        run,
        result=replace(run.result, descriptions=told),
        caption=lambda i: captions.get(i, "a lion"),
    )
    free = happened.walked(run)[2]
    assert "does not show “in the snow”; it happens to keep “at night”." in free
    behind = replace(
        run,
        result=replace(
            run.result,
            coarse={"union": ranking("union", 1), "intersection": ranking("intersection", 7)},
        ),
    )
    assert "still shows “at night” (it happens to lack “in the snow”)" in happened.walked(behind)[1]


def test_a_search_says_nothing_of_pictures_without_captions():
    run = run_of(union=41, intersection=1)
    assert happened.walked(replace(run, caption=lambda i: i)) == ()
    assert happened.walked(run_of(union=41)) == ()  # nothing to compare


@pytest.mark.parametrize(
    ("judged", "said"),
    [
        ((verdict("t", 1, 3, 0.9), verdict("p1", 2, 1, 0.1)), "moved the target up: 3 → 1"),
        ((verdict("p1", 1, 2, 0.9), verdict("t", 2, 1, 0.1)), "moved the target down: 1 → 2"),
        ((verdict("t", 1, 1, 0.9),), "left the target at rank 1"),
        ((verdict("p1", 1, 1, 0.9),), "No target was among the candidates"),
    ],
)
def test_a_search_says_what_the_judge_did(judged, said):
    run = run_of(judged=judged, union=3, intersection=3)
    assert said in happened.walked(run)[-1]
    assert said not in " ".join(happened.walked(replace(run, targets=set())))


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [  # (rank, coarse rank) of two targets
        (
            (3, 5),
            (1, 8),
            "moved the best-placed target up: 5 → 3, and put another target before it: 8 → 1",
        ),
        (
            (2, 1),
            (1, 2),
            "moved the best-placed target down: 1 → 2, and put another target before it: 2 → 1",
        ),
        (
            (3, 3),
            (1, 5),
            "left the best-placed target at rank 3, and put another target before it: 5 → 1",
        ),
        (
            (1, 2),
            (2, 1),
            "moved the best-placed target down: 1 → 2, and put another target before it: 2 → 1",
        ),
        ((1, 2), (3, 5), "moved the best-placed target up: 2 → 1."),
    ],
)
def test_every_move_that_is_told_is_one_pictures(first, second, said):
    judged = tuple(verdict(i, *at, 0.9) for i, at in (("t", first), ("t2", second)))
    run = replace(run_of(judged=judged, union=3, intersection=3), targets={"t", "t2"})
    assert said in happened.walked(run)[-1]
    early = replace(run, result=replace(run.result, stage="judging"))
    assert "The judge" not in " ".join(happened.walked(early))  # its order is not final yet


@pytest.mark.parametrize(
    ("union", "intersection", "lost"), [(1, 20, True), (20, 1, False), (3, 3, False)]
)
def test_a_loss_is_one_where_the_union_is_ahead(union, intersection, lost):
    run = run_of(union=union, intersection=intersection)
    assert happened.dropped_too_much(run) is lost
    assert not happened.dropped_too_much(replace(run, targets=set()))
