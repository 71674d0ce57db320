"""Filters, their counts and the blame in words; what probabilities are worth."""

import math
from dataclasses import replace

import numpy as np
import pytest

from cirdemo.evaluate import errors, reliability
from cirdemo.evaluate.failures import (
    CORE_AHEAD,
    LOWER,
    MISSED,
    UNION_AHEAD,
    Filter,
    counts,
    select,
    values,
    why,
)
from cirdemo.evaluate.packed import Case, Cases


def case(n, rank, blame=None, **more):
    return Case(
        query_id=f"q{n}",
        kind=more.pop("kind", "colour"),
        phrasing="seen",
        reference_id="a",
        text=more.pop("text", "make it red"),
        target_ids=("b",),
        ranks={"setr": rank, "union": 1},
        blame=blame,
        **more,
    )


MANY = (
    case(0, 1, margins=(3.0, -3.0), right=frozenset({0})),
    case(1, 4, errors.JUDGE, margins=(0.0, 2.0), right=frozenset({0}), kind="count"),
    case(2, 60, errors.COARSE, margins=(1.0,), text="two of them"),
    case(3, None, errors.COARSE),
    case(4, 2, errors.INVERSION, margins=(-2.0, 1.0), right=frozenset({0})),
)


def test_a_facet_counts_what_its_choice_would_leave():
    table = counts(MANY, Filter())
    assert table["blame"] == {
        "missed": 4, "coarse miss": 2, "re-rank inversion": 1, "judge wrong": 1, "found": 1,
    }  # fmt: skip
    assert table["band"] == {"1": 0, LOWER: 4, "2–5": 2, "over 50": 2}
    assert table["kind"] == {"colour": 3, "count": 1}
    for facet, choices in table.items():  # every number is what the click gives
        for value, count in choices.items():
            asked = Filter(**{"blame": MISSED, facet: value})
            assert len(select(MANY, asked)) == count, (facet, value)


def test_choices_are_taken_back_and_ranks_follow_the_method():
    asked = Filter().chosen("kind", "count")
    assert [c.query_id for c in select(MANY, asked)] == ["q1"]
    assert asked.chosen("kind", "count") == Filter()
    assert Filter().chosen("method", "setr").method == "setr"
    assert Filter().chosen("__class__", "x") == Filter()
    assert select(MANY, Filter(method="union", blame="", band=LOWER)) == []
    assert [c.query_id for c in select(MANY, Filter(words="TWO them"))] == ["q2"]


def test_queries_are_filed_under_the_description_that_ranks_higher():
    def ranks(union, core):
        return replace(MANY[0], ranks={"setr": 1, "union": union, "intersection": core})

    cases = (ranks(1, 3), ranks(9, 2), ranks(None, 50), ranks(4, 4), ranks(2, 8), MANY[1])
    assert counts(cases, Filter(blame=""))["versus"] == {UNION_AHEAD: 2, CORE_AHEAD: 2}
    assert select(cases, Filter(blame="", versus=UNION_AHEAD)) == [cases[0], cases[4]]


def test_p_yes_is_that_of_the_best_target():
    assert [values(c, "p", "setr")[0] for c in MANY] == [
        "0.9 and over", "0.5–0.9", "not judged", "not judged", "0.1–0.5",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "Re-ranking puts a target first"),
        (1, "gave it P(Yes) 0.50; another picture got 0.88. The target ended at rank 4"),
        (2, "among the 1 candidates that the judge saw: the best one stands at rank 60"),
        (3, "no rank"),
        (4, "gave it P(Yes) 0.12 and another picture 0.73, so it fell to rank 2"),
    ],
)
def test_the_blame_is_told_with_its_numbers(number, words):
    assert words in why(MANY[number])


def test_a_lost_cue_is_named():
    found = case(
        5,
        7,
        errors.DESCRIPTION,
        texts={"setr": "a fox sleeping"},
        truths={"intersection": "a fox sleeping beside a basket"},
        rank_with_truth=1,
    )
    assert "beside a basket" in why(found) and "rank 1 and not at rank 7" in why(found)


# --- probabilities ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pairs():
    """Candidates whose P(Yes) is right at temperature 2, judged with temperature 1."""
    rng = np.random.default_rng(0)
    margins = rng.normal(-1, 3, 8000)
    right = rng.random(8000) < 1 / (1 + np.exp(-margins / 2))
    cases = tuple(
        Case(
            query_id=f"q{n}",
            kind=("colour", "count")[n % 2],
            phrasing="",
            reference_id="a",
            text="",
            target_ids=(),
            margins=tuple(margins[n * 40 : n * 40 + 40].tolist()),
            right=frozenset(np.flatnonzero(right[n * 40 : n * 40 + 40]).tolist()),
        )
        for n in range(200)
    )
    found = reliability.judged(Cases(dataset="d", split="val", methods=("setr",), cases=cases))
    assert found is not None
    return found


def test_the_fitted_temperature_is_the_one_that_made_the_data(pairs):
    fitted = reliability.fit(pairs)
    assert fitted.temperature == pytest.approx(2, abs=0.1)
    before = reliability.scores(pairs.probabilities(1), pairs.right)
    after = reliability.scores(pairs.probabilities(fitted.temperature), pairs.right)
    assert after.ece < before.ece / 3 and after.brier < before.brier
    assert after.log_loss < before.log_loss and after.auc == pytest.approx(before.auc)
    assert before.count == 8000 and before.targets == int(pairs.right.sum())


def test_bins_hold_every_candidate_once(pairs):
    p = pairs.probabilities(2)
    bins = reliability.bins(p, pairs.right)
    assert sum(b.count for b in bins) == 8000 and len(bins) == 10
    assert all(b.low <= b.true <= b.high for b in bins)
    assert sum(b.low <= b.said <= b.high for b in bins) >= 8  # right by construction


def test_a_sweep_says_what_each_threshold_gives(pairs):
    p = pairs.probabilities(1)
    swept = reliability.sweep(p, pairs.right)
    assert swept[0].recall == 1 and swept[0].yes == 8000
    for found in swept[::25]:
        same = reliability.at(p, pairs.right, found.threshold)
        assert (same.yes, same.hits) == (found.yes, found.hits)
    assert reliability.best(swept).f1 == max(v.f1 for v in swept if not math.isnan(v.f1))
    nothing = reliability.at(np.array([0.2]), np.array([True]), 0.9)
    assert math.isnan(nothing.precision) and nothing.recall == 0


def test_kinds_part_the_candidates(pairs):
    assert len(pairs.of("colour").raw) + len(pairs.of("count").raw) == 8000


def test_what_cannot_be_read_back_is_not_drawn():
    shifted = Cases(dataset="d", split="val", methods=("setr",), cases=MANY, prior=0.1)
    assert reliability.judged(shifted) is None
    only = Cases(dataset="d", split="val", methods=("setr",), cases=MANY[2:3])
    assert reliability.fit(reliability.judged(only)) is None  # no target: nothing to fit
