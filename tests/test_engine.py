"""The engine over colours: stages, order, exclusion, late failures, evaluation, conformance."""

import pytest
from PIL import Image

from cirdemo.conformance import check
from cirdemo.evaluate import evaluate
from cirdemo.export import evaluation_json, fill_readme, search_json
from cirdemo.steer import Steer
from cirdemo.types import BadInput, CirError, MissingCheckpoint, UnknownName
from tests.fakes import ColourGallery, ScriptedJudge, ScriptedReasoner, ScriptedWriter, fake_engine


def query(engine, text="green", reference_id="red"):
    return engine.make_query(text=text, reference_id=reference_id)


def run(engine, q=None, **options):
    return list(engine.search(q or query(engine), **options))


def test_stages_come_in_order_and_grow():
    results = run(fake_engine())
    assert [r.stage for r in results] == ["describe", "coarse", "rerank", "reason"]
    first, coarse, rerank, last = results
    assert first.descriptions["union"].text == "red green"
    assert first.descriptions["intersection"].text == "green"
    assert not first.coarse and not coarse.reranked and rerank.rationale is None
    assert set(last.coarse) == {"union", "intersection", "cot"}
    assert list(last.seconds) == ["describe", "coarse", "rerank", "reason"]
    assert last.models == {
        "encoder": "colours",
        "writer": "scripted-writer",
        "judge": "scripted-judge",
        "reasoner": "scripted-reasoner",
    }


def test_union_is_dragged_and_intersection_is_not():
    coarse = run(fake_engine())[1].coarse
    assert coarse["union"].ids[0] == "yellow"
    assert coarse["intersection"].ids[0] == "green"


def test_reference_is_left_out_and_ties_go_by_id():
    for ranking in run(fake_engine(), methods=("image", "text"))[-1].coarse.values():
        assert "red" not in ranking.ids
        assert ranking.ids.index("grey") + 1 == ranking.ids.index("white")
        assert [c.rank for c in ranking.candidates] == list(range(1, len(ranking.ids) + 1))


def test_judge_reorders_with_the_description_and_loses_nobody():
    judge = ScriptedJudge({"white": 0.99, "blue": 0.5})
    last = run(fake_engine(judge=judge))[-1]
    assert judge.wanted == ["green"]
    assert [r.image_id for r in last.reranked[:2]] == ["white", "blue"]
    assert last.reranked[0].coarse_rank == last.coarse["intersection"].rank_of("white")
    assert {r.image_id for r in last.reranked} == set(last.coarse["intersection"].ids)


def test_depth_bounds_the_judge_and_top_bounds_the_lists():
    judge = ScriptedJudge({})
    last = run(fake_engine(judge=judge), rerank=3, top=2, reason=False)[-1]
    assert len(judge.seen[0]) == 3 and len(last.judgements) == 3
    assert len(last.reranked) == 3 and len(last.coarse["union"].ids) == 2


def test_partial_judgements_are_yielded_on_the_way(monkeypatch):
    monkeypatch.setattr("cirdemo.stages.JUDGING_STEP", 3)
    results = run(fake_engine(), reason=False)
    assert [r.stage for r in results] == ["describe", "coarse", "judging", "judging", "rerank"]
    assert [len(r.judgements) for r in results] == [0, 0, 3, 6, 8]
    assert all(len(r.reranked) == 8 for r in results[2:])


def test_stages_can_be_left_out():
    results = run(fake_engine(), rerank=0, reason=False, methods=("text",))
    assert [r.stage for r in results] == ["describe", "coarse"]
    assert results[-1].descriptions == {}


def test_setr_and_cot_by_name():
    last = run(fake_engine(), methods=("setr", "cot"), rerank=0, reason=False)[-1]
    assert set(last.coarse) == {"intersection", "cot"} and last.reranked
    assert last.coarse["cot"].ids[0] == "blue" and last.rationale.conclusion == "green"


def test_given_descriptions_replace_the_writer():
    writer = ScriptedWriter()
    engine = fake_engine(writer=writer)
    last = run(engine, descriptions={"union": "blue", "intersection": "blue"})[-1]
    assert writer.calls == 0 and last.coarse["union"].ids[0] == "blue"
    assert last.descriptions["union"].writer == "user"
    with pytest.raises(BadInput):
        run(engine, descriptions={"union": "  "})


