"""The judge's questions and the order that its verdicts give."""

import math

import numpy as np
import pytest
from PIL import Image

from cirdemo.prompts import judge_prompt
from cirdemo.rerank import Calibration, YesNoJudge, reorder
from cirdemo.types import Candidate, Judgement, Query, Ranking


def ranking(ids):
    return Ranking(
        query_id="q",
        method="union",
        candidates=tuple(
            Candidate(image_id=i, score=1 - rank / 10, rank=rank)
            for rank, i in enumerate(ids, start=1)
        ),
    )


def verdict(image_id, margin):
    p = 1 / (1 + math.exp(-margin))
    return Judgement(image_id=image_id, yes_probability=p, margin=margin)


def test_order_by_margin_then_coarse_rank_then_the_unjudged():
    verdicts = [verdict("d", 2.0), verdict("b", -1.0), verdict("a", -1.0), verdict("c", 0.5)]
    found = reorder(ranking("abcdef"), verdicts)
    assert [r.image_id for r in found] == ["d", "c", "a", "b", "e", "f"]
    assert [r.rank for r in found] == [1, 2, 3, 4, 5, 6]
    assert [r.coarse_rank for r in found] == [4, 3, 1, 2, 5, 6]
    assert found[0].score == ranking("abcdef").candidates[3].score
    assert found[1].yes_probability == verdict("c", 0.5).yes_probability
    assert all(math.isnan(r.yes_probability) and math.isnan(r.margin) for r in found[4:])


def test_the_unjudged_follow_even_a_sure_no_in_coarse_order():
    found = reorder(ranking("abcd"), [verdict("c", -9.0)])
    assert [r.image_id for r in found] == ["c", "a", "b", "d"]


def test_margins_decide_where_probabilities_round_to_one():
    verdicts = [verdict("a", 40.0), verdict("b", 50.0)]
    assert verdicts[0].yes_probability == verdicts[1].yes_probability == 1.0
    assert [r.image_id for r in reorder(ranking("ab"), verdicts)] == ["b", "a"]


def test_no_verdicts_and_no_candidates():
    assert [r.image_id for r in reorder(ranking("ab"), [])] == ["a", "b"]
    assert reorder(ranking(""), [verdict("a", 1.0)]) == ()


class Scripted:
    identity = "scripted@1"

    def yes_no(self, before, candidates, *, adapter=None):
        self.asked = (before, adapter)
        for image in candidates:
            yield verdict("", image.width).yes_probability, float(image.width)


def test_the_judge_shows_reference_and_all_words_before_the_candidates():
    model, reference = Scripted(), Image.new("RGB", (9, 9))
    query = Query(query_id="q", reference=reference, modification="make it red")
    shown = [("x", Image.new("RGB", (2, 2))), ("y", Image.new("RGB", (1, 1)))]
    found = list(YesNoJudge(model).judge(query, shown, "a red dog"))
    assert [(j.image_id, j.yes_probability, j.margin) for j in found] == [
        ("x", verdict("x", 2.0).yes_probability, 2.0),
        ("y", verdict("y", 1.0).yes_probability, 1.0),
    ]
    before, adapter = model.asked
    assert before[0] is reference
    assert before[1:] == [judge_prompt("make it red", "a red dog")]
    assert adapter == "judge"
    list(YesNoJudge(model, adapter=None).judge(query, shown))
    assert model.asked[1] is None


def test_without_its_adapter_the_judge_is_the_bare_model_and_uncalibrated():
    model = Scripted()
    query = Query(query_id="q", reference=Image.new("RGB", (9, 9)), modification="make it red")
    shown = [("x", Image.new("RGB", (4, 4)))]
    judge = YesNoJudge(model, calibration=Calibration(temperature=2.0), prior=0.1)
    (bare,) = judge.judge(query, shown, tuned=False)
    assert (bare.margin, model.asked[1]) == (4.0, None)
    assert bare.yes_probability == verdict("x", 4.0).yes_probability


def test_the_caption_that_the_description_was_written_from_stands_before_it():
    class Captions:
        def of(self, image):
            return f"a picture {image.width} wide"

    model = Asked()
    query = Query(query_id="q", reference=Image.new("RGB", (9, 9)), modification="make it red")
    judge = YesNoJudge(model, captions=Captions())
    list(judge.judge(query, [("x", Image.new("RGB", (4, 4)))], "a red dog"))
    before, _ = model.asked
    assert before[1:] == [judge_prompt("make it red", "a red dog", "a picture 9 wide")]
    judge.why(query, "x", Image.new("RGB", (4, 4)), "a red dog")
    assert model.questions == [judge_prompt("a red dog", "a red dog", "a picture 9 wide")]


