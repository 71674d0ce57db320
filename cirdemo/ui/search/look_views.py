"""What chapter 3 shows: pure functions from maps and curves to HTML and SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from cirdemo.explain import overlay
from cirdemo.explain.curves import area, carried
from cirdemo.types import Heatmap, ImageId
from cirdemo.ui import cards
from cirdemo.ui.cards import Pictures, esc
from cirdemo.ui.search import look_read, views
from cirdemo.ui.shelf import data_uri, layer_uri

if TYPE_CHECKING:
    from cirdemo.ui.search.look import Looked

SIZE = 288  # pixels of the longer side of a picture under its maps
HOT = 0.2  # of the area: what the sentence about the curve speaks of
SPOT = "how much a spot adds to the similarity"
STOPPED = (
    '<div class="look-curves"><p class="what">Stopped: the curves were not measured.</p></div>'
)
PLOT = (300, 170, 38, 12, 26)  # width, height, and the room left, above and below of a plot


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picked:
    """Which picture is looked at."""

    image_id: ImageId
    alt: str
    is_reference: bool
    reference: Image.Image
    src: str  # address of the picture


def chapter(picked: Picked, maps: str, words: str, curve: str, seconds: float) -> str:
    """The chapter of one picture."""
    other = "" if picked.is_reference else _buttons(picked)
    said = "the reference image itself" if picked.is_reference else ""  # its ranks stand above
    body = (
        f'<div class="look-head"><p class="picked">Picked: <b>{esc(picked.alt)}</b> '
        f"<span>{esc(said)}</span></p>{other}</div>{maps}{words}{curve}"
    )
    return cards.chapter(3, views.TITLES[3], views.LEADS[3], body, seconds=seconds)


def _buttons(picked: Picked) -> str:
    """To what else can be done with the picture, and to the reference."""
    small = picked.reference.copy()
    small.thumbnail((64, 64))
    return (
        '<button type="button" class="toggle" data-event="select" data-action="pick" '
        f'data-id="{esc(picked.image_id)}">More about this picture</button>'
        f'<button type="button" class="look-reference" data-event="select" data-id="reference">'
        f'<img src="{data_uri(small)}" alt="" width="28" height="28">Look at the reference</button>'
    )


# --- maps ---------------------------------------------------------------------------------


def maps(looked: Looked, picked: Picked, word: str, seen: overlay.Box | None) -> str:
    """Union, intersection, their difference and a word's map, with the scales they share.

    A map is a see-through layer of about 1 kB; the picture behind all of them is sent once.
    """
    first, second, frame = looked.union, looked.intersection, looked.image.size

    def tile(
        kind: str, title: str, says: str, heat: Heatmap | None = None, less: Heatmap | None = None
    ) -> str:
        lain = overlay.layer(frame, heat, less, seen=seen) if heat else Image.new("RGBA", (1, 1))
        return (
            f'<figure class="{kind}"><img class="{"heat" if heat else "ground"}" '
            f'src="{layer_uri(lain)}" alt="{esc(title)}: {esc(picked.alt)}" '
            f'width="{frame[0]}" height="{frame[1]}">'
            f"<figcaption><b>{esc(title)}</b><span>{esc(says)}</span></figcaption></figure>"
        )

    said = look_read.read(first, second, looked.words)
    drawn = tile("union", "Union", first.text, first)
    drawn += tile("intersection", "Intersection", second.text, second)
    says = "Red: more under union. Blue: more under intersection."
    drawn += tile("difference", "Difference", says, first, second)
    if (heat := looked.of(word)) is None:
        drawn += tile("plain", "The picture", "Without any map. Click a word for its own.")
    elif heat is looked.control:
        says = f"“{heat.text}”: drawn at random, said nowhere. What is warm here is chance."
        drawn += tile("lone", "Control word", says, heat)
    else:
        most = heat.value_range[0] + float(heat.values.max()) * np.ptp(heat.value_range)
        drawn += tile("lone", "Word", f"“{heat.text}” alone; {most:.2g} at most", heat)
    low, high = first.value_range
    scales = (
        f'<div class="look-scales">{scale(low, high, SPOT + ", same for all maps")}'
        f"{scale(-(high - low), high - low, 'difference', diverging=True)}</div>"
    )
    return f'{said}<div class="look-maps" style="{_under(picked.src)}">{drawn}</div>{scales}'


def _under(src: str) -> str:
    """The style that puts a picture under the layers; an address has no quotes in it."""
    return f"--under:url('{esc(src)}')"


def scale(low: float, high: float, label: str, *, diverging: bool = False) -> str:
    """A colour bar with its ends, as a gradient: no picture, readable on both themes."""
    stops = ", ".join(
        f"rgb({r * 255:.0f} {g * 255:.0f} {b * 255:.0f})"
        for r, g, b in overlay.colour_stops(diverging=diverging)
    )
    says = f"Colour bar from {low:.2g} to {high:.2g}: {label}"
    return (
        f'<div class="look-scale" role="img" aria-label="{esc(says)}"><span class="num">{low:.2g}'
        f'</span><i style="background:linear-gradient(90deg,{stops})"></i>'
        f'<span class="num">{high:.2g}</span><span class="label">{esc(label)}</span></div>'
    )


def words(looked: Looked, word: str, union: Sequence[str], intersection: Sequence[str]) -> str:
    """A button for each phrase and one for the control word; a second click takes it back."""
    items = []
    for heat in looked.words:
        both = heat.text in union and heat.text in intersection
        kind = "both" if both else "union" if heat.text in union else "intersection"
        sign, says = _SIGNS[kind]
        items.append(_button(heat.text, heat.text, sign, says, kind, pressed=heat.text == word))
    if looked.control is not None:
        text = looked.control.text
        says = "control: a random word that nobody said"
        shown = f"control: {text}"
        items.append(_button(text, shown, "?", says, "control", pressed=text == word))
    key = "".join(
        f'<li><b class="key {kind}" aria-hidden="true">{sign}</b> {esc(says)}</li>'
        for kind, (sign, says) in _SIGNS.items()
    )
    return (
        '<div class="look-words"><h3 id="look-words">One word at a time</h3>'
        f'<div class="look-buttons" role="group" aria-labelledby="look-words">{"".join(items)}'
        f'</div><ul class="legend">{key}<li><b class="key control" aria-hidden="true">?</b> '
        "a random word that nobody said: what the method draws where there is nothing to find"
        "</li></ul></div>"
    )


_SIGNS = {
    "both": ("=", "in both descriptions"),
    "union": ("∪", "in union only"),
    "intersection": ("∩", "in intersection only"),
}


def _button(value: str, text: str, sign: str, says: str, kind: str, *, pressed: bool) -> str:
    sent = "" if pressed else value
    return (
        f'<button type="button" class="word {kind}" data-event="select" data-action="word" '
        f'data-value="{esc(sent)}" '
        f'aria-pressed="{str(pressed).lower()}" title="{esc(says)}"><b aria-hidden="true">{sign}'
        f"</b>{esc(text)}{cards.hidden(', ' + says)}</button>"
    )


# --- curves -------------------------------------------------------------------------------


def measuring() -> str:
    """What stands in the curves' place until they are measured."""
    return (
        '<div class="look-curves"><p class="what" role="status"><i class="spin" '
        'aria-hidden="true"></i> Measuring how much the hot area carries…</p></div>'
    )