def test_each_mode_is_written_once():
    writer = ScriptedWriter()
    run(fake_engine(writer=writer), methods=("union", "intersection", "setr"))
    assert writer.calls == 2


def test_a_failing_judge_leaves_a_notice_and_what_it_said():
    judge = ScriptedJudge({"green": 0.9}, fail_at="yellow")
    last = run(fake_engine(judge=judge))[-1]
    assert last.rationale is not None and last.coarse
    assert any("The judge failed (incident" in n for n in last.notices)
    assert "yellow" not in last.judgements and "green" in last.judgements


def test_a_failing_reasoner_leaves_a_notice():
    class Broken(ScriptedReasoner):
        def reason(self, query):
            raise MissingCheckpoint("No checkpoint 'cot'.")

    last = run(fake_engine(reasoner=Broken()))[-1]
    assert last.stage == "reason" and last.rationale is None and last.reranked
    assert last.notices == (
        "The reasoning could not run: No checkpoint 'cot'. The other lists stand.",
    )


def test_what_was_asked_for_by_name_and_cannot_run_is_an_error():
    engine = fake_engine(broken={"judge": "No checkpoint 'judge'.", "cot": "No 'cot'."})
    assert engine.methods()["setr"] == "No checkpoint 'judge'."
    assert engine.methods()["intersection"] is None
    for name in ("setr", "cot"):
        with pytest.raises(CirError, match="cannot run"):
            run(engine, methods=(name,))


def test_baselines_run_without_a_language_model():
    gone = dict.fromkeys(("union", "intersection", "cot", "judge"), "No checkpoint 'mllm'.")
    results = run(fake_engine(broken=gone), methods=("text", "image"), reason=False)
    assert [r.stage for r in results] == ["describe", "coarse"]
    assert results[0].notices == ("Nothing is re-ranked: No checkpoint 'mllm'.",)


def test_unknown_names_say_the_nearest():
    with pytest.raises(UnknownName, match="Known:"):
        run(fake_engine(), rerank_on="setr")
    engine = fake_engine()
    with pytest.raises(UnknownName, match="Did you mean 'union'"):
        run(engine, methods=("unon",))
    with pytest.raises(UnknownName, match="Did you mean 'fables'"):
        engine.gallery("fable")
    with pytest.raises(UnknownName, match="Did you mean 'green'"):
        query(engine, reference_id="gren")


def test_unknown_words_are_named():
    last = run(fake_engine(), query(fake_engine(), text="green zebra"))[-1]
    assert last.unknown_words == ("zebra",) and "“zebra”" in last.notices[0]


def test_query_wants_exactly_one_reference():
    engine, image = fake_engine(), Image.new("RGB", (64, 64), "red")
    made = engine.make_query(text="green", reference=image)
    assert made.reference_id is None and made.reference.mode == "RGB"
    assert made.query_id == engine.make_query(text="green", reference=image).query_id
    for options in ({}, {"reference": image, "reference_id": "red"}):
        with pytest.raises(BadInput):
            engine.make_query(text="green", **options)


def test_another_list_can_be_judged_under_the_same_description():
    judge = ScriptedJudge({"white": 0.99})
    last = run(fake_engine(judge=judge), methods=("text",), rerank_on="union", reason=False)[-1]
    assert set(last.coarse) == {"text", "union"}
    assert judge.wanted == ["green"]  # intersection's, as in the judge's training
    assert last.reranked[0].image_id == "white"
    assert last.reranked[0].coarse_rank == last.coarse["union"].rank_of("white")
    with pytest.raises(BadInput, match="'setr' re-ranks 'intersection'"):
        run(fake_engine(), methods=("setr",), rerank_on="union")


