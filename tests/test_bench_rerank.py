"""The ways that `bench rerank` holds against each other all give the same answers."""

# ruff: noqa: F811

import numpy as np
import pytest

from cirdemo import prompts
from cirdemo.bench import rerank
from cirdemo.bench import ways as asking
from cirdemo.bench.clock import Target, Times, interleaved, percentile
from cirdemo.bench.ways import Asked, Ways
from tests.fixtures_mllm import home, pictures, vlm  # noqa: F401


@pytest.fixture
def asked(pictures):
    before = (pictures[0], prompts.judge_prompt("make it white", "a white dog"))
    return Asked(before, tuple(pictures[:4]))


def test_every_way_gives_the_same_margins(vlm, asked):
    ways = Ways(vlm, "judge", asked)
    plain = ways.loop()
    assert np.ptp(plain) > 0
    np.testing.assert_allclose(ways.shared(), plain, atol=1e-4)
    np.testing.assert_allclose(ways.batch(ways.prepared()), plain, atol=1e-4)
    assert np.abs(ways.halved().shared() - plain).max() < 0.5
    assert ways.floor()().last_hidden_state.shape[:2] == (4, ways.suffix())


def test_the_librarys_pipeline_is_asked_the_same_prompt(vlm, asked, monkeypatch):
    # the pipeline knows one spelling of each label
    monkeypatch.setattr("cirdemo.models.verdicts.spellings", _capital)
    monkeypatch.setattr(asking, "spellings", _capital)
    ways = Ways(vlm, "judge", asked)
    np.testing.assert_allclose(ways.pipeline()(), ways.loop(), atol=1e-3)


def _capital(model, word, **_):
    return [model.processor.tokenizer.get_vocab()[word.capitalize()]]


def test_a_report_holds_what_the_tables_need(vlm, asked):
    asked = Asked(asked.before, asked.pictures[:2])
    report = rerank.bench(vlm, "judge", [asked], rounds=1)
    assert report["k"] == 2
    assert report["prefix_tokens"] > report["suffix_tokens"] > 16
    assert report["max_abs_diff"] < 1e-4
    assert report["same_order"]
    assert report["encoded_again"] == 0
    assert {t["met"] for t in report["targets"]} <= {True, False}
    assert report["seconds"].keys() >= {"decision_pipeline", "loop", "plain_batch", "floor"}


def test_forgotten_pictures_are_encoded_again(vlm, asked):
    ways = Ways(vlm, "judge", asked)
    ways.shared()
    there = vlm.pictures.encoded
    ways.shared()
    assert vlm.pictures.encoded == there
    ways.forget(asked.pictures[:2])  # the first is the reference too
    ways.shared()
    assert vlm.pictures.encoded == there + 2


def test_variants_take_turns_and_the_first_round_does_not_count():
    order, ticks = [], iter(range(1000))
    times = interleaved(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")},
        2,
        before={"b": lambda: order.append("before b")},
        clock=lambda: next(ticks),
    )
    assert order == ["a", "before b", "b"] * 3
    assert times["a"] == Times((1, 1))


def test_ratios_are_of_medians_with_the_spread_of_rounds():
    slow, fast = Times((4.0, 9.0, 6.0)), Times((2.0, 3.0, 3.0))
    ratio = slow.over(fast)
    assert (ratio.value, ratio.low, ratio.high) == (2.0, 2.0, 3.0)
    assert Target.of("x", ratio, 2.0).met
    assert not Target.of("x", ratio, 1.9, at_least=False).met
    assert percentile([5, 1, 4, 2, 3], 0.5) == 3
    assert percentile([1, 2], 0.95) == 2
    assert percentile([7], 0.0) == 7
