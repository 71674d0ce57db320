"""The queue of annotations in doubt as HTML: three pictures a row, and what people say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cirdemo.evaluate.doubts import VOTES, Doubt, Vote
from cirdemo.ui.benchmark.cases import Shown
from cirdemo.ui.cards import esc

PAGE = 10  # doubts shown at once
CAPTION = 110  # characters of a picture's captions that are shown
SAID = {"right": "right too", "wrong": "wrong", "unsure": "unsure"}


def doubts(
    queue: Sequence[Doubt],
    votes: Mapping[str, Vote],
    page: int,
    pictures: Shown,
    captions: Mapping[str, str],
) -> str:
    """A page of the queue: is the picture above the target right too?

    Where a picture is not on this machine, its captions stand for it, if there are any.
    """
    if not queue:
        return (
            '<p class="empty">Open a run of a split with public targets: pictures that it puts '
            "above the target are queued here, to say whether they are right too.</p>"
        )
    shown = queue[page * PAGE :][:PAGE]
    rows = "".join(_doubt(d, votes.get(d.key), pictures, captions) for d in shown)
    last = (len(queue) - 1) // PAGE
    said = sum(v == "right" for v in votes.values())
    return (
        f'<p class="what">{len(queue)} queries have another picture above the target; those that '
        f"most runs agree on come first. {len(votes)} votes so far, {said} of them “right too”."
        f'</p><ol class="doubts">{rows}</ol><div class="pager"><button type="button" '
        f'data-action="page" data-value="{page - 1}"{" disabled" if page == 0 else ""}>‹ before'
        f"</button><span>{page * PAGE + 1}-{min((page + 1) * PAGE, len(queue))} of {len(queue)}"
        f'</span><button type="button" data-action="page" data-value="{page + 1}"'
        f"{' disabled' if page == last else ''}>after ›</button></div>"
    )


def _short(text: str) -> str:
    """A caption, cut at a word."""
    return text if len(text) <= CAPTION else text[:CAPTION].rsplit(" ", 1)[0] + " …"


def _doubt(doubt: Doubt, vote: Vote | None, pictures: Shown, captions: Mapping[str, str]) -> str:
    buttons = "".join(
        f'<button type="button" class="facet" data-action="vote" data-id="{esc(doubt.key)}" '
        f'data-value="{v}" aria-pressed="{str(v == vote).lower()}">{SAID[v]}</button>'
        for v in VOTES
    )
    facts = [f"at {doubt.rank} in {doubt.runs} run{'s' if doubt.runs > 1 else ''}"]
    facts += ["of the query's group"] if doubt.in_group else []
    facts += [f"soft label {doubt.label:g}"] if doubt.label is not None else []
    place = f"at {doubt.target_rank}" if doubt.target_rank else "in no list"
    figures = "".join(
        f"<figure>{pictures.image(image_id, 92)}<figcaption><b>{esc(told)}</b>"
        f"{esc(_short(captions.get(image_id, '')))}</figcaption></figure>"
        for image_id, told in (
            (doubt.reference_id, "reference"),
            (doubt.candidate_id, ", ".join(facts)),
            (doubt.target_id, f"target, {place}"),
        )
    )
    return (
        f'<li class="doubt"><div><small>{esc(doubt.query_id)}</small> <q>'
        f'{esc(doubt.modification)}</q></div><div class="trio3">{figures}</div>'
        f'<div role="group" aria-label="Is {esc(doubt.candidate_id)} right too?">{buttons}</div>'
        "</li>"
    )