def test_the_fused_order_adds_the_coarse_score():
    # green has the cosine 1 and yellow 0.71: a little doubt of the judge does not outweigh that
    script = {"green": 0.50, "yellow": 0.52}
    orders = {}
    for fuse in (False, True):
        engine = fake_engine(judge=ScriptedJudge(script))
        engine.parts.encoder.get().scale = 10.0
        last = run(engine, fuse=fuse, reason=False)[-1]
        orders[fuse] = [r.image_id for r in last.reranked[:2]]
    assert orders == {False: ["yellow", "green"], True: ["green", "yellow"]}
    with pytest.raises(BadInput, match="no cosines"):
        run(fake_engine(), fuse=True, rerank_on="rrf")
    run(fake_engine(), rerank_on="rrf")  # by P(Yes) alone any list can be re-ranked


def test_the_text_s_weight_moves_the_sum():
    def first(weight):
        options = {"methods": ("sum",), "rerank": 0, "reason": False, "text_weight": weight}
        return run(fake_engine(), **options)[-1].coarse["sum"].ids

    assert first(1.0) == run(fake_engine(), methods=("text",))[-1].coarse["text"].ids
    assert first(0.0) == run(fake_engine(), methods=("image",))[-1].coarse["image"].ids
    assert first(0.5)[0] == "yellow"
    with pytest.raises(BadInput, match="between 0 and 1"):
        first(1.5)
    with pytest.raises(BadInput, match="not asked for"):
        run(fake_engine(), methods=("text",), text_weight=0.5)


def test_bad_depths_are_refused():
    for options in ({"top": 0}, {"rerank": -1}):
        with pytest.raises(BadInput):
            run(fake_engine(), **options)


def test_explain_gives_a_map_a_text():
    engine = fake_engine()
    maps = engine.explain(Image.new("RGB", (4, 4)), ["red", "green"], "x")
    assert [h.text for h in maps] == ["red", "green"]


# --- evaluation ---------------------------------------------------------------------------


def test_evaluation_by_hand():
    judge = ScriptedJudge({"green": 0.9, "purple": 0.8})
    names = ("text", "image", "union", "intersection", "setr", "cot")
    results = {r.method: r for r in evaluate(fake_engine(judge=judge), "fables", "test", names)}
    # q1: text "green" -> green first; q2: text "red" -> red first, purple after it
    assert results["text"].means["R@1"] == 1.0
    # q1 union "red green" -> yellow first; q2 union "blue red" -> purple first
    assert results["union"].means["R@1"] == 0.5
    assert [row["rank"] for row in results["union"].rows] == [4, 1]  # after yellow, grey, white
    assert results["text"].means["R_subset@1"] == 1.0  # of q1 alone, which has a subset
    assert results["union"].means["R_subset@1"] == 0.0
    assert results["intersection"].means["description_match"] == 1.0
    assert results["union"].means["description_match"] == 0.5
    assert results["cot"].means["conclusion_match"] == 1.0
    # the judge says green 0.9 and purple 0.8 of both: q1 finds green first, q2 purple second
    assert [row["rank"] for row in results["setr"].rows] == [1, 2]
    assert results["setr"].means["R@1"] == 0.5
    # positives 0.9, 0.8, 0.01; negatives 0.9, 0.8 and eleven at 0.01
    assert results["setr"].means["judge_AUC"] == pytest.approx((12.5 + 11.5 + 5.5) / 39)
    assert results["caption"].means["caption_match"] == pytest.approx(1 / 9)
    for r in results.values():
        assert set(r.interval) == set(r.means) and r.rows


def test_evaluation_json_and_readme(tmp_path):
    results = evaluate(fake_engine(), "fables", "test", ("text", "setr"), limit=1)
    report = evaluation_json(results, gallery=9)
    assert report["queries"] == 1 and report["gallery"] == 9
    assert report["methods"]["text"]["by_kind"]["colour"]["R@1"] == 1.0
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- results:fables -->\nold\n<!-- /results -->\nb\n")
    fill_readme(readme, report, "python -m cirdemo evaluate fables")
    fill_readme(readme, report, "python -m cirdemo evaluate fables")
    text = readme.read_text()
    assert "old" not in text and text.count("| text |") == 1
    assert text.startswith("a\n<!-- results:fables -->") and text.endswith("<!-- /results -->\nb\n")
    assert text.index("python -m cirdemo evaluate fables") < text.index("| method |")
    with pytest.raises(BadInput, match="results:fables"):
        fill_readme(tmp_path / "none.md", report, "x")


