"""HTML fragments: chips, picture cards, chapters, the rank-flow chart. Strings in, strings out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Protocol

from cirdemo.types import Cue, ImageId, Reranked

SYMBOLS = {"kept": "=", "dropped": "−", "added": "+", "changed": "→"}
MEANINGS = {
    "kept": "kept from the reference",
    "dropped": "left out",
    "added": "added by the modification",
    "changed": "changed by the modification",
}


class Pictures(Protocol):
    """Where a page finds a gallery picture and what it says about it."""

    def src(self, image_id: ImageId) -> str:
        """Address of the thumbnail."""

    def alt(self, image_id: ImageId) -> str:
        """What the picture shows, in words."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Which pictures carry a mark: known targets, pictures in both lists, the one picked."""

    targets: frozenset[ImageId] = frozenset()
    shared: frozenset[ImageId] = frozenset()
    picked: ImageId = ""


def esc(text: object) -> str:
    """Text made safe inside HTML, attributes included."""
    return escape(str(text), quote=True)


def duration(seconds: float | None) -> str:
    """'0.42 s', 'under 0.01 s', or '' where nothing was measured."""
    if seconds is None:
        return ""
    return "under 0.01 s" if seconds < 0.01 else f"{seconds:.2f} s"


def hidden(text: str) -> str:
    """Words for screen readers only."""
    return f'<span class="sr">{esc(text)}</span>'


def chapter(
    number: int, title: str, lead: str, body: str, *, seconds: float | None = None, status: str = ""
) -> str:
    """One chapter of the page: number, title, one sentence, what it took, and its body."""
    right = esc(status) if status else esc(duration(seconds))
    spin = '<i class="spin" aria-hidden="true"></i>' if status.endswith("…") else ""
    return (
        f'<section class="chapter" aria-labelledby="chapter-{number}">'
        f'<header><span class="no" aria-hidden="true">{number}</span><div>'
        f'<h2 id="chapter-{number}">{esc(title)}</h2><p class="lead">{esc(lead)}</p></div>'
        f'<span class="took" role="status">{spin}{right}</span></header>{body}</section>'
    )


def placeholder(text: str) -> str:
    """What a chapter that has not run yet says."""
    return f'<p class="empty">{esc(text)}</p>'


def chip(cue: Cue) -> str:
    """A cue with the symbol, the colour and the stroke of its status."""
    tag = "s" if cue.status == "dropped" else "span"
    return (
        f'<li class="chip {cue.status}" title="{esc(MEANINGS[cue.status])}">'
        f'<b aria-hidden="true">{SYMBOLS[cue.status]}</b>{hidden(cue.status + ": ")}'
        f"<{tag}>{esc(cue.text)}</{tag}></li>"
    )


def chips(cues: Iterable[Cue]) -> str:
    """All cues of a description, or '' when there is none."""
    items = "".join(map(chip, cues))
    return f'<ul class="chips">{items}</ul>' if items else ""


def legend() -> str:
    """What the chips' symbols mean."""
    items = "".join(
        f'<li><b class="key {status}">{SYMBOLS[status]}</b> {esc(MEANINGS[status])}</li>'
        for status in SYMBOLS
    )
    return f'<ul class="legend">{items}</ul>'


def badges(image_id: ImageId, marks: Marks) -> str:
    """The star of a known target and the diamond of a picture in both lists."""
    star = '<span class="star" title="known target">★</span>' if image_id in marks.targets else ""
    both = '<span class="gem" title="in both lists">◆</span>' if image_id in marks.shared else ""
    return f'<span class="marks" aria-hidden="true">{star}{both}</span>' if star or both else ""


