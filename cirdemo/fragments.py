"""Pieces of a self-contained report: pictures as data URIs, the rank flow, heatmaps."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Collection, Sequence
from html import escape

from PIL import Image

from cirdemo.explain import overlay
from cirdemo.types import Heatmap, ImageId, Reranked

SIDE = 160  # pixels of a picture in the file: 40 pictures stay under 300 kB


def data_uri(image: Image.Image, side: int = SIDE) -> str:
    """A picture, made small, as a data URI."""
    small = image.convert("RGB")
    small.thumbnail((side, side))
    data = io.BytesIO()
    small.save(data, "WEBP", quality=82)
    return "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode("ascii")


def rank_flow(
    items: Sequence[Reranked], uri: Callable[[ImageId], str], targets: Collection[ImageId]
) -> str:
    """Lines from coarse rank (left, in coarse order) to new rank (right), targets marked.

    Args:
        items: The pictures to draw, in their new order.
        uri: image id -> data URI, '' for none.
        targets: Their lines are gold, broad and carry a star.
    """
    step, top, side = 32, 26, 26
    left = {r.image_id: i for i, r in enumerate(sorted(items, key=lambda r: r.coarse_rank))}
    drawn = ""
    for i, r in enumerate(items):
        y0, y1 = top + step * left[r.image_id] + side / 2, top + step * i + side / 2
        kind = "up" if r.coarse_rank > r.rank else "down" if r.coarse_rank < r.rank else "level"
        star = " ★" if r.image_id in targets else ""
        address = uri(r.image_id)
        images = "".join(
            f'<image href="{address}" x="{x}" y="{y - side / 2}" width="{side}" height="{side}"/>'
            for x, y in ((46, y0), (228, y1))
            if address
        )
        drawn += (
            f'<g class="{kind}{" hit" if star else ""}">'
            f"<title>{escape(r.image_id)}{star}: {r.coarse_rank} to {r.rank}</title>"
            f'<path d="M78 {y0}C150 {y0} 150 {y1} 222 {y1}"/>'
            f'<text x="38" y="{y0 + 4}" text-anchor="end">{r.coarse_rank}</text>{images}'
            f'<text x="262" y="{y1 + 4}">{r.rank}{star}</text></g>'
        )
    return (
        f'<svg class="flow" viewBox="0 0 300 {top + step * len(items)}" role="img" '
        'aria-label="Rank flow: coarse rank on the left, re-ranked on the right">'
        '<text class="head" x="8" y="12">coarse</text>'
        f'<text class="head" x="292" y="12" text-anchor="end">re-ranked</text>{drawn}</svg>'
    )


def map_figures(image: Image.Image, drawn: Sequence[Heatmap], alt: str) -> str:
    """One picture's maps (under union, under intersection) and, of two, their difference."""
    names = ("under union", "under intersection")
    figures = [
        (overlay.overlay(image, m, SIDE * 2), name) for name, m in zip(names, drawn, strict=False)
    ]
    low, high = drawn[0].value_range
    says = f"{alt}; similarity {low:.2f} (clear) to {high:.2f} (bright)"
    if len(drawn) >= 2:
        figures.append((overlay.difference(image, drawn[0], drawn[1], SIDE * 2), "difference"))
        says += "; red: more under union, blue: more under intersection"
    body = "".join(
        f'<figure><img alt="{escape(alt)}, heatmap {name}" src="{data_uri(picture, SIDE * 2)}">'
        f"<figcaption>{name}</figcaption></figure>"
        for picture, name in figures
    )
    return f'<div class="maps">{body}<p class="says">{escape(says)}</p></div>'
