"""Chapter 4: verdicts as cards, the threshold, and the rank-flow chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cirdemo.types import ImageId, Ranking, Reranked, SearchResult
from cirdemo.ui import cards
from cirdemo.ui.cards import Marks, Pictures, esc
from cirdemo.ui.search import views
from cirdemo.ui.view import View

LINES = 12  # of the rank-flow chart
CHART_WAITS = cards.placeholder("The rank-flow chart follows when all candidates are judged.")
CHART_STOPPED = cards.placeholder("Stopped before all candidates were judged: no rank-flow chart.")
FEW = 12  # cards of the grid on a narrow page, as search.css has it: whole rows of 2, 3, 4 or 6
STEP, TOP, SIDE = 34, 30, 26  # pixels: between lines, above the first, of a picture


def judge(
    result: SearchResult,
    pictures: Pictures,
    marks: Marks,
    view: View,
    before: Mapping[ImageId, float] | None = None,
) -> str:
    """The re-ranked cards and the rank-flow chart; partial while judging.

    Args:
        result: With judgements.
        pictures: Thumbnails.
        marks: Which pictures are marked.
        view: Threshold, depth, switches.
        before: P(Yes) by the judge with its adapter switched the other way, where it was asked.
    """
    done = result.stage not in ("judging", "coarse", "describe")
    asked = {*result.judgements, *result.unanswered}
    items = [r for r in result.reranked if r.image_id in asked]
    if not items:
        return views.waiting(4, busy=True)
    drawn = "".join(
        unanswered_card(i, pictures, marks, result.unanswered[i.image_id])
        if i.image_id in result.unanswered
        else judged_card(i, pictures, marks, view, done, before or {})
        for i in items
    )
    if done:
        chart = flow(items, pictures, marks, view.rerank_on, result.coarse.get("cot"))
        status = ""
    else:
        depth = min(view.depth, len(result.coarse[view.rerank_on].candidates))
        chart = CHART_WAITS
        status = f"{len(items)} of {depth} judged…"
    body = (
        f'{_switches(view, items)}<div class="verdicts"><div class="flowbox">{chart}</div>'
        f'<div class="grid" role="group" aria-label="Re-ranked candidates">{drawn}</div>'
        f"{_all(len(items))}</div>"
        f"{_legend(view, before)}"
    )
    seconds = result.seconds.get("rerank") if done else None
    known = "rerank" in result.remembered
    return cards.chapter(
        4, views.TITLES[4], views.LEADS[4], body, seconds=seconds, status=status, known=known
    )


def _all(count: int) -> str:
    """On a narrow page the grid shows whole rows, and the rest at a press."""
    if count <= FEW:
        return ""
    return f'<button type="button" class="run all" data-all>Show all {count}</button>'


def judged_card(
    item: Reranked,
    pictures: Pictures,
    marks: Marks,
    view: View,
    done: bool,
    before: Mapping[ImageId, float],
) -> str:
    """A card of the re-ranked list; its movement only once the list is complete."""
    p = item.yes_probability
    was = movement(item) if done else f'<span class="move">was {item.coarse_rank}</span>'
    says = f"P(Yes) {chance(p)}, margin {item.margin:+.1f}, was rank {item.coarse_rank}"
    foot = yes_bar(p) + was
    if (other := before.get(item.image_id)) is not None:
        name = "without LoRA" if view.tuned else "with LoRA"
        foot += f'<span class="move">{name} {other:.2f}</span>'
    under = " under" if p < view.threshold else ""
    data = f'data-p="{p:.4f}" '
    drawn = cards.card(item.image_id, pictures, marks, item.rank, foot=foot, says=says, data=data)
    return drawn.replace('class="card', f'class="card{under}', 1) if under else drawn


def unanswered_card(item: Reranked, pictures: Pictures, marks: Marks, why: str) -> str:
    """A card that the judge was asked about and gave no answer for: it keeps its coarse rank."""
    says = f"no verdict: {why}; it keeps rank {item.coarse_rank}"
    foot = f'<span class="yes" title="{esc(says)}">no answer</span>'
    foot += f'<span class="move">keeps {item.coarse_rank}</span>'
    return cards.card(item.image_id, pictures, marks, item.rank, foot=foot, says=says)


def movement(item: Reranked) -> str:
    """'was 5 → now 1 ▲ 4', with the direction as a sign as well as a colour."""
    was, now = item.coarse_rank, item.rank
    return f'<span class="move">was {was} → {now} {cards.moved(was, now)}</span>'


def yes_bar(probability: float) -> str:
    """P(Yes) as a bar and a number."""
    return f'<span class="yes" style="--p:{probability:.1%}">{chance(probability)}</span>'


def chance(probability: float) -> str:
    """P(Yes) as '0.42'; near 0 and 1 with the digits that still tell two candidates apart."""
    if 0.005 <= probability < 0.995:
        return f"{probability:.2f}"
    shown = min(max(probability, 0.0001), 0.9999)
    sign = "<" if probability < shown else ">" if probability > shown else ""
    return esc(f"{sign}{shown:.4f}")


def flow(
    items: Sequence[Reranked],
    pictures: Pictures,
    marks: Marks,
    on: str,
    reasoned: Ranking | None = None,
    lines: int = LINES,
) -> str:
    """Lines from coarse rank over the judge's to the reasoning's, known targets marked.

    The best `lines` of the judge's list, and known targets further down.
    """
    shown = list(items[:lines])
    shown += [r for r in items[lines:] if r.image_id in marks.targets][:3]
    left = {r.image_id: i for i, r in enumerate(sorted(shown, key=lambda r: r.coarse_rank))}
    thought = {r.image_id: reasoned.rank_of(r.image_id) for r in shown} if reasoned else {}
    order = sorted(shown, key=lambda r: (thought.get(r.image_id) or 10**6, r.rank))
    right = {r.image_id: i for i, r in enumerate(order)}
    width = 300 if reasoned is None else 460
    parts: list[str] = []
    for i, r in enumerate(shown):
        ys = [TOP + STEP * n + SIDE // 2 for n in (left[r.image_id], i, right[r.image_id])]
        star = r.image_id in marks.targets
        kind = "up" if r.coarse_rank > r.rank else "down" if r.coarse_rank < r.rank else "level"
        last = thought.get(r.image_id)
        says = f"{'★ ' if star else ''}{pictures.alt(r.image_id)}: {on} {r.coarse_rank}, "
        known = r.yes_probability == r.yes_probability  # NaN: no answer
        says += f"judge {r.rank}, " + (f"P(Yes) {r.yes_probability:.2f}" if known else "no answer")
        says += f", reasoning {last or 'below its list'}" if reasoned else ""
        src = esc(pictures.src(r.image_id))
        part = (
            f'<path d="M78 {ys[0]}C150 {ys[0]} 150 {ys[1]} 222 {ys[1]}"/>'
            f'<text x="38" y="{ys[0] + 4}" text-anchor="end">{r.coarse_rank}</text>'
            + _picture(src, 46, ys[0])
            + _picture(src, 228, ys[1])
            + f'<text x="260" y="{ys[1] + 4}">{r.rank}{" ★" if star else ""}</text>'
        )
        if reasoned is not None:
            gone = "" if last else ' class="gone"'
            part += (
                f'<path{gone} d="M292 {ys[1]}C345 {ys[1]} 345 {ys[2]} 398 {ys[2]}"/>'
                + _picture(src, 402, ys[2])
                + f'<text x="434" y="{ys[2] + 4}">{last or "–"}</text>'
            )
        hit = " hit" if star else ""
        parts.append(f'<g class="{kind}{hit}"><title>{esc(says)}</title>{part}</g>')
    heads = f'<text class="head" x="8" y="14">{esc(on)}</text>'
    heads += '<text class="head" x="241" y="14" text-anchor="middle">judge</text>'
    if reasoned is not None:
        heads += '<text class="head" x="452" y="14" text-anchor="end">reasoning</text>'
    height = TOP + STEP * len(shown)
    label = f"Rank flow: {on} rank on the left, the judge's"
    label += " in the middle, the reasoning's on the right" if reasoned else " on the right"
    return (
        f'<figure><svg class="flow" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{esc(label)}">{heads}{"".join(parts)}</svg>'
        "<figcaption>Each line is a picture, from its rank in the first list to its rank in the "
        "last.</figcaption></figure>"
    )


def _picture(src: str, x: int, y: int) -> str:
    at = f'x="{x}" y="{y - SIDE // 2}" width="{SIDE}" height="{SIDE}"'
    return f'<image href="{src}" {at}/>'


def _switches(view: View, items: Sequence[Reranked]) -> str:
    """LoRA on or off, fused order, and the threshold."""
    over = sum(r.yes_probability >= view.threshold for r in items)

    def switch(action: str, on: bool, text: str, says: str, plainly: str) -> str:
        return (
            f'<span class="switch"><button type="button" class="toggle" data-event="input" '
            f'data-action="{action}" aria-pressed="{str(on).lower()}" title="{esc(says)}">'
            f"{esc(text)}</button><small>{esc(plainly)}</small></span>"
        )

    lora = "the judge with its LoRA adapter, or the language model as it is"
    taught = "the small addition that taught the model to judge"
    fuse = "order by the judge's log-odds plus the coarse retriever's log-probability"
    both = "order by the verdict and chapter 2's similarity together"
    return (
        f'<div class="tools">{switch("tuned", view.tuned, "LoRA", lora, taught)}'
        f"{switch('fuse', view.fuse, 'Fuse with coarse score', fuse, both)}"
        f'<label class="threshold">threshold <input type="range" min="0" max="1" step="0.01" '
        f'value="{view.threshold:g}" aria-label="Threshold of P(Yes)"><b class="num">'
        f"{view.threshold:.2f}</b></label>"
        f'<span class="survive" role="status">{over} of {len(items)} at or above</span></div>'
    )


def _legend(view: View, before: Mapping[ImageId, float] | None) -> str:
    raw = "" if view.tuned else "<li>without the adapter, P(Yes) is not calibrated</li>"
    note = "<li>the bar and the number are P(Yes), the judge's probability of Yes</li>"
    return f'<ul class="legend">{note}<li>pale cards are under the threshold</li>{raw}</ul>'
