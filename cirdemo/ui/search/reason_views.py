"""Chapter 5: the rationale, step by step, and the list its vector finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cirdemo.types import Rationale, SearchResult
from cirdemo.ui import cards
from cirdemo.ui.cards import Marks, Pictures, esc
from cirdemo.ui.search import views
from cirdemo.ui.view import View

STEPS = (
    ("caption", "Caption", "what the reference shows"),
    ("reasoning", "Reasoning", "what the edit asks for"),
    ("conclusion", "Conclusion", "what to look for"),
)
CARET = '<i class="caret" aria-hidden="true"></i>'  # behind what is being written
HINTS = {  # measured: see retrieve.learned.CotComposer
    "caption": "<p class='what'>A caption moves the shipped model little; a conclusion does.</p>"
}


def reason(
    result: SearchResult,
    pictures: Pictures,
    marks: Marks,
    view: View,
    support: Sequence[Any] = (),
) -> str:
    """The rationale and its list; partial while it is written.

    Args:
        result: With a rationale.
        pictures: Thumbnails.
        marks: Which pictures are marked.
        view: Steps by hand; whether the list without reasoning is asked for.
        support: For each sentence what it rests on: records with step, text, supported, why.
    """
    done = result.stage == "reason"
    body = (
        steps(result.rationale, view, support, editable=done, done=done) if result.rationale else ""
    )
    if done and "cot" in result.coarse:
        body += _list("Found by reasoning", "cot", result, pictures, marks)
        if "cot_direct" in result.coarse:
            body += _list("Found with no reasoning", "cot_direct", result, pictures, marks)
        on = "cot_direct" in view.columns
        says = "the same adapter asked to conclude at once: one forward pass, nothing written"
        body += (
            '<div class="tools columns"><button type="button" class="toggle" data-event="input" '
            f'data-action="column" data-value="cot_direct" aria-pressed="{str(on).lower()}" '
            f'title="{says}">Compare with no reasoning</button>{_cost(result)}</div>'
        )
    status = "" if done else "thinking…"
    seconds = result.seconds.get("reason") if done else None
    known = "reason" in result.remembered
    return cards.chapter(
        5, views.TITLES[5], views.LEADS[5], body, seconds=seconds, status=status, known=known
    )


def steps(
    thought: Rationale, view: View, support: Sequence[Any], *, editable: bool, done: bool = True
) -> str:
    """Caption, reasoning, conclusion: each with what its sentences rest on, and to be edited."""
    items = []
    by_hand = [name for name, *_ in STEPS if getattr(view, name)]  # the last was edited
    for name, title, what in STEPS:
        text = getattr(thought, name)
        told = [s for s in support if s.step == name]
        said = "".join(_sentence(s) for s in told) or esc(text)
        mine = "edited by you" if name in by_hand[-1:] else "kept" if name in by_hand else ""
        mine = f'<span class="mine">{mine}</span>' if mine else ""
        tools = (
            f'<details class="write" data-form><summary>edit and go on from here</summary>'
            f'<textarea rows="3" maxlength="600" aria-label="{title}, editable">{esc(text)}'
            f"</textarea>{HINTS.get(name, '')}"
            f'<button type="button" class="run" data-event="input" data-action="think" '
            f'data-value="{name}">Go on from here</button></details>'
            if editable
            else ""
        )
        caret = "" if done else CARET
        items.append(
            f"<li><h3>{title} {mine}</h3><p class='what'>{what}</p>"
            f"<blockquote>{said}{caret if text else ''}</blockquote>{tools}</li>"
        )
    back = (
        '<button type="button" class="quiet" data-event="input" data-action="unthink">'
        "back to the model's own</button>"
        if view.thoughts
        else ""
    )
    key = (
        '<ul class="legend"><li><span class="unfounded">greyed</span>, with a number: the model '
        "was not sure; the number is the probability that it gives its least likely word</li>"
        "<li>click a phrase for its map</li></ul>"
        if support
        else ""
    )
    return f'<ol class="steps">{"".join(items)}</ol>{key}{back}'


def _sentence(said: Any) -> str:
    """One sentence as a button that shows its map; greyed, with its score, where it is unsure."""
    kind = "said" if said.supported else "said unfounded"
    word = "sure" if said.supported else "unsure"
    score = "" if said.supported else f' <small aria-hidden="true">{said.score:.2f}</small>'
    return (
        f'<button type="button" class="{kind}" data-event="select" data-action="trace" '
        f'data-value="{esc(said.cue or said.text)}" title="{esc(said.why)}">{esc(said.text)}'
        f"{score}{cards.hidden(f' ({word}: {said.why})')}</button> "
    )


def _list(title: str, name: str, result: SearchResult, pictures: Pictures, marks: Marks) -> str:
    drawn = views.coarse_row(result.coarse[name], pictures, marks)
    return f'<div class="list cot"><h3>{title}</h3>{drawn}</div>'


def _cost(result: SearchResult) -> str:
    """What the reasoning costs over none, where both were measured."""
    direct = result.method_seconds.get("cot_direct")
    if direct is None or "reason" in result.remembered:
        return ""
    full = result.seconds.get("reason", 0.0)
    return f"<span>{cards.duration(full)} with reasoning, {cards.duration(direct)} without</span>"
