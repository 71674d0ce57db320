"""HTML fragments: chips, picture cards, chapters, the rank-flow chart. Strings in, strings out."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Protocol

from cirdemo.types import Cue, ImageId

SYMBOLS = {"kept": "=", "dropped": "−", "added": "+", "changed": "→", "negated": "≠"}
MEANINGS = {
    "kept": "kept from the reference",
    "dropped": "left out",
    "added": "added by the modification",
    "changed": "changed by the modification",
    "negated": "turned against by you",
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
    subset: frozenset[ImageId] = frozenset()  # hard negatives named by the benchmark
    liked: frozenset[ImageId] = frozenset()
    disliked: frozenset[ImageId] = frozenset()


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
    number: int,
    title: str,
    lead: str,
    body: str,
    *,
    seconds: float | None = None,
    status: str = "",
    known: bool = False,
) -> str:
    """One chapter of the page: number, title, one sentence, what it took, and its body.

    `known` says that the models had answered the same before, and were not asked again.
    """
    right = esc(status) if status else esc(duration(seconds))
    if known and not status:
        right = f'<i class="known" title="answered before, not asked again">remembered</i>{right}'
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


def chip(cue: Cue, mode: str = "") -> str:
    """A cue with the symbol, the colour and the stroke of its status.

    With the mode of its description it is a button that keeps or drops the cue, and a second one
    turns the query against it.
    """
    shortened = _shortened(cue)
    status: str = "dropped" if shortened else cue.status
    tag = "s" if cue.status in ("dropped", "negated") else "span"
    inner = (
        f'<b aria-hidden="true">{SYMBOLS[status]}</b>'
        f"{hidden('partly dropped: ' if shortened else status + ': ')}"
        f"<{tag}>{shortened or esc(cue.text)}</{tag}>"
    )
    title = "partly left out" if shortened else esc(MEANINGS[status])
    if not mode:
        return f'<li class="chip {status}" title="{title}">{inner}</li>'
    phrase = cue.text.rpartition(" → ")[2]
    data = f'data-event="input" data-mode="{esc(mode)}" data-value="{esc(phrase)}"'
    does = "put it back" if cue.status in ("dropped", "negated") else "drop it"
    against = cue.status == "negated"
    turn = f"{'no longer turn' if against else 'turn'} the search against “{phrase}”"
    return (
        f'<li class="chip {status}"><button type="button" class="keep" {data} '
        f'data-action="chip" title="{title}; click to {does}">{inner}'
        f"{hidden('; ' + does)}</button>"
        f'<button type="button" class="not" {data} data-action="negate" aria-pressed='
        f'"{str(against).lower()}" title="{esc(turn)}" aria-label="{esc(turn)}">≠</button></li>'
    )


def _shortened(cue: Cue) -> str:
    """A phrase that only lost words, with these struck out; "" where it took on others too."""
    before, _, after = cue.text.partition(" → ")
    left = set(after.split())
    if not left or not left < set(before.split()):
        return ""
    runs = itertools.groupby(before.split(), key=lambda word: word in left)
    told = ((kept, esc(" ".join(words))) for kept, words in runs)
    return " ".join(text if kept else f"<s>{text}</s>" for kept, text in told)


def chips(cues: Iterable[Cue], mode: str = "") -> str:
    """All cues of a description, or '' when there is none."""
    items = "".join(chip(cue, mode) for cue in cues)
    return f'<ul class="chips">{items}</ul>' if items else ""


def legend() -> str:
    """What the chips' symbols mean."""
    items = "".join(
        f'<li><b class="key {status}">{SYMBOLS[status]}</b> {esc(MEANINGS[status])}</li>'
        for status in SYMBOLS
    )
    return f'<ul class="legend">{items}</ul>'


BADGES = (  # class, symbol, what it says, where it applies
    ("star", "★", "known target", "targets"),
    ("box", "▣", "named hard negative", "subset"),
    ("gem", "◆", "in both lists", "shared"),
    ("up", "♥", "liked by you", "liked"),
    ("down", "✕", "not liked by you", "disliked"),
)


def badges(image_id: ImageId, marks: Marks) -> str:
    """The marks of a picture: shapes, each with its words."""
    items = "".join(
        f'<span class="{kind}" title="{said}">{symbol}</span>'
        for kind, symbol, said, where in BADGES
        if image_id in getattr(marks, where)
    )
    return f'<span class="marks" aria-hidden="true">{items}</span>' if items else ""


def card(
    image_id: ImageId,
    pictures: Pictures,
    marks: Marks,
    rank: int,
    *,
    foot: str,
    says: str,
    data: str = "",
) -> str:
    """A picture to pick: rank, marks, a foot of numbers; `says` is that foot for the ear.

    A hundred of them are one message, so each says its words once: the label is read aloud, and
    shown on hover by the page's script; the picture inside has none of its own. The script takes a
    click on it for a pick.
    """
    told = [f"rank {rank}", pictures.alt(image_id), says]
    told += [said for _, _, said, where in BADGES if image_id in getattr(marks, where)]
    kind = "card target" if image_id in marks.targets else "card"
    pressed = "true" if image_id == marks.picked else "false"
    return (
        f'<button class="{kind}" {data}data-id="{esc(image_id)}" '
        f'aria-pressed="{pressed}" aria-label="{esc(", ".join(t for t in told if t))}">'
        f"<span class=pic><img src='{esc(pictures.src(image_id))}' alt='' loading=lazy>"
        f"<span class=rank>{rank}</span>{badges(image_id, marks)}</span>{foot}</button>"
    )


def moved(was: int, now: int) -> str:
    """How far a rank went: '▲ 4', by sign as well as by colour."""
    up = was - now
    kind, sign = ("up", "▲") if up > 0 else ("down", "▼") if up < 0 else ("level", "=")
    by = f" {abs(up)}" if up else ""
    return f'<b class="{kind}">{sign}{by}</b>'


def row(cards: Sequence[str], label: str) -> str:
    """Cards on one line that scrolls inside itself."""
    items = "".join(cards)
    return f'<div class="row" role="group" aria-label="{esc(label)}" tabindex="-1">{items}</div>'