def curves(shares: np.ndarray, lines: Mapping[str, Mapping[str, np.ndarray]], text: str) -> str:
    """Deletion and insertion against random orders, and in one sentence what the hot area carries.

    Args:
        shares: (steps + 1,) from 0 to 1.
        lines: Cosines by curve and order; the order "map" is the heatmap's, all others are blind.
        text: Whose map and cosine.
    """
    blind = {
        curve: np.mean([line for name, line in by_order.items() if name != "map"], axis=0)
        for curve, by_order in lines.items()
    }
    said = sentence(shares, lines["deletion"]["map"], blind["deletion"])
    plots = "".join(
        f"<figure>{plot(shares, lines[curve]['map'], blind[curve], title)}"
        f"<figcaption><b>{title}</b><span>{esc(_about(curve, shares, lines, blind))}</span>"
        "</figcaption></figure>"
        for curve, title in (("deletion", "Deletion"), ("insertion", "Insertion"))
    )
    return (
        '<details class="look-curves"><summary>How much does the hot area carry? Deletion and '
        "insertion curves</summary>"
        f'<p class="look-carried">{said}</p><div class="look-plots">{plots}</div>'
        f'<p class="what">Cosine with the intersection description, “{esc(text)}”. Solid: in the '
        "order of its map, hottest first. Dashed: in random order, the mean of "
        f"{len(lines['deletion']) - 1}.</p></details>"
    )


