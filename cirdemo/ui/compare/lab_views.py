"""The counterfactual lab as HTML: what each word carries, and every variant with what it moved."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cirdemo.counterfactual import (
    WITHIN,
    Outcome,
    by_effect,
    effect,
    marked,
    robustness,
    weights,
)
from cirdemo.types import ImageId
from cirdemo.ui import cards
from cirdemo.ui.cards import Pictures, esc

TITLE = "What if the text had said otherwise?"
LEAD = (
    "One picture is pinned. For every other wording the model describes the target anew, searches "
    "and judges; see how far the picture's rank and its probability of Yes move."
)
TAGS = {
    "drop": ("−", "left out"),
    "swap": ("⇄", "swapped"),
    "negate": ("¬", "negated"),
    "paraphrase": ("≈", "rephrased"),
    "own": ("✎", "yours"),
}
SLIGHT = 0.02  # an effect below it is called none
WIDE = 150  # of the drawn rank lines, in their own units


def header(status: str = "", *, done: int = 0, of: int = 0) -> str:
    """Title, lead, and how far the run is; `of` is 0 where none runs."""
    spin = '<i class="spin" aria-hidden="true"></i>' if of else ""
    bar = f'<progress max="{of}" value="{done}" aria-label="variants done"></progress>'
    return (
        f'<header class="head"><div><h2>{TITLE}</h2><p class="lead">{LEAD}</p></div>'
        f'<p class="took" role="status">{spin}{esc(status)}</p>{bar if of else ""}</header>'
    )


def waiting() -> str:
    """What the lab shows before a run."""
    return cards.placeholder(
        "Here you will see what each word of the text carries, which wordings lose the pinned "
        "picture, and whether those that mean the same keep it."
    )


def pin(image_id: ImageId, pictures: Pictures, *, target: bool) -> str:
    """The picture that is followed."""
    alt = esc(pictures.alt(image_id))
    star = '<b class="star">★</b> known target' if target else "not a known target"
    return (
        f'<figure class="pin"><img src="{esc(pictures.src(image_id))}" alt="Pinned: {alt}" '
        f'width="96" height="96"><figcaption><b>Pinned</b><span>{alt}</span><span>{star}</span>'
        "</figcaption></figure>"
    )


def told(outcomes: Sequence[Outcome], pictures: Pictures, count: int, *, done: bool) -> str:
    """All that the outcomes say so far; `count` is the number of pictures in the gallery."""
    if not outcomes:
        return waiting()
    original = outcomes[0]
    rest = by_effect(outcomes, count) if done else list(outcomes[1:])
    rows = "".join(_row(o, original, pictures, count) for o in rest)
    order = "sorted by effect" if done else "in the order they run; sorted when all are done"
    body = (
        f'<h3>Every variant</h3><p class="fine">The ring is the original, the arrow ends where the '
        f"picture stands now; ranks on a logarithmic line from 1 to {count:,}; {order}. Effect: "
        "the larger of the change of P(Yes) and of the share of that line.</p>"
        f'<ol class="outcomes">{rows}</ol>'
        if rest
        else ""
    )
    head = _start(original, count) + _words(outcomes, count) + _sum(outcomes)
    return f'<div class="lab">{head}{body}</div>'


def _start(original: Outcome, count: int) -> str:
    """Where the picture stands under the text as written."""
    if original.error:
        return f'<p class="note"><b aria-hidden="true">i</b> {esc(original.error)}</p>'
    p = original.yes_probability
    judged = f"<li><span>P(Yes)</span><b>{p:.2f}</b></li>" if p is not None else ""
    none = "" if p is not None else "<li><span>no judge can run here: ranks alone</span></li>"
    return (
        f'<div class="board"><p>As written, the pinned picture has</p><ul><li><span>rank</span>'
        f"<b>{original.rank}</b> <span>of {count:,}</span></li>{judged}{none}</ul>"
        f'<p class="desc">searched with “{esc(original.description)}”</p></div>'
    )


def _words(outcomes: Sequence[Outcome], count: int) -> str:
    """The text with what leaving each word out did under it."""
    carried = weights(outcomes, count)
    if not carried:
        return ""
    by_word = {o.variant.word: o for o in outcomes if o.variant.word is not None}
    items = ""
    for n, word in enumerate(outcomes[0].variant.text.split()):
        share = carried.get(n)
        if share is None:
            items += f"<li><b>{esc(word)}</b><small>&nbsp;</small></li>"
            continue
        change = _left(by_word[n], outcomes[0]) if share >= SLIGHT else "no effect"
        items += (
            f'<li style="--weight:{min(1.0, share) * 60:.0f}%" title="without “{esc(word)}” the '
            f'rank is {by_word[n].rank}"><b>{esc(word)}</b><small>{change}</small></li>'
        )
    return (
        '<h3>What each word carries</h3><p class="fine">The stronger the ground, the more is lost '
        "without the word; under it the rank, or the P(Yes), that it leaves.</p>"
        f'<ol class="words">{items}</ol>'
    )


def _left(found: Outcome, original: Outcome) -> str:
    """The rank that a word leaves behind, or P(Yes) where the rank stays."""
    if found.rank != original.rank or found.yes_probability is None:
        return f"→ {found.rank}"
    return f"P(Yes) {found.yes_probability:.2f}"


def _sum(outcomes: Sequence[Outcome]) -> str:
    """The share of paraphrases that keep the picture."""
    kept, of = robustness(outcomes)
    if not of:
        return ""
    dots = "●" * kept + "○" * (of - kept)
    said = "The wording does not matter here." if kept == of else "The wording matters here."
    return (
        f'<p class="robust"><b>{kept} of {of}</b> wordings that mean the same keep the picture '
        f'among the first {WITHIN}. <span aria-hidden="true">{dots}</span> {said}</p>'
    )


def _row(found: Outcome, original: Outcome, pictures: Pictures, count: int) -> str:
    symbol, name = TAGS[found.variant.kind]
    tag = f'<span class="try {found.variant.kind}"><b aria-hidden="true">{symbol}</b>{name}</span>'
    text = _text(found, original)
    if found.error:
        return (
            f'<li class="bad">{tag}<p class="say">{text}<small>{esc(found.error)}</small></p></li>'
        )
    faint = " faint" if effect(found, original, count) < SLIGHT else ""
    alt = esc(pictures.alt(found.first)) if found.first else ""
    first = (
        f'<span class="leader"><img src="{esc(pictures.src(found.first))}" alt="now first: {alt}" '
        f'title="now first: {alt}" width="52" height="52" loading="lazy"></span>'
        if found.first
        else ""
    )
    same = found.description == original.description
    wrote = "same description" if same else f"“{found.description}”"
    return (
        f'<li class="{found.variant.kind}{faint}">{tag}<p class="say">{text}'
        f"<small>{esc(wrote)}</small></p>"
        f"{_rank(found, original, count)}{_yes(found, original)}{first}</li>"
    )


def _text(found: Outcome, original: Outcome) -> str:
    """The variant; where it is an edit of the original, with what is gone and new."""
    if found.variant.kind in ("paraphrase", "own"):
        return f"<q>{esc(found.variant.text)}</q>"
    tags = {"same": "{}", "gone": "<del>{}</del>", "new": "<ins>{}</ins>"}
    parts = [
        tags[how].format(esc(words))
        for words, how in marked(original.variant.text, found.variant.text)
    ]
    return f"<q>{' '.join(parts)}</q>"


def _sign(change: float, good_up: bool = True) -> tuple[str, str]:
    """Class and sign of a change."""
    if not change:
        return "level", "="
    up = (change > 0) is good_up
    return ("up", "▲") if up else ("down", "▼")


def _rank(found: Outcome, original: Outcome, count: int) -> str:
    if not found.rank or not original.rank:
        return "<span></span>"
    kind, sign = _sign(found.rank - original.rank, good_up=False)
    move = (
        f"{sign} {abs(found.rank - original.rank):,}" if found.rank != original.rank else "= same"
    )
    return (
        f'<span class="to"><small>rank</small><b class="num">{found.rank:,}</b>'
        f'<b class="by {kind}">{move}</b>{_arrow(original.rank, found.rank, count, kind)}</span>'
    )


def _arrow(before: int, after: int, count: int, kind: str) -> str:
    """From one rank to another on a logarithmic line."""

    def at(rank: int) -> float:
        return 6 + (WIDE - 12) * math.log(rank) / math.log(max(count, 2))

    x, y = at(before), at(after)
    tip = ""
    if abs(y - x) > 5:
        back = 4.5 if y > x else -4.5
        tip = f'<path class="tip" d="M{y:.1f} 9l{-back} -4v8z"/>'
    ticks = "".join(f"M{at(10**n):.1f} 5v8" for n in range(len(str(count))) if 10**n <= count)
    return (
        f'<svg class="arrow {kind}" viewBox="0 0 {WIDE} 18" role="img" aria-label="from rank '
        f'{before} to {after}"><path class="decade" d="{ticks}"/>'
        f'<path class="run" d="M{x:.1f} 9H{y:.1f}"/>{tip}'
        f'<circle cx="{x:.1f}" cy="9" r="3.6"/></svg>'
    )


def _yes(found: Outcome, original: Outcome) -> str:
    p, was = found.yes_probability, original.yes_probability
    if p is None or was is None:
        return "<span></span>"
    change = round(p - was, 2)
    kind, sign = _sign(change)
    move = f"{sign} {change:+.2f}" if change else "= same"
    return (
        f'<span class="to"><small>P(Yes)</small><b class="num">{p:.2f}</b>'
        f'<b class="by {kind}">{move}</b><span class="bar" aria-hidden="true">'
        f'<i style="width:{p:.0%}"></i><u style="left:{was:.0%}"></u></span></span>'
    )
