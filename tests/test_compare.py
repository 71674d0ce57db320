"""Two settings on the same queries: wins, the paired bootstrap, McNemar, and the run itself."""

import json
import math

import numpy as np
import pytest
from fakes import ScriptedJudge, ScriptedWriter, fake_engine

from cirdemo.cli import main
from cirdemo.evaluate import evaluate
from cirdemo.evaluate.compare import (
    compare,
    gain,
    mcnemar,
    outcome,
    paired_bootstrap,
    table,
    tally,
    verdict,
)
from cirdemo.evaluate.duel import Setting, duel
from cirdemo.types import BadInput, CirError, UnknownName


def side(rank):
    return {"rank": rank, "R@1": float(rank == 1), "R@10": float(bool(rank) and rank <= 10)}


def rows_of(*pairs):
    return [{"a": side(a), "b": side(b)} for a, b in pairs]


# --- pure functions -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [
        (0, 0, 1.0),
        (5, 5, 1.0),
        (1, 0, 1.0),
        (9, 1, 0.021484375),  # 2 (1 + 10) / 2^10
        (0, 10, 0.001953125),  # 2 / 2^10
        (2, 8, 0.109375),  # 2 (1 + 10 + 45) / 2^10
    ],
)
def test_mcnemar_known_values(only_a, only_b, p):
    assert mcnemar(only_a, only_b) == pytest.approx(p, abs=1e-15)
    assert mcnemar(only_b, only_a) == mcnemar(only_a, only_b)


def test_mcnemar_is_the_exact_binomial_test_and_survives_many_queries():
    stats = pytest.importorskip("scipy.stats")
    for a, b in [(3, 11), (40, 61), (700, 650)]:
        assert mcnemar(a, b) == pytest.approx(stats.binomtest(a, a + b).pvalue, rel=1e-9)
    assert 0 < mcnemar(3000, 2000) < 1e-20
    with pytest.raises(ValueError, match="negative"):
        mcnemar(-1, 3)


def test_win_tie_loss_go_by_the_best_target_and_none_is_last():
    rows = rows_of((1, 2), (3, 3), (9, 4), (None, 900), (700, None), (None, None))
    assert [outcome(r) for r in rows] == ["win", "tie", "loss", "loss", "win", "tie"]
    assert tally(rows) == {"win": 2, "tie": 2, "loss": 2}
    assert [gain(r) for r in rows[:2]] == [1.0, 0.0]
    assert gain(rows[3]) == -math.inf and gain(rows[4]) == math.inf and gain(rows[5]) == 0


def test_swapping_the_settings_turns_every_sign():
    rows = rows_of((1, 5), (2, 1), (1, 40), (12, 3), (1, 1))
    there, back = compare(rows), compare([{"a": r["b"], "b": r["a"]} for r in rows])
    assert (there["win"], there["loss"]) == (back["loss"], back["win"])
    for name, m in there["metrics"].items():
        other = back["metrics"][name]
        assert m["difference"] == pytest.approx(-other["difference"])
        assert m["interval"] == pytest.approx([-x for x in reversed(other["interval"])])
    assert there["mcnemar"]["p"] == back["mcnemar"]["p"]


def test_metrics_by_hand():
    found = compare(rows_of((1, 2), (4, 1), (20, 10), (None, 5)))["metrics"]
    assert found["R@1"]["a"] == 0.25 and found["R@10"]["b"] == 1.0
    assert found["MRR"]["a"] == pytest.approx((1 + 1 / 4 + 1 / 20 + 0) / 4)
    assert found["MRR"]["b"] == pytest.approx((1 / 2 + 1 + 1 / 10 + 1 / 5) / 4)


def test_the_interval_is_paired_seeded_and_shrinks():
    rng = np.random.default_rng(1)
    hard = rng.normal(size=400) * 5  # what makes a query hard for both
    a, b = hard + 0.3 + rng.normal(size=400) * 0.1, hard + rng.normal(size=400) * 0.1
    ((low, high),) = paired_bootstrap((a - b)[:, None], seed=3)
    assert 0.27 < low < 0.3 < high < 0.33  # unpaired, the ends would be about 0.7 apart
    assert paired_bootstrap((a - b)[:, None], seed=3) == [(low, high)]
    assert paired_bootstrap((a - b)[:, None], seed=4) != [(low, high)]
    ((few_low, few_high),) = paired_bootstrap((a - b)[:40, None], seed=3)
    assert few_high - few_low > high - low


def test_settings_that_never_differ_have_an_interval_of_nothing():
    found = compare(rows_of(*[(1, 1)] * 6, *[(30, 30)] * 4))
    assert found["metrics"]["R@10"]["interval"] == [0.0, 0.0]
    assert found["mcnemar"] == {"both": 6, "only_a": 0, "only_b": 0, "neither": 4, "p": 1.0}
    assert "no difference" in verdict(found)