def test_evaluation_refuses_what_it_cannot_measure():
    with pytest.raises(CirError, match="no queries in split 'trian'"):
        evaluate(fake_engine(), "fables", "trian", ("text",))
    with pytest.raises(UnknownName, match="reference-excluded"):
        evaluate(fake_engine(), "fables", "test", ("text",), protocol="x")


def test_reference_can_be_kept():
    kept = evaluate(fake_engine(), "fables", "test", ("image",), protocol="reference-kept")
    assert kept[0].rows[0]["top"][0] == "red"


def test_search_json_has_the_contract_s_keys():
    answer = search_json(run(fake_engine())[-1], top=3)
    assert {"query", "descriptions", "coarse", "reranked", "rationale", "seconds", "models"} <= set(
        answer
    )
    assert set(answer["reranked"][0]) == {"image_id", "rank", "coarse_rank", "score", "p_yes"}
    assert len(answer["coarse"]["union"]) == 3


# --- conformance --------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["text", "image", "sum", "union", "intersection", "setr", "cot"])
def test_every_method_keeps_the_contract(method):
    answer = check(fake_engine(), method)
    assert answer["verdict"] == "passed", answer


def test_a_method_of_another_space_is_not_compatible():
    assert check(fake_engine(cot_space="other"), "cot")["verdict"] == "not compatible"


def test_an_unsteady_method_fails():
    class Unsteady(ScriptedReasoner):
        count = 0

        def reason(self, query):
            Unsteady.count += 1
            thought, vector = super().reason(query)
            return thought, [Unsteady.count, 0, vector[2]]

    answer = check(fake_engine(reasoner=Unsteady()), "cot")
    assert answer["verdict"] == "failed"
    assert "deterministic" in [c["name"] for c in answer["checks"] if c["verdict"] == "failed"]


def test_what_was_answered_is_not_asked_again():
    judge, writer = ScriptedJudge({}), ScriptedWriter()
    engine = fake_engine(judge=judge, writer=writer)
    first, again = run(engine)[-1], run(engine)[-1]
    assert first.remembered == frozenset()
    assert again.remembered == {"describe", "rerank", "reason"}
    assert len(judge.seen) == 1 and writer.calls == 2
    assert [r.image_id for r in again.reranked] == [r.image_id for r in first.reranked]


def test_a_deeper_look_judges_only_what_is_new():
    judge = ScriptedJudge({})
    engine = fake_engine(judge=judge)
    run(engine, rerank=2), run(engine, rerank=5)
    assert [len(seen) for seen in judge.seen] == [2, 3]


def test_a_picture_that_is_another_now_is_judged_anew(monkeypatch):
    judge = ScriptedJudge({})
    engine = fake_engine(judge=judge)
    run(engine)
    old = ColourGallery.digest
    painted = {"blue": "of another blue"}
    monkeypatch.setattr(ColourGallery, "digest", lambda g, i: painted.get(i) or old(g, i))
    again = run(engine)[-1]
    assert len(judge.seen) == 2 and list(judge.seen[1]) == ["blue"]
    assert "rerank" not in again.remembered


def test_liked_pictures_move_every_list_and_undoing_it_moves_them_back():
    engine = fake_engine()
    plain = run(engine)[-1].coarse
    steered = run(engine, steer=Steer(more=("blue",)))[-1].coarse
    for name in ("union", "intersection"):
        before, after = plain[name].rank_of("blue"), steered[name].rank_of("blue")
        assert after <= before
    assert any(steered[n].ids != plain[n].ids for n in plain)
    assert {n: r.ids for n, r in run(engine)[-1].coarse.items()} == {
        n: r.ids for n, r in plain.items()
    }


def test_a_negated_cue_is_marked_and_the_judge_is_told():
    judge = ScriptedJudge({})
    asked = []
    judge.judge = lambda query, *a, _old=judge.judge: (
        asked.append(query.modification) or _old(query, *a)
    )
    first = run(fake_engine(judge=judge), steer=Steer(without=("blue",)))[0]
    assert ("blue", "negated") in [(c.text, c.status) for c in first.descriptions["union"].cues]
    assert asked == ["green without blue"]
