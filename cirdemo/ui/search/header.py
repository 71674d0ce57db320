"""What stands above the chapters: the question, warnings, the targets' places, what happened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from string import ascii_uppercase

from cirdemo.types import ImageId, SearchResult
from cirdemo.ui.cards import Pictures, esc
from cirdemo.ui.search.views import MODES

DRAWN = 8  # known targets with a picture; a few queries have more
RESTORE = (
    '<button type="button" class="run" data-event="input" data-action="restore">Put the dropped '
    "words back</button>"
)


def question(result: SearchResult, src: str) -> str:
    """What was asked, so that no result stands unnamed.

    Args:
        result: From any stage on.
        src: Address of the reference, small.
    """
    return (
        f'<div class="question"><img src="{esc(src)}" alt="the reference image" width="40" '
        f'height="40"><p>Results for <q>{esc(result.query.modification)}</q></p></div>'
    )


def standing(
    result: SearchResult, targets: Sequence[ImageId], pictures: Pictures | None = None
) -> str:
    """The known targets beside what each list puts first, and the best rank a target has in each.

    The targets keep their places while a search runs; where there are several each has a letter,
    and a rank says whose it is.

    Args:
        result: From its coarse stage on.
        targets: At least one.
        pictures: Thumbnails; None draws none.
    """

    def drawn(image_id: ImageId, says: str) -> str:
        if pictures is None:
            return ""
        said = esc(f"{says}: {pictures.alt(image_id)}")
        return f'<img src="{esc(pictures.src(image_id))}" alt="{said}" title="{said}">'

    several = len(targets) > 1
    letters = dict(zip(targets, ascii_uppercase, strict=False)) if several else {}
    cells = ""
    for name, ids in _lists(result).items():
        found = next(((n, i) for n, i in enumerate(ids, 1) if i in targets), None)
        called = {"judge": "re-ranked", "cot": "reasoning"}.get(name, name)
        hit = " hit" if ids[:1] and ids[0] in targets else ""
        first = drawn(ids[0], f"{called} puts this first") if ids else ""
        number = f'<b class="none">beyond {len(ids)}</b>'
        if found:
            whose = letters.get(found[1], "")
            number = f"<b>{found[0]}{f' <i>{whose}</i>' if whose else ''}</b>"
        cells += f'<li class="{name}{hit}">{first}<div><span>{called}</span>{number}</div></li>'
    wanted = "".join(
        f"<span>{drawn(t, f'known target {letters.get(t, str())}'.strip())}"
        f"{f'<i>{letters[t]}</i>' if t in letters else ''}</span>"
        for t in targets[:DRAWN]
    )
    which = f"{len(targets)} known targets" if several else "the known target"
    if len(targets) > DRAWN:
        which += f", the first {DRAWN} shown"
    says = "a target, with its letter" if several else "the target"
    return (
        f'<div class="standing"><figure class="{"several" if several else "one"}"><div>{wanted}'
        f'</div><figcaption><b class="star" aria-hidden="true">★</b> {which}</figcaption></figure>'
        f"<div><p>What each list puts first, and the best rank it gives {says}</p>"
        f"<ul>{cells}</ul></div></div>"
    )


def notice(
    result: SearchResult | None,
    targets: Iterable[ImageId] = (),
    extra: str = "",
    told: Sequence[str] = (),
    pictures: Pictures | None = None,
    *,
    src: str = "",
    restore: bool = False,
) -> str:
    """The lines above the chapters.

    Args:
        result: The search; None where there is none yet.
        targets: The known targets.
        extra: A warning of the page's own.
        told: Sentences on this run.
        pictures: Thumbnails; None draws none.
        src: Address of the reference, small; "" leaves the question out.
        restore: Whether to offer the cues that the intersection dropped.
    """
    targets = tuple(targets)
    said = [extra] if extra else []
    asked = body = ""
    if result is not None:
        asked = question(result, src) if src else ""
        said += result.notices
        if result.unknown_words and not result.notices:
            known = {w.lower(): w for w in reversed(result.unknown_words)}  # "Mach" and "mach"
            words = ", ".join(f"“{w}”" for w in reversed(known.values()))
            said.append(f"These words were never seen in training and may be ignored: {words}.")
        if targets and result.coarse:
            body = standing(result, targets, pictures)
    lines = "".join(f"<p class='note'><b aria-hidden='true'>i</b> {esc(s)}</p>" for s in said)
    if told:
        items = "".join(f"<li>{esc(s)}</li>" for s in told)
        more = f'<div class="tools">{RESTORE}</div>' if restore else ""
        body += f'<div class="told"><h2>What happened</h2><ul>{items}</ul>{more}</div>'
    return asked + (f'<div role="status">{lines}{body}</div>' if lines or body else "")


def _lists(result: SearchResult) -> dict[str, tuple[ImageId, ...]]:
    """Every list that there is, as ids, in the order of the story."""
    lists: dict[str, tuple[ImageId, ...]] = {
        m: result.coarse[m].ids for m in MODES if m in result.coarse
    }
    if result.reranked:
        lists["judge"] = tuple(r.image_id for r in result.reranked)
    if "cot" in result.coarse:
        lists["cot"] = result.coarse["cot"].ids
    return lists