def card(
    image_id: ImageId, pictures: Pictures, marks: Marks, rank: int, *, foot: str, says: str
) -> str:
    """A picture to pick: rank, marks, a foot of numbers; `says` is that foot for the ear."""
    alt = pictures.alt(image_id)
    told = [f"rank {rank}", alt, says]
    told += ["known target"] if image_id in marks.targets else []
    told += ["in both lists"] if image_id in marks.shared else []
    kind = "card target" if image_id in marks.targets else "card"
    pressed = "true" if image_id == marks.picked else "false"
    return (
        f'<button type="button" class="{kind}" data-id="{esc(image_id)}" aria-pressed="{pressed}" '
        f'title="{esc(alt)}" aria-label="{esc(", ".join(t for t in told if t))}">'
        f'<span class="pic"><img src="{esc(pictures.src(image_id))}" alt="{esc(alt)}" '
        f'width="160" height="160" loading="lazy"><span class="rank">{rank}</span>'
        f"{badges(image_id, marks)}</span>{foot}</button>"
    )


def movement(item: Reranked) -> str:
    """'was 5 → now 1 ▲ 4', with the direction as a sign as well as a colour."""
    up = item.coarse_rank - item.rank
    kind, sign = ("up", "▲") if up > 0 else ("down", "▼") if up < 0 else ("level", "=")
    by = f" {abs(up)}" if up else ""
    return (
        f'<span class="move">was {item.coarse_rank} → now {item.rank} '
        f'<b class="{kind}">{sign}{by}</b></span>'
    )


def yes_bar(probability: float) -> str:
    """P(Yes) as a bar and a number."""
    return (
        f'<span class="yes"><span class="bar" aria-hidden="true">'
        f'<i style="width:{probability:.1%}"></i></span>'
        f'<span class="num">{probability:.2f}</span></span>'
    )


def judged_card(item: Reranked, pictures: Pictures, marks: Marks, *, moves: bool) -> str:
    """A card of the re-ranked list; its movement only once the list is complete."""
    was = movement(item) if moves else f'<span class="move">was {item.coarse_rank}</span>'
    says = f"P(Yes) {item.yes_probability:.2f}, was rank {item.coarse_rank}"
    foot = yes_bar(item.yes_probability) + was
    return card(item.image_id, pictures, marks, item.rank, foot=foot, says=says)


def row(cards: Sequence[str], label: str) -> str:
    """Cards on one line that scrolls inside itself."""
    items = "".join(cards)
    return f'<div class="row" role="group" aria-label="{esc(label)}" tabindex="-1">{items}</div>'


def rank_flow(items: Sequence[Reranked], pictures: Pictures, marks: Marks, lines: int = 12) -> str:
    """Lines from coarse rank (left, in coarse order) to new rank (right), targets marked."""
    shown = list(items[:lines])
    step, top, side = 34, 30, 26
    left = {r.image_id: i for i, r in enumerate(sorted(shown, key=lambda r: r.coarse_rank))}
    height = top + step * len(shown)
    parts: list[str] = []
    for i, r in enumerate(shown):
        y0, y1 = top + step * left[r.image_id] + side / 2, top + step * i + side / 2
        kind = "up" if r.coarse_rank > r.rank else "down" if r.coarse_rank < r.rank else "level"
        star = r.image_id in marks.targets
        kind += " hit" if star else ""
        said = f"{'★ ' if star else ''}{pictures.alt(r.image_id)}: {r.coarse_rank} to {r.rank}"
        parts.append(
            f'<g class="{kind}"><title>{esc(said)}</title>'
            f'<path d="M78 {y0}C150 {y0} 150 {y1} 222 {y1}"/>'
            f'<text x="38" y="{y0 + 4}" text-anchor="end">{r.coarse_rank}</text>'
            f'<image href="{esc(pictures.src(r.image_id))}" x="46" y="{y0 - side / 2}" '
            f'width="{side}" height="{side}"/>'
            f'<image href="{esc(pictures.src(r.image_id))}" x="228" y="{y1 - side / 2}" '
            f'width="{side}" height="{side}"/>'
            f'<text x="262" y="{y1 + 4}">{r.rank}{" ★" if star else ""}</text></g>'
        )
    return (
        f'<svg class="flow" viewBox="0 0 300 {height}" role="img" '
        f'aria-label="Rank flow: coarse rank on the left, re-ranked on the right">'
        f'<text class="head" x="8" y="14">coarse</text>'
        f'<text class="head" x="292" y="14" text-anchor="end">re-ranked</text>'
        f"{''.join(parts)}</svg>"
    )
