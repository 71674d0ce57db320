"""Fusions by hand, and the one way of a query to a list."""

import numpy as np
import pytest

from cirdemo import coarse
from cirdemo.conformance import check
from cirdemo.retrieve.fusions import Product, ReciprocalRank
from cirdemo.types import BadInput, UnknownName
from tests.fakes import fake_engine


def test_reciprocal_ranks_by_hand():
    scores = {"a": np.array([0.9, 0.5, 0.1]), "b": np.array([0.2, 0.3, 0.3])}
    fused = ReciprocalRank(("a", "b")).fuse(scores)
    # ranks in a: 1, 2, 3; in b: 3, and 1 for both that tie
    assert fused == pytest.approx([1 / 61 + 1 / 63, 1 / 62 + 1 / 61, 1 / 63 + 1 / 61])


def test_the_scale_of_a_list_does_not_matter():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=50), rng.normal(size=50)
    for fusion in (ReciprocalRank(("a", "b")), Product(("a", "b"))):
        plain = fusion.fuse({"a": a, "b": b})
        assert fusion.fuse({"a": 3 * a + 7, "b": b - 100}) == pytest.approx(plain)


def test_product_by_hand():
    # least 0.0, mean 0.5 -> 0, 1, 2; least 0.2, mean 0.3 -> 1, 2, 0
    scores = {"image": np.array([0.0, 0.5, 1.0]), "text": np.array([0.3, 0.4, 0.2])}
    harris = Product().fuse(scores)
    assert harris == pytest.approx([0 - 0.1 * 1, 2 - 0.1 * 9, 0 - 0.1 * 4])
    plain = Product(harris=0.0).fuse(scores)
    assert plain == pytest.approx([0, 2, 0])


def test_product_wants_both_and_sum_is_content_with_one():
    scores = {"image": np.array([1.0, 0.6, 0.0]), "text": np.array([0.0, 0.5, 0.4])}
    assert Product().fuse(scores).argmax() == 1
    assert (scores["image"] + scores["text"]).argmax() == 1  # 1.0, 1.1, 0.4
    scores["image"][0] = 1.2
    assert (scores["image"] + scores["text"]).argmax() == 0
    assert Product().fuse(scores).argmax() == 1


def test_a_flat_list_decides_nothing():
    scores = {"image": np.full(3, 0.5), "text": np.array([0.1, 0.3, 0.2])}
    assert np.isfinite(Product().fuse(scores)).all()


@pytest.mark.parametrize("members", [("a",), ("a", "b", "c")])
def test_product_is_of_two(members):
    with pytest.raises(BadInput, match="two lists"):
        Product(members)


@pytest.mark.parametrize("members", [("a",), ("a", "a"), ("",)])
def test_rrf_is_of_different_lists(members):
    with pytest.raises(BadInput, match="two or more"):
        ReciprocalRank(members)


def test_a_fusion_runs_where_its_members_run():
    engine = fake_engine(broken={"cot": "No checkpoint 'cot'."})
    assert engine.methods()["rrf"] == "No checkpoint 'cot'."
    assert engine.methods()["product"] is None
    engine.require(["rrf:text+union", "product:image+union"])


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("rff", UnknownName),
        ("rrf:text+imge", UnknownName),
        ("text:image", UnknownName),
        ("rrf:text", BadInput),
        ("rrf:", BadInput),
        ("product:text+image+sum", BadInput),
    ],
)
def test_names_that_mean_nothing(name, error):
    with pytest.raises(error):
        fake_engine().require([name])


def test_search_fuses_what_each_list_says():
    engine = fake_engine()
    query = engine.make_query(text="green", reference_id="red")
    options = {"methods": ("rrf:text+image", "product", "text"), "rerank": 0, "reason": False}
    last = list(engine.search(query, **options))[-1]
    assert list(last.coarse) == ["rrf:text+image", "product", "text"]
    assert list(last.composed) == ["text", "image"]  # each is composed once
    # green is first by text, last by image (2 of 8 lists end with it); yellow is high in both
    assert last.coarse["text"].ids[0] == "green"
    for name in ("rrf:text+image", "product"):
        assert last.coarse[name].ids[0] == "yellow"
        assert "red" not in last.coarse[name].ids
        scores = [c.score for c in last.coarse[name].candidates]
        assert scores == sorted(scores, reverse=True)


def test_the_reference_takes_no_rank_in_a_fused_list():
    engine = fake_engine()
    shelf = engine.gallery("fables")
    query = engine.make_query(text="red", reference_id="red")
    composed = {n: engine.composer(n).compose(query) for n in ("text", "image")}
    best = coarse.rank(engine.parts, shelf, "rrf:text+image", composed, 1, exclude="red")
    # without the reference, which is first in both, purple and yellow share rank 1 in each
    assert best.candidates[0].score == pytest.approx(2 / 61)
    assert best.ids == ("purple",)
    kept = coarse.rank(engine.parts, shelf, "rrf:text+image", composed, 1)
    assert kept.ids == ("red",)


def test_fusions_nest():
    engine = fake_engine()
    names = coarse.composers_of(engine.parts, "rrf:product+union")
    assert names == ("image", "text", "union")


@pytest.mark.parametrize("method", ["product", "rrf", "rrf:text+image"])
def test_fusions_keep_the_contract(method):
    answer = check(fake_engine(), method)
    assert answer["verdict"] == "passed", answer


def test_a_fusion_that_gives_no_numbers_fails():
    engine = fake_engine()

    class Broken(Product):
        def fuse(self, scores):
            return super().fuse(scores) * np.nan

    engine.parts.fusions["product"] = Broken
    failed = [c["name"] for c in check(engine, "product")["checks"] if c["verdict"] == "failed"]
    assert "ranking" in failed
