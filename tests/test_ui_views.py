"""The page's fragments: records in, HTML out."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from fake_ui_engine import FakeEngine
from PIL import Image

from cirdemo.engine import STRANGE_PICTURE
from cirdemo.export import search_json
from cirdemo.types import Cue, Reranked
from cirdemo.ui import cards
from cirdemo.ui.cards import Marks
from cirdemo.ui.search import header, judge_views, views
from cirdemo.ui.view import View


class Pictures:
    """Addresses and words without files."""

    def src(self, image_id: str) -> str:
        return f"thumb/{image_id}"

    def alt(self, image_id: str) -> str:
        return f'a "fox" {image_id}'


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    engine = FakeEngine(tmp_path_factory.mktemp("pictures"), count=30)
    query = engine.make_query(text="hugging", reference=Image.new("RGB", (32, 32)))
    return list(engine.search(query))


@pytest.mark.parametrize(
    ("status", "symbol", "tag"),
    [
        ("kept", "=", "span"),
        ("dropped", "−", "s"),
        ("added", "+", "span"),
        ("changed", "→", "span"),
    ],
)
def test_a_chip_tells_its_status_by_symbol_words_and_stroke(status, symbol, tag):
    html = cards.chip(Cue(text="in the snow", status=status))
    assert f">{symbol}<" in html and f"{status}: " in html and f"<{tag}>in the snow" in html


def test_a_phrase_that_only_lost_words_is_not_called_changed():
    html = cards.chip(Cue(text="a red plain toptee → a toptee", status="changed"), "intersection")
    assert "a <s>red plain</s> toptee" in html and "changed" not in html
    assert 'class="chip dropped"' in html and "click to drop it" in html
    assert 'data-value="a toptee"' in html
    html = cards.chip(Cue(text="a red toptee → a blue toptee", status="changed"))
    assert "changed: " in html and "<s>" not in html


def test_text_from_outside_cannot_become_markup():
    html = cards.chip(Cue(text="<img src=x onerror=alert(1)>", status="kept"))
    assert "<img" not in html
    html = header.notice(None, extra="<b>x</b>")
    assert "<b>x</b>" not in html


def test_a_card_says_rank_words_and_marks():
    marks = Marks(frozenset({"a"}), frozenset({"a"}), "a")
    html = cards.card("a", Pictures(), marks, 3, foot="", says="cosine 0.5")
    assert 'aria-pressed="true"' in html and 'data-id="a"' in html and "★" in html and "◆" in html
    label = re.search(r'aria-label="([^"]+)"', html).group(1)
    assert label.startswith("rank 3, a &quot;fox&quot; a") and "known target" in label


def item(rank, coarse):
    return Reranked(
        image_id="a", rank=rank, coarse_rank=coarse, score=0.5, yes_probability=0.97, margin=3.0
    )


@pytest.mark.parametrize(("rank", "coarse", "sign"), [(1, 5, "▲ 4"), (5, 1, "▼ 4"), (2, 2, "=")])
def test_movement_has_a_sign_beside_its_colour(rank, coarse, sign):
    html = judge_views.movement(item(rank, coarse))
    assert f"was {coarse} → {rank}" in html and sign in html


def test_p_yes_is_a_bar_and_a_number():
    html = judge_views.yes_bar(0.97)
    assert "--p:97.0%" in html and ">0.97<" in html


@pytest.mark.parametrize(
    ("p", "shown"),
    [(0.5, "0.50"), (0.004, "0.0040"), (0.9971, "0.9971"), (1e-9, "&lt;0.0001"), (1, "&gt;0.9999")],
)
def test_p_yes_near_its_ends_still_tells_candidates_apart(p, shown):
    assert judge_views.chance(p) == shown


def test_rank_flow_draws_a_line_a_picture_and_marks_the_target(stages):
    shown = stages[-1].reranked
    marks = Marks(frozenset({shown[2].image_id}))
    svg = judge_views.flow(shown, Pictures(), marks, "intersection", lines=12)
    assert svg.count("<path") == 12 and svg.count(" hit") == 1 and "3 ★" in svg
    three = judge_views.flow(shown, Pictures(), marks, "union", stages[-1].coarse["cot"])
    assert three.count("<path") == 24 and "reasoning" in three and "P(Yes)" in three


def test_rank_flow_shows_a_target_however_far_down(stages):
    shown = stages[-1].reranked
    marks = Marks(frozenset({shown[25].image_id}))
    svg = judge_views.flow(shown, Pictures(), marks, "intersection", lines=12)
    assert svg.count("<path") == 13 and "26 ★" in svg


def test_every_waiting_chapter_says_what_it_will_show():
    for number in range(1, 6):
        assert views.WAITING[number][:20] in views.waiting(number)
        assert views.TITLES[number] in views.waiting(number)


def test_descriptions_show_both_modes_and_the_seconds(stages):
    html = views.describe(stages[0], View())
    assert "Union" in html and "Intersection" in html and "0.41 s" in html
    assert "<s>in the snow</s>" in html


def test_coarse_shows_ten_of_each_and_the_legend_of_marks_in_use(stages):
    marks = views.marks_of(stages[1], View())
    html = views.coarse(stages[1], Pictures(), marks, View())
    assert html.count("data-id=") == 20 and "known target" not in html
    first, second = stages[1].coarse["union"].ids[:2]
    marks = views.marks_of(stages[1], View(less=(second,)), [first], [first, second])
    html = views.coarse(stages[1], Pictures(), marks, View(), ["image"])
    assert "known target" in html and "named hard negative" in html and "not liked" in html
    assert marks.subset == {second} and "Image only" in html


def test_what_a_change_moved_is_told_on_the_cards(stages):
    now = stages[1]
    union = now.coarse["union"]
    order = enumerate(reversed(union.candidates), start=1)
    turned = replace(union, candidates=tuple(replace(c, rank=n) for n, c in order))
    before = replace(now, coarse={**now.coarse, "union": turned})
    marks = views.marks_of(now, View())
    html = views.coarse(now, Pictures(), marks, View(), before=before)
    count = len(union.ids)
    assert f"was {count} " in html and "▲" in html
    assert "was" not in views.coarse(now, Pictures(), marks, View(), before=now)


def test_judging_in_progress_is_ordered_by_margin_and_counts(stages):
    partial = next(s for s in stages if s.stage == "judging")
    html = judge_views.judge(partial, Pictures(), Marks(), View())
    assert f"10 of {min(50, 30)} judged…" in html and html.count("data-p=") == 10
    shown = [float(p) for p in re.findall(r'data-p="([\d.]+)"', html)]
    assert shown == sorted(shown, reverse=True)


def test_cards_under_the_threshold_are_pale_and_counted(stages):
    html = judge_views.judge(stages[-1], Pictures(), Marks(), View(threshold=0.5))
    over = sum(j.yes_probability >= 0.5 for j in stages[-1].judgements.values())
    assert f"{over} of {len(stages[-1].judgements)} at or above" in html
    assert html.count("card under") == len(stages[-1].judgements) - over


def test_the_switches_say_what_they_do_and_the_rest_of_a_long_list_is_one_press_away(stages):
    html = judge_views.judge(stages[-1], Pictures(), Marks(), View())
    assert "<small>the small addition that taught the model to judge</small>" in html
    assert "<small>order by the verdict" in html and "Show all 30" in html
    few = replace(stages[-1], reranked=stages[-1].reranked[:12])
    assert "Show all" not in judge_views.judge(few, Pictures(), Marks(), View())


def test_with_the_adapter_off_both_verdicts_are_told(stages):
    first = stages[-1].reranked[0].image_id
    html = judge_views.judge(stages[-1], Pictures(), Marks(), View(tuned=False), {first: 0.25})
    assert "with LoRA 0.25" in html and "not calibrated" in html


def test_the_notice_tells_unknown_words_and_the_targets_rank(stages):
    target = stages[-1].reranked[3].image_id
    html = header.notice(stages[-1], [target], pictures=Pictures())
    assert "re-ranked</span><b>4</b>" in html
    assert "known target: " in html and "union puts this first: " in html
    nowhere = header.notice(stages[-1], ["of another gallery"])
    assert f'<b class="none">beyond {len(stages[-1].coarse["union"].ids)}</b>' in nowhere
    assert header.notice(None) == ""
    strange = replace(stages[0], notices=(STRANGE_PICTURE,))
    assert STRANGE_PICTURE in header.notice(strange)


def test_several_targets_keep_their_places_and_a_rank_says_whose_it_is(stages):
    union, intersection = (stages[-1].coarse[m].ids for m in ("union", "intersection"))
    # the one that a list has first is not the one that the other has first
    targets = ("not in any list", intersection[1], union[2])
    shown = []
    for result in stages[1:]:
        html = header.standing(result, targets, Pictures())
        shown.append(html[html.index("<figure") : html.index("</figure>")])
    assert len(set(shown)) == 1  # through the whole run
    assert [shown[0].index(f"thumb/{t}") for t in targets] == sorted(
        shown[0].index(f"thumb/{t}") for t in targets
    )
    assert "3 known targets" in shown[0] and shown[0].count("<img") == 3
    html = header.standing(stages[1], targets, Pictures())
    ranks = [
        min((ids.index(t) + 1, x) for t, x in zip(targets, "ABC", strict=True) if t in ids)
        for ids in (union, intersection)
    ]
    for name, (rank, letter) in zip(("union", "intersection"), ranks, strict=True):
        assert f"<span>{name}</span><b>{rank} <i>{letter}</i></b>" in html
    one = header.standing(stages[-1], targets[:1], Pictures())
    assert "the known target<" in one and "<i>" not in one
    many = header.standing(stages[-1], union[:12], Pictures())
    assert "12 known targets, the first 8 shown" in many


def test_results_never_stand_unnamed_and_a_loss_can_be_mended(stages):
    html = header.notice(stages[0], src="thumb/ref")
    assert 'src="thumb/ref"' in html and "<q>hugging</q>" in html
    told = ["something happened"]
    assert 'data-action="restore"' in header.notice(stages[-1], told=told, restore=True)
    assert "restore" not in header.notice(stages[-1], told=told)


def test_the_json_answer_has_the_contract_of_the_command_line(stages):
    answer = search_json(stages[-1], top=5)
    assert set(answer) >= {"query", "descriptions", "coarse", "reranked", "rationale", "seconds"}
    assert all(len(ranking) == 5 for ranking in answer["coarse"].values())
    assert len(answer["reranked"]) == 30 and set(answer["reranked"][0]) == {
        "image_id",
        "rank",
        "coarse_rank",
        "score",
        "p_yes",
    }
