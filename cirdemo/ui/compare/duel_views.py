"""Two settings over a set as HTML: scoreboard, differences with intervals, ranks, matches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cirdemo.evaluate.compare import NAMES, OUTCOMES, Row, compare, gain, outcome, verdict
from cirdemo.ui import cards
from cirdemo.ui.cards import Pictures, esc

SHOWN = 40  # matches listed
TITLE = "Two settings on the same queries"
LEAD = (
    "A setting wins a query if its best target stands higher. Both meet the same queries, so their "
    "difference is sharper than two separate scores would be."
)
SIGNS = {"win": "▲", "tie": "=", "loss": "▼"}
EXPLAINED = {
    "R@1": "a target stands first",
    "R@10": "a target is among the first ten",
    "MRR": "mean of 1 / rank of the best target",
}
SIDE, EDGE = 260, 34  # of the plot of ranks, in its own units


def header(status: str = "", *, done: int = 0, of: int = 0) -> str:
    """Title, lead, and how far the run is; `of` is 0 where none runs."""
    spin = '<i class="spin" aria-hidden="true"></i>' if of else ""
    bar = f'<progress max="{of}" value="{done}" aria-label="queries done"></progress>' if of else ""
    return (
        f'<header class="head"><div><h2>{TITLE}</h2><p class="lead">{LEAD}</p></div>'
        f'<p class="took" role="status">{spin}{esc(status)}</p>{bar}</header>'
    )


def waiting() -> str:
    """What the board shows before a run."""
    return cards.placeholder(
        "Here you will see how often A wins, ties and loses, the differences with their intervals, "
        "and every query on a plot of its two ranks. Choose two settings, then run."
    )


def progress(done: int, of: int, seconds: float) -> str:
    """'12 of 40 · 1.6 queries/s · 18 s left'."""
    head = f"{done} of {of}"
    if not done or seconds <= 0:
        return f"{head} · loading the models"
    rate = done / seconds
    left = (of - done) / rate
    told = f"{left:.0f} s" if left < 90 else f"{left / 60:.0f} min"
    return f"{head} · {rate:.1f} queries/s · {told} left"


def board(rows: Sequence[Row], about: Mapping[str, str]) -> str:
    """The whole result of the rows so far.

    Args:
        rows: Of `duel`.
        about: "a" and "b" in their one-line form, "dataset", "split", "command".
    """
    if not rows:
        return waiting()
    found = compare(rows)
    return (
        f'<div class="duel"><div class="result">{_sides(about)}{_tally(found)}{_table(found)}'
        f'<p class="claim">{esc(verdict(found))}</p>'
        f'<p class="fine">{found["queries"]} queries of {esc(about["dataset"])}, split '
        f"{esc(about['split'])}, protocol reference-excluded. Intervals: 95 % of 2,000 resamples "
        "of the queries, both settings on the same ones. McNemar: exact, two-sided.</p>"
        f"<code>{esc(about['command'])}</code></div>"
        f"<figure class='rankplot'>{plot(rows)}<figcaption>Rank of the best target: A across, B "
        "upwards, both logarithmic. ▲ above the line: A is better.</figcaption></figure></div>"
    )


def _sides(about: Mapping[str, str]) -> str:
    return "".join(
        f'<p class="side {side}"><b>{side.upper()}</b> <code>{esc(about[side])}</code></p>'
        for side in ("a", "b")
    )


def _tally(found: Mapping[str, Any]) -> str:
    """Wins, ties and losses as one bar and as numbers."""
    parts = "".join(
        f'<li class="{name}" style="flex-grow:{found[name]}"><b>{SIGNS[name]} {found[name]}</b>'
        f"<span>{NAMES[name]}</span></li>"
        for name in OUTCOMES
    )
    return f'<ul class="tally">{parts}</ul>'


def _table(found: Mapping[str, Any]) -> str:
    body = ""
    for name, m in found["metrics"].items():
        low, high = m["interval"]
        body += (
            f'<tr><th scope="row" title="{EXPLAINED[name]}">{name}<small>{EXPLAINED[name]}</small>'
            f"</th><td>{m['a'] * 100:.1f}</td><td>{m['b'] * 100:.1f}</td>"
            f"<td><b>{m['difference'] * 100:+.1f}</b><small>[{low * 100:+.1f}, {high * 100:+.1f}]"
            f"</small></td><td class='reach'>{_whisker(m['difference'], low, high)}</td></tr>"
        )
    return (
        '<table class="diff"><thead><tr><th scope="col">in percent</th><th scope="col">A</th>'
        '<th scope="col">B</th><th scope="col">A − B</th><td></td></tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def _whisker(value: float, low: float, high: float) -> str:
    """An interval around 0 on a line from -100 to +100 points."""

    def at(share: float) -> float:
        return 60 + 55 * share

    if math.isnan(low):
        return ""
    clear = "clear" if low > 0 or high < 0 else "open"
    return (
        f'<svg class="whisker {clear}" viewBox="0 0 120 18" aria-hidden="true">'
        f'<path class="zero" d="M60 1V17"/>'
        f'<path class="reach" d="M{at(low):.1f} 9H{at(high):.1f}"/>'
        f'<circle cx="{at(value):.1f}" cy="9" r="4"/></svg>'
    )


def plot(rows: Sequence[Row]) -> str:
    """Every query at its two ranks, on logarithmic axes."""
    worst = max(max(r["a"]["rank"] or 1, r["b"]["rank"] or 1, 10) for r in rows)
    top = 10 ** math.ceil(math.log10(worst) - 1e-9)
    room = SIDE - EDGE - 12

    def at(rank: int | None) -> float:
        return room * math.log(rank or top) / math.log(top)

    ticks, lines = [10**n for n in range(round(math.log10(top)) + 1)], ""
    base = SIDE - EDGE
    for t in ticks:
        x, y = EDGE + at(t), base - at(t)
        lines += (
            f'<path class="grid" d="M{x:.1f} {base}V12M{EDGE} {y:.1f}H{SIDE - 12}"/>'
            f'<text x="{x:.1f}" y="{base + 14}" text-anchor="middle">{t}</text>'
            f'<text x="{EDGE - 6}" y="{y + 4:.1f}" text-anchor="end">{t}</text>'
        )
    places: dict[tuple[float, float, str], list[str]] = {}
    for r in rows:
        spot = (round(at(r["a"]["rank"]), 1), round(at(r["b"]["rank"]), 1), outcome(r))
        places.setdefault(spot, []).append(r["modification"])
    points = ""
    for (x, y, kind), texts in places.items():
        size = 3.4 + 1.5 * math.sqrt(len(texts) - 1)
        said = f"{len(texts)} queries: {texts[0]}" if len(texts) > 1 else texts[0]
        points += (
            f'<g class="{kind}" transform="translate({EDGE + x:.1f} {base - y:.1f})">'
            f"<title>{esc(said)}</title>{_mark(kind, size)}</g>"
        )
    return (
        f'<svg viewBox="0 0 {SIDE} {SIDE}" role="img" aria-label="Rank under A against rank under '
        f'B, {len(rows)} queries">{lines}<path class="even" d="M{EDGE} {base}L{SIDE - 12} 12"/>'
        f'{points}<text class="name" x="{SIDE - 12}" y="{SIDE - 3}" text-anchor="end">rank under A'
        f'</text><text class="name" x="{EDGE}" y="7">rank under B</text></svg>'
    )


def _mark(kind: str, size: float) -> str:
    """A triangle up for a win of A, down for one of B, a ring for a tie."""
    if kind == "tie":
        return f'<circle r="{size:.1f}"/>'
    up = -1 if kind == "loss" else 1
    s = size * 1.25
    return f'<path d="M{-s:.1f} {up * s * 0.8:.1f}H{s:.1f}L0 {-up * s:.1f}Z"/>'


def matches(rows: Sequence[Row], show: str, pictures: Pictures) -> str:
    """Queries as a list to open, those with the widest gap first.

    Args:
        rows: Of `duel`.
        show: win, tie, loss, or all.
        pictures: The gallery's.
    """
    kept = [(n, r) for n, r in enumerate(rows) if show in ("all", outcome(r))]
    if not kept:
        return cards.placeholder("No query of this kind so far.") if rows else ""
    kept.sort(key=lambda pair: -abs(gain(pair[1])))
    items = "".join(_match(n, r, pictures) for n, r in kept[:SHOWN])
    more = len(kept) - SHOWN
    rest = f'<p class="fine">and {more} more with a smaller gap</p>' if more > 0 else ""
    return f'<ul class="matches">{items}</ul>{rest}'


def _match(n: int, row: Row, pictures: Pictures) -> str:
    kind = outcome(row)
    cells = ""
    for side in ("a", "b"):
        found = row[side]
        first = found["top"][0] if found["top"] else ""
        hit = " hit" if first in row["targets"] else ""
        cells += (
            f'<span class="shot {side}{hit}"><small>{side.upper()} puts first</small>'
            f"{_small(first, pictures)}<b>★ {found['rank'] or '–'}</b></span>"
        )
    target = row["a"]["target"] or row["b"]["target"] or row["targets"][0]
    ranks = f"target at {row['a']['rank'] or 'none'} under A, {row['b']['rank'] or 'none'} under B"
    label = f"{NAMES[kind]}: {row['modification']}; {ranks}. Open in Search"
    about = f"{row['kind']} · {row['query_id']}".strip(" ·")
    return (
        f'<li><button type="button" class="match {kind}" data-action="open" data-n="{n}" '
        f'aria-label="{esc(label)}"><span class="sign" title="{NAMES[kind]}">{SIGNS[kind]}</span>'
        f'<span class="shot"><small>reference</small>{_small(row["reference_id"], pictures)}</span>'
        f'<span class="words"><q>{esc(row["modification"])}</q><small>{esc(about)}</small></span>'
        f'<span class="shot want"><small>★ target</small>{_small(target, pictures)}</span>{cells}'
        "</button></li>"
    )


def _small(image_id: str, pictures: Pictures) -> str:
    if not image_id:
        return ""
    alt = esc(pictures.alt(image_id))
    return (
        f'<img src="{esc(pictures.src(image_id))}" alt="{alt}" title="{alt}" width="56" '
        'height="56" loading="lazy">'
    )
