"""The picture that is looked at: where it stands, and what can be done with it.

It is a sheet over the foot of the page: its card may stand in any chapter, and what can be done
with it belongs where the reader is.
"""

from __future__ import annotations

from typing import Any

from cirdemo.types import ImageId, SearchResult
from cirdemo.ui.cards import Pictures, esc
from cirdemo.ui.search import judge_views, views
from cirdemo.ui.view import View


def panel(
    result: SearchResult | None,
    pictures: Pictures,
    view: View,
    image_id: ImageId,
    *,
    why: Any = None,
) -> str:
    """Thumbnail, ranks and verdict of the picked picture, with its buttons; "" for none.

    Args:
        result: The search it stands in.
        pictures: Thumbnails.
        view: What is liked already.
        image_id: The picture.
        why: The judge's reasons, where they were asked for.
    """
    if result is None or not image_id or image_id == "reference":
        return ""
    verdict = result.judgements.get(image_id)
    said = esc(views.placed(result, image_id))
    if verdict is not None:
        likely = judge_views.chance(verdict.yes_probability)
        said += f" · P(Yes) {likely}, margin {verdict.margin:+.1f}"
    value = f'data-value="{esc(image_id)}"'

    def button(event: str, action: str, text: str, pressed: bool | None = None) -> str:
        state = "" if pressed is None else f' aria-pressed="{str(pressed).lower()}"'
        return (
            f'<button type="button" class="toggle" data-event="{event}" data-action="{action}" '
            f"{value}{state}>{text}</button>"
        )

    ask = "Why no?" if verdict and verdict.yes_probability < 0.5 else "Why yes?"
    buttons = (
        button("submit", "reference", "Use as reference")
        + button("input", "more", "♥ More like this", image_id in view.more)
        + button("input", "less", "✕ Not like this", image_id in view.less)
        + (button("select", "why", ask) if result.descriptions.get("intersection") else "")
        + '<button type="button" class="toggle" data-go="heatmaps">See its maps</button>'
    )
    alt = pictures.alt(image_id)
    return (
        f'<section class="lookat" aria-label="Picked picture" data-shown="{esc(image_id)}">'
        f'<img src="{esc(pictures.src(image_id))}" alt="{esc(alt)}" width="72" height="72">'
        f"<div><p><b>{esc(alt)}</b></p><p class='what'>{said}</p>"
        f'<div class="tools">{buttons}</div>{reasons(why) if why else ""}</div>'
        '<button type="button" class="quiet shut">Close</button></section>'
    )


def reasons(why: Any) -> str:
    """The judge's verdict taken apart: what it wrote, and P(Yes) of each cue."""
    p = why.judgement.yes_probability
    word, likely = "Yes" if p >= 0.5 else "No", judge_views.chance(p)
    said = f" It wrote: <q>{esc(why.reason)}</q>." if why.reason else ""
    worst = min(why.cues, key=lambda c: c[1], default=("", 1.0))[0]
    rows = "".join(
        f'<li class="{"worst" if cue == worst and p < 0.5 else ""}"><span>{esc(cue)}</span>'
        f"{judge_views.yes_bar(one)}</li>"
        for cue, one in why.cues
    )
    return (
        f'<div class="why" role="status"><p>The judge says <b>{word}</b>, P(Yes) {likely}.{said}'
        f"</p><p class='what'>P(Yes) when one cue alone is wanted:</p><ul>{rows}</ul></div>"
    )


def figures(word: str) -> str:
    """The maps as one figure to download."""
    buttons = "".join(
        f'<button type="button" class="quiet" data-event="like" data-action="{kind}" '
        f'data-value="{esc(word)}">{kind.upper()}</button>'
        for kind in ("png", "svg")
    )
    return f'<div class="tools columns"><span>These maps as a figure</span>{buttons}</div>'


def share() -> str:
    """What can be taken along from a finished search."""

    def button(action: str, text: str, says: str, event: str = "like") -> str:
        return (
            f'<button type="button" class="toggle" data-event="{event}" data-action="{action}" '
            f'title="{says}">{text}</button>'
        )

    buttons = (
        button("link", "Copy link", "the whole view is in the address; nothing is kept here")
        + button("html", "Save as page", "one HTML file that needs nothing else; prints on a sheet")
        + button("bundle", "Replay bundle", "pictures, prompts, raw answers and model identities")
        + button("compare", "Open in Compare", "every method on this query", "submit")
    )
    return (
        f'<div class="tools share"><span>Take along</span>{buttons}'
        '<span class="done" role="status"></span></div>'
    )