class Asked(Scripted):
    adapters = ("judge",)

    def ask(self, reference, asked, candidate, *, adapter=None):
        self.questions = asked
        return [float(len(text) % 7) - 3 for text in asked]

    def after_no(self, before, candidate, *, adapter=None):
        return "brown not white"


def test_why_asks_for_each_phrase_alone_and_gives_a_reason_for_a_no_only():
    reference = Image.new("RGB", (9, 9))
    query = Query(query_id="q", reference=reference, modification="make it red")
    model = Asked()
    judge = YesNoJudge(model, calibration=Calibration(temperature=2.0))
    yes = judge.why(query, "x", Image.new("RGB", (4, 4)), "a red dog with a hat sitting")
    assert yes.reason == "" and yes.judgement.image_id == "x" and yes.judgement.margin == 2.0
    assert [phrase for phrase, _ in yes.cues] == ["a red dog", "with a hat", "sitting"]
    assert model.questions == [judge_prompt(p, p) for p, _ in yes.cues]
    raw = [float(len(text) % 7) - 3 for text in model.questions]
    assert [p for _, p in yes.cues] == [pytest.approx(1 / (1 + math.exp(-m / 2))) for m in raw]
    model.yes_no = lambda before, candidates, *, adapter=None: [(0.1, -3.0)]
    no = judge.why(query, "x", Image.new("RGB", (4, 4)), "a red dog")
    assert no.reason == "brown not white" and no.judgement.margin == -1.5
    bare = YesNoJudge(model, adapter=None).why(query, "x", Image.new("RGB", (4, 4)), "")
    assert bare.reason == "" and bare.cues == ()


def test_a_prior_lets_the_coarse_score_outweigh_a_small_margin():
    verdicts = [verdict("a", 0.0), verdict("b", 0.3), verdict("c", 5.0)]
    # scores are 0.9, 0.8, 0.7: with a prior of 10 a and b differ by 1.0 against 0.3
    assert [r.image_id for r in reorder(ranking("abc"), verdicts)] == ["c", "b", "a"]
    assert [r.image_id for r in reorder(ranking("abc"), verdicts, prior=10)] == ["c", "a", "b"]
    assert [r.image_id for r in reorder(ranking("abc"), verdicts, prior=100)] == ["a", "b", "c"]


def _drawn(temperature, rate, n=20_000):
    """Margins of a judge trained at one half, too sure by a temperature, on lists of a rate."""
    rng = np.random.default_rng(0)
    labels = rng.random(n) < rate
    true = rng.normal(np.where(labels, 2.0, -2.0), 2.0)  # log-odds at one half, exactly
    return list(true * temperature), list(labels)


def test_calibration_recovers_temperature_and_rate():
    margins, labels = _drawn(3.0, 0.5)
    found = Calibration.fit(margins, labels)
    assert found.temperature == pytest.approx(3.0, rel=0.05)
    assert found.rate == pytest.approx(0.5, abs=0.03)
    margins, labels = _drawn(3.0, 0.05)
    found = Calibration.fit(margins, labels)
    assert found.prior_temperature == pytest.approx(3.0, rel=0.08)
    assert found.rate == pytest.approx(0.5, abs=0.08)


def test_a_prior_makes_the_mean_probability_the_share_of_targets():
    margins, labels = _drawn(3.0, 0.05)
    found = Calibration.fit(margins, labels)
    p = [1 / (1 + math.exp(-found.margin(m, prior=0.05))) for m in margins]
    assert np.mean(p) == pytest.approx(0.05, abs=0.01)


def test_calibration_keeps_the_order_and_comes_back_from_disk(tmp_path):
    found = Calibration(temperature=2.0, prior_temperature=1.5, rate=0.2)
    found.save(tmp_path, queries=3)
    assert Calibration.load(tmp_path) == found
    assert Calibration.load(tmp_path / "none") == Calibration()
    for prior in (None, 0.01):
        moved = [found.margin(m, prior) for m in (-3.0, 0.0, 4.0)]
        assert moved == sorted(moved)
    with pytest.raises(ValueError, match="targets"):
        Calibration.fit([1.0, 2.0], [True, True])


def test_the_judge_answers_with_calibrated_margins():
    query = Query(query_id="q", reference=Image.new("RGB", (9, 9)), modification="make it red")
    shown = [("x", Image.new("RGB", (4, 4)))]
    calibration = Calibration(temperature=2.0, prior_temperature=1.0, rate=0.5)
    (cooled,) = YesNoJudge(Scripted(), calibration=calibration).judge(query, shown)
    assert cooled.margin == 2.0
    (rare,) = YesNoJudge(Scripted(), calibration=calibration, prior=0.1).judge(query, shown)
    assert rare.margin == pytest.approx(4.0 + math.log(0.1 / 0.9))
    assert rare.yes_probability == pytest.approx(1 / (1 + math.exp(-rare.margin)))
