"""One search result as one self-contained HTML file: no scripts, nothing fetched."""

from __future__ import annotations

import base64
import io
import math
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from cirdemo.types import SearchResult

if TYPE_CHECKING:
    from cirdemo.gallery.store import Gallery

SIDE = 160  # pixels of a picture in the file: 30 pictures stay under 300 kB
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;
color:#1c1c1c;background:#fff}
ol{display:flex;flex-wrap:wrap;gap:.75rem;list-style:none;padding:0}
li{width:160px;font-size:.85rem}img{display:block;border-radius:6px;max-width:100%}
dt{font-weight:600}.dropped{text-decoration:line-through}.added{font-weight:600}
@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}}
"""


def write_report(path: Path, result: SearchResult, gallery: Gallery) -> None:
    """Write the file; pictures are embedded at `SIDE` pixels and every text is escaped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html(result, gallery), encoding="utf-8")


def html(result: SearchResult, gallery: Gallery) -> str:
    """The page."""
    query = result.query
    title = f"cirdemo: {query.modification}"
    body = [
        f"<h1>{escape(query.modification)}</h1>",
        _picture(query.reference, f"reference image {query.reference_id or ''}"),
        *(f"<p>{escape(n)}</p>" for n in result.notices),
    ]
    if result.descriptions:
        body.append("<h2>Descriptions of the target</h2><dl>")
        for mode, d in result.descriptions.items():
            cues = ", ".join(
                f'<span class="{c.status}">{escape(c.text)}</span> ({c.status})' for c in d.cues
            )
            body.append(f"<dt>{mode}</dt><dd>{escape(d.text)}<br><small>{cues}</small></dd>")
        body.append("</dl>")
    for name, ranking in result.coarse.items():
        cards = [(c.image_id, f"{c.rank}. cosine {c.score:.3f}") for c in ranking.candidates]
        body.append(_row(f"Coarse retrieval: {name}", cards, gallery))
    shown = max((len(r.candidates) for r in result.coarse.values()), default=0)
    if result.reranked:
        cards = [
            (r.image_id, f"{r.rank}. was {r.coarse_rank}, {_chance(r.yes_probability)}")
            for r in result.reranked[:shown]
        ]
        body.append(_row("Re-ranked by the judge", cards, gallery))
    if result.rationale is not None:
        steps = ("caption", "reasoning", "conclusion")
        told = ((step, getattr(result.rationale, step)) for step in steps)
        body.append("<h2>Reasoning</h2><dl>")
        body += [f"<dt>{step}</dt><dd>{escape(text)}</dd>" for step, text in told]
        body.append("</dl>")
    facts = [f"{role}: {name}" for role, name in result.models.items()]
    facts += [f"{stage}: {s:.2f} s" for stage, s in result.seconds.items()]
    body.append(f"<p><small>{escape('; '.join(facts))}</small></p>")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>{''.join(body)}</html>\n"
    )


def _row(heading: str, cards: list[tuple[str, str]], gallery: Gallery) -> str:
    items = "".join(
        f"<li>{_picture(gallery.image(i), i)}{escape(i)}<br>{escape(text)}</li>"
        for i, text in cards
    )
    return f"<h2>{escape(heading)}</h2><ol>{items}</ol>"


def _chance(probability: float) -> str:
    return "not judged" if math.isnan(probability) else f"P(Yes) {probability:.2f}"


def _picture(image: Image.Image, text: str) -> str:
    small = image.copy()
    small.thumbnail((SIDE, SIDE))
    data = io.BytesIO()
    small.save(data, "WEBP", quality=85)
    code = base64.b64encode(data.getvalue()).decode("ascii")
    return f'<img alt="{escape(text)}" src="data:image/webp;base64,{code}">'
