"""What the Gallery tab shows while one looks around: pure functions from values to HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cirdemo.archives import told
from cirdemo.types import ImageId, Triplet
from cirdemo.ui.cards import Pictures, esc

PAGE = 72  # pictures a page: full rows at 9, 8, 6, 4 and 3 columns
NEIGHBOURS = 6
BY = {
    "words": "Caption words",
    "id": "Picture id",
    "text": "Text, through the encoder",
}
BY_SAYS = {
    "words": "Finds pictures whose caption has every word. No model is asked.",
    "id": "Finds pictures whose id, or file name, holds this. No model is asked.",
    "text": "Sorts all pictures by the cosine between this text and the picture, both encoded.",
}


def how(index: Mapping[str, Any]) -> str:
    """How a gallery is searched, from what its build says."""
    if index.get("kind") not in ("fast-scan", "milvus"):
        return "exact"
    share, of = index["recall"], index["queries"]
    what = "short codes" if index["kind"] == "fast-scan" else "Milvus"
    return f"{what}; {share:.1%} of the true first 50 found ({of} composed queries)"


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and values on one line, those without a value left out."""
    cells = "".join(f"<div><dt>{esc(k)}</dt><dd>{esc(v)}</dd></div>" for k, v in pairs if v)
    return f'<dl class="g-facts">{cells}</dl>'


def tile(image_id: ImageId, pictures: Pictures, *, picked: bool, foot: str = "") -> str:
    """A picture to pick; `foot` is a number under it."""
    alt = pictures.alt(image_id)
    pressed = "true" if picked else "false"
    said = f"{alt}, {foot}" if foot else alt
    under = f'<span class="score">{esc(foot)}</span>' if foot else ""
    return (
        f'<button type="button" class="g-tile" data-action="pick" data-id="{esc(image_id)}" '
        f'aria-pressed="{pressed}" aria-label="{esc(said)}" title="{esc(alt)}">'
        f'<img src="{esc(pictures.src(image_id))}" alt="" width="128" height="128" '
        f'loading="lazy">{under}</button>'
    )


def pager(page: int, count: int) -> str:
    """Where one is among the pages, and the ways on; nothing for a single page."""
    pages = max(1, -(-count // PAGE))
    if pages == 1:
        return ""

    def to(target: int, words: str, sign: str) -> str:
        off = "" if 0 <= target < pages and target != page else " disabled"
        return (
            f'<button type="button" class="g-flip" data-action="page" data-id="{target}"{off} '
            f'aria-label="{words}">{sign}</button>'
        )

    return (
        f'<nav class="g-pager" aria-label="Pages">{to(0, "First page", "«")}'
        f"{to(page - 1, 'Previous page', '‹')}"
        f'<span class="num">page {page + 1} of {pages}</span>'
        f"{to(page + 1, 'Next page', '›')}{to(pages - 1, 'Last page', '»')}</nav>"
    )


def grid(
    found: Sequence[tuple[ImageId, str]], pictures: Pictures, page: int, picked: str, said: str
) -> str:
    """A page of pictures under a line that says which they are."""
    shown = found[page * PAGE : (page + 1) * PAGE]
    head = (
        f'<div class="g-found"><p role="status">{said}</p>{pager(page, len(found))}</div>'
        if said or len(found) > PAGE
        else ""
    )
    if not shown:
        return f'{head}<p class="empty">Nothing to show. Try fewer or other words.</p>'
    tiles = "".join(tile(i, pictures, picked=i == picked, foot=f) for i, f in shown)
    last = pager(page, len(found)) if len(shown) > PAGE // 2 else ""
    return f'{head}<div class="g-tiles" role="group" aria-label="Pictures">{tiles}</div>{last}'


def nothing_picked() -> str:
    """The panel before a picture is chosen."""
    return (
        '<div class="g-sheet"><p class="empty">Click a picture to see its caption, its record and '
        "its nearest neighbours, and to search with it.</p></div>"
    )


def picked(
    image_id: ImageId,
    pictures: Pictures,
    record: Mapping[str, Any],
    alike: Sequence[tuple[ImageId, float]],
    queries: Sequence[Triplet],
) -> str:
    """The picture that was clicked: caption, record, neighbours, ways on."""
    caption = str(record.get("caption") or "")
    by = str(record.get("caption_by") or "")
    machine = (
        f'<p class="g-machine" title="{esc(by)}"><b aria-hidden="true">⚙</b> Written by a model, '
        "not checked by anyone.</p>"
        if by
        else ""
    )
    words = (
        f"<blockquote>{esc(caption)}</blockquote>{machine}"
        if caption
        else '<p class="g-soft">This picture has no caption.</p>'
    )
    rows = "".join(
        f"<div><dt>{esc(k)}</dt><dd>{esc(v)}</dd></div>" for k, v in flat(record.get("record"))
    )
    near = "".join(tile(i, pictures, picked=False, foot=f"{score:.3f}") for i, score in alike)
    neighbours = (
        "<h3>Nearest neighbours</h3><p class='g-soft'>By the cosine of the image vectors: what "
        f"this encoder takes for alike.</p><div class='g-tiles g-few'>{near}</div>"
        if alike
        else ""
    )
    asked = "".join(
        '<li><button type="button" class="g-ask" data-action="ask" '
        f'data-id="{esc(t.modification)}"><q>{esc(t.modification)}</q></button></li>'
        for t in queries
    )
    texts = (
        "<h3>Benchmark queries with this reference</h3>"
        f"<p class='g-soft'>One click opens and runs it.</p><ul class='g-asks'>{asked}</ul>"
        if asked
        else ""
    )
    alt = esc(pictures.alt(image_id))
    record_list = f'<dl class="g-record">{rows}</dl>' if rows else ""
    return (
        f'<article class="g-sheet" aria-label="Picked picture"><button type="button" '
        'class="g-shut" aria-label="Close">✕</button><img class="g-large" '
        f'src="{esc(pictures.src(image_id))}" alt="{alt}">'
        f'<p class="g-id">{esc(image_id)}</p>{words}'
        '<p class="g-ways"><button type="button" class="g-act g-first" data-action="use">'
        'Use as reference in Search</button><button type="button" class="g-act" '
        f'data-action="alike">Sort gallery by likeness</button></p>{record_list}'
        f"{texts}{neighbours}</article>"
    )


def flat(record: Any) -> list[tuple[str, str]]:
    """A record as names and values: lists of things are numbered, empty values left out."""
    rows: list[tuple[str, str]] = []
    for key, value in (record or {}).items() if isinstance(record, Mapping) else ():
        if key == "bytes" and isinstance(value, int):
            rows.append(("file size", told(value)))
        elif isinstance(value, list) and all(isinstance(v, Mapping) for v in value):
            name = key.rstrip("s")
            for number, one in enumerate(value, 1):
                label = f"{name} {number}" if len(value) > 1 else name
                rows.append((label, ", ".join(str(v) for v in one.values() if v)))
        elif isinstance(value, list | tuple):
            rows.append((key, ", ".join(map(str, value))))
        elif value not in ("", None):
            rows.append((key, str(value)))
    return [(k, v) for k, v in rows if v]