def test_the_verdict_names_the_better_one_or_says_that_none_is():
    sure = verdict(compare(rows_of(*[(1, 2)] * 12, (2, 1))))
    assert sure.startswith("A is better at rank 1") and "p = 0.003" in sure
    assert verdict(compare(rows_of(*[(2, 1)] * 12))).startswith("B is better")
    assert "cannot be told apart" in verdict(compare(rows_of((1, 2), (2, 1), (1, 4))))
    assert "No query" in verdict(compare([])) and table([]).shape == (0, 3, 2)


# --- settings -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec",
    ["union", "intersection,judge=50,fuse", "sum,text=0.5", "rrf:union+cot,judge=20", "text"],
)
def test_a_setting_reads_what_it_writes(spec):
    assert str(Setting.parse(spec)) == spec


def test_setr_is_short_for_its_parts():
    assert Setting.parse("setr") == Setting(method="intersection", depth=50)
    assert str(Setting.parse("setr_fused")) == "intersection,judge=50,fuse"
    assert Setting.parse(" union , judge ").depth == 50


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("", "begins with a method"),
        ("union,judge=many", "Cannot read 'judge=many'"),
        ("union,depth=3", "Cannot read 'depth=3'"),
        ("union,judge=1000", "0 to 200"),
        ("union,fuse", "turn the judge on"),
        ("sum,text=2", "between 0 and 1"),
        ("union,text=0.5", "is for 'sum'"),
    ],
)
def test_a_wrong_setting_says_what_is_right(spec, says):
    with pytest.raises(BadInput, match=says):
        Setting.parse(spec)


# --- the run --------------------------------------------------------------------------------


def run(a, b, engine=None, **options):
    count, rows = duel(
        engine or fake_engine(), "fables", Setting.parse(a), Setting.parse(b), **options
    )
    rows = list(rows)
    assert len(rows) == count
    return rows


def test_rows_agree_with_evaluate():
    engine = fake_engine(judge=ScriptedJudge({"purple": 0.9, "yellow": 0.8}))
    rows = run("setr", "union", engine)
    measured = {e.method: e.rows for e in evaluate(engine, "fables", "val", ("setr", "union"))}
    for n, row in enumerate(rows):
        assert row["query_id"] == measured["setr"][n]["query_id"]
        for name, method in (("a", "setr"), ("b", "union")):
            for key in ("rank", "top", "R@1", "R@10", "mAP@10"):
                assert row[name][key] == measured[method][n][key]
            assert row[name]["target"] in row["targets"]


def test_each_picture_is_judged_once_for_both_settings_and_described_once():
    judge, writer = ScriptedJudge({"green": 0.9}), ScriptedWriter()
    run("intersection,judge=3", "intersection,judge=6", fake_engine(judge=judge, writer=writer))
    assert [len(s) for s in judge.seen] == [3, 3, 3, 3]  # the second setting adds three a query
    assert not set(judge.seen[0]) & set(judge.seen[1])
    assert judge.wanted == ["green", "green", "red", "red"]  # the intersection description
    assert writer.calls == 2


def test_what_the_judge_does_not_see_keeps_its_order():
    judge = ScriptedJudge({"white": 0.9})
    row = run("union", "union,judge=2", fake_engine(judge=judge))[0]
    assert set(row["a"]["top"][:2]) == set(row["b"]["top"][:2])
    assert row["a"]["top"][2:] == row["b"]["top"][2:]


def test_text_weights_of_both_settings_are_kept_apart():
    row = run("sum,text=1", "sum,text=0")[0]
    assert row["a"]["rank"] == 1 and row["b"]["rank"] != 1


def test_what_cannot_run_is_told_before_anything_runs():
    with pytest.raises(UnknownName, match="union"):
        run("onion", "text")
    with pytest.raises(CirError, match="no adapter"):
        run("text,judge=5", "text", fake_engine(broken={"judge": "there is no adapter"}))
    with pytest.raises(BadInput, match="no cosines"):
        run("rrf:text+image,judge=5,fuse", "text")
    with pytest.raises(CirError, match="no queries"):
        run("text", "image", split="train")
    with pytest.raises(BadInput, match="at least 1"):
        run("text", "image", limit=0)


def test_the_command_prints_one_object(capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    words = ["compare", "fables", "--a", "setr", "--b", "text", "--limit", "2"]
    assert main([*words, "--json"], make_engine=lambda settings: fake_engine()) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["queries"] == 2 and told["a"] == "intersection,judge=50" and told["b"] == "text"
    assert set(told["metrics"]) == {"R@1", "R@10", "MRR"} and len(told["rows"]) == 2
    assert told["rows"][0]["outcome"] in ("win", "tie", "loss") and told["verdict"]
    assert main(words, make_engine=lambda settings: fake_engine()) == 0
    assert "95 % paired bootstrap" in capsys.readouterr().out
    assert (
        main([*words[:-2], "--a", "sum,fuse", "--json"], make_engine=lambda s: fake_engine()) == 2
    )
    assert "turn the judge on" in json.loads(capsys.readouterr().out)["error"]["message"]