def sentence(shares: np.ndarray, deletion: np.ndarray, blind: np.ndarray) -> str:
    """How much of the similarity the hottest fifth of the area carries."""
    hot, chance = carried(shares, deletion, HOT), carried(shares, blind, HOT)
    whole, left = float(deletion[0]), float(np.interp(HOT, shares, deletion))
    if hot is None or chance is None:
        return (
            f"The cosine is {whole:.2f}, no more than without the picture: no part of it carries "
            "a similarity."
        )
    none = float(deletion[-1])
    more = "no more than chance" if hot <= chance else f"a random fifth: {chance:.0%}"
    return (
        f"Without the hottest {HOT:.0%} of the area the cosine goes from {whole:.2f} to "
        f"{left:.2f}; with none of the picture left it is {none:.2f}. So that area carries "
        f"<b>{hot:.0%}</b> of what the picture adds ({more})."
    )


def _about(
    curve: str,
    shares: np.ndarray,
    lines: Mapping[str, Mapping[str, np.ndarray]],
    blind: Mapping[str, np.ndarray],
) -> str:
    gain = area(shares, lines[curve]["map"]) - area(shares, blind[curve])
    if curve == "deletion":
        how = "falls faster" if gain < 0 else "falls no faster"
        return (
            f"Patches go, mean colour comes: the cosine {how} than at random (area between the two "
            f"lines {gain:+.2f})."
        )
    how = "rises faster" if gain > 0 else "rises no faster"
    return (
        f"Patches come back into the blurred picture: it {how} than at random (area between the "
        f"two lines {gain:+.2f})."
    )


def plot(shares: np.ndarray, line: np.ndarray, blind: np.ndarray, title: str) -> str:
    """Two lines and the area between them as an SVG that takes the page's colours."""
    width, height, left, above, below = PLOT
    low, high = float(min(line.min(), blind.min(), 0)), float(max(line.max(), blind.max()))
    span = (high - low) or 1.0

    def points(values: np.ndarray) -> list[str]:
        x = left + shares * (width - left - 8)
        y = above + (high - values) / span * (height - above - below)
        return [f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True)]

    ticks = "".join(
        f'<text x="{left - 6}" y="{above + (high - v) / span * (height - above - below) + 4:.1f}" '
        f'text-anchor="end">{v:.2f}</text>'
        f'<path class="rule" d="M{left} {above + (high - v) / span * (height - above - below):.1f}'
        f'H{width - 8}"/>'
        for v in np.linspace(low, high, 3)
    )
    marks = "".join(
        f'<text x="{left + s * (width - left - 8):.1f}" y="{height - 8}" '
        f'text-anchor="{"end" if s == 1 else "middle"}">'
        f"{s:.0%}</text>"
        for s in (0.0, 0.2, 0.5, 1.0)
    )
    says = f"{title}: cosine from {line[0]:.2f} to {line[-1]:.2f}, at 20 % of the area "
    says += f"{np.interp(HOT, shares, line):.2f}, at random {np.interp(HOT, shares, blind):.2f}"
    own, other = points(line), points(blind)
    fifth = left + HOT * (width - left - 8)
    return (
        f'<svg class="curve" viewBox="0 0 {width} {height}" role="img" aria-label="{esc(says)}">'
        f'{ticks}<path class="fifth" d="M{fifth:.1f} {above}V{height - below}"/>'
        f'<polygon class="between" points="{" ".join(own + other[::-1])}"/>'
        f'<polyline class="blind" points="{" ".join(other)}"/>'
        f'<polyline class="own" points="{" ".join(own)}"/>{marks}</svg>'
    )


# --- strip --------------------------------------------------------------------------------


def strip(
    shown: Sequence[tuple[ImageId, tuple[int, int], Heatmap, overlay.Box | None]],
    pictures: Pictures,
    high: float,
) -> str:
    """The first candidates under the intersection map, all on one scale."""
    items = "".join(
        f'<button type="button" class="look-one" data-event="select" data-action="pick" '
        f'data-id="{esc(image_id)}" title="{esc(pictures.alt(image_id))}" '
        f'aria-label="Look at rank {rank}: {esc(pictures.alt(image_id))}">'
        f'<img class="heat" src="{layer_uri(overlay.layer(frame, heat, side=48, seen=seen))}" '
        f'style="{_under(pictures.src(image_id))}" alt="" width="{frame[0]}" height="{frame[1]}">'
        f'<span class="rank">{rank}</span></button>'
        for rank, (image_id, frame, heat, seen) in enumerate(shown, 1)
    )
    return (
        '<div class="look-strip"><h3>The first of the intersection list, under its map</h3>'
        f'<div class="look-row" role="group" aria-label="Candidates with their maps">{items}</div>'
        f"{scale(0.0, high, SPOT + ', same for these')}</div>"
    )
