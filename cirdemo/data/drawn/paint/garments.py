"""Single garments on a hanger, as in a shop: cut, cloth, folds, light.

All is drawn upright in garment coordinates (x from the centre line, y down from the top of the
picture) and posed at the end of every call, so shoulders, waist and hem keep their meaning.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from cirdemo.data.drawn.paint.canvas import Box, Canvas, Colour, Point, clip_box, mix, smooth
from cirdemo.data.drawn.paint.garment_cuts import (
    NECK_TOP,
    Cut,
    body_of,
    cuff_of,
    cut_of,
    mirror,
    neckline_of,
    sleeve_of,
)
from cirdemo.data.drawn.paint.garment_details import Tailor, paint_collar, paint_detail
from cirdemo.data.drawn.paint.patterns import DYES, Dye, paint_pattern
from cirdemo.data.drawn.wardrobe import Garment

BACKGROUNDS: dict[str, tuple[Colour, Colour]] = {  # top and bottom of a soft gradient
    "sand": ((228, 216, 196), (208, 192, 168)),
    "mist": ((206, 217, 228), (180, 195, 210)),
    "sage": ((208, 220, 206), (184, 200, 184)),
    "rose": ((232, 212, 212), (214, 190, 192)),
    "lilac": ((220, 213, 230), (200, 190, 214)),
    "stone": ((216, 216, 214), (192, 192, 192)),
}
AVOID = {  # backgrounds too near to the garment in hue
    "white": ("stone",),
    "black": (),
    "red": ("rose",),
    "orange": ("sand", "rose"),
    "yellow": ("sand",),
    "green": ("sage",),
    "blue": ("mist", "lilac"),
    "purple": ("lilac", "rose"),
}


def _extent(points: Sequence[Point], scale: float = 1.0) -> Box:
    xs, ys = [p[0] / scale for p in points], [p[1] / scale for p in points]
    return (min(xs), min(ys), max(xs), max(ys))


def _cloth(
    t: Tailor, outline: list[Point], pattern: str, dye: Dye, turn: float, folds: list[list[Point]]
) -> None:
    """Cut a piece out of printed cloth and lay it on the canvas; light comes from the left.

    `turn` (degrees) is the way the thread runs, so that patterns follow a sleeve.
    """
    px = t.pixels(outline)
    x0, y0, x1, y1 = (int(v) for v in _extent(px))
    size = (x1 - x0 + 2, y1 - y0 + 2)
    cloth = Image.new("RGB", size, dye.base[:3])
    draw = ImageDraw.Draw(cloth, "RGBA")
    a = math.radians(turn)
    ca, sa = math.cos(a), math.sin(a)

    def shift(points: Sequence[Point]) -> list[Point]:
        return [(x - x0, y - y0) for x, y in t.pixels(points)]

    def frame(points: Sequence[Point]) -> list[Point]:
        return shift([(x * ca - y * sa, x * sa + y * ca) for x, y in points])

    if pattern != "plain":
        bounds = _extent([(x * ca + y * sa, y * ca - x * sa) for x, y in outline])
        paint_pattern(draw, pattern, dye, frame, bounds, 0.0 if turn else 0.25)
    gleam = (255, 255, 255, 34 if sum(dye.base[:3]) > 150 else 20)  # black must stay black
    for i, fold in enumerate(folds):
        draw.polygon(shift(fold), fill=gleam if i == 0 else (12, 8, 30, 38))
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).polygon([(x - x0, y - y0) for x, y in px], fill=255)
    t.canvas.image.paste(cloth, (x0, y0), mask)


def _body_folds(garment: Garment, t: Tailor, cut: Cut) -> list[list[Point]]:
    """One lit side, one shaded side, and creases falling from the waist or the chest."""
    hem = cut.hem[0][1] + 0.1
    side = cut.side
    lit = [(-0.5, 0.0), (-0.45, hem), (-side[-1][0] * 0.72, hem), (-0.1, cut.waist), (-0.15, 0.0)]
    inner = [(x * (1 - 0.3 * i / len(side)), y) for i, (x, y) in enumerate(side)][::-1]
    shade = [*side, (side[-1][0], hem), (side[-1][0] * 0.7, hem), *inner]
    folds = [lit, shade]
    top = cut.waist if garment.category == "dress" else 0.42
    wide = side[-1][0]
    for k in (-0.55, -0.12, 0.34):
        x = k * wide + t.rng.uniform(-0.02, 0.02)
        folds.append([(x * 0.55, top), (x + 0.028, hem), (x - 0.012, hem)])
    return folds


def _setting(canvas: Canvas, t: Tailor, colour: str, pieces: list[list[Point]]) -> None:
    """A plain soft wall, and the garment's soft shadow on it (drawn small: it is blurred)."""
    names = [n for n in BACKGROUNDS if n not in AVOID[colour]]
    top, bottom = BACKGROUNDS[names[int(t.rng.integers(len(names)))]]
    if colour == "white":
        top, bottom = mix(top, (90, 90, 100), 0.22), mix(bottom, (90, 90, 100), 0.22)
    canvas.gradient((0, 0, 1, 1), top, bottom)
    small = 64
    mask = Image.new("L", (small, small))
    draw = ImageDraw.Draw(mask)
    k = small / canvas.scale
    for piece in pieces:
        draw.polygon([(x * k + 1.6, y * k + 2.0) for x, y in t.pixels(piece)], fill=105)
    mask = mask.filter(ImageFilter.BoxBlur(1.6)).resize(
        canvas.image.size, Image.Resampling.BILINEAR
    )
    canvas.image.paste(mix(bottom, (40, 30, 60), 0.75), (0, 0, *canvas.image.size), mask)


def _hanger(t: Tailor, shoulder: float) -> None:
    """A wire hook and a wooden bar, seen through the neckline only."""
    wire, wood = (112, 112, 118), (186, 142, 96)
    hook = [(-0.004, 0.13), (0.0, 0.085), (0.022, 0.066), (0.022, 0.04), (0.0, 0.028),
            (-0.02, 0.042)]  # fmt: skip
    t.curve(hook, 0.009, wire)
    t.stroke([(-shoulder * 0.8, 0.185), (0, 0.135), (shoulder * 0.8, 0.185)], 0.02, wood)


def paint_garment(
    garment: Garment, seed: int, size: int = 256
) -> tuple[Image.Image, dict[str, Box]]:
    """The picture of a garment and the boxes of its parts; no two seeds hang alike."""
    rng = np.random.default_rng(seed)
    dye = DYES[garment.colour]
    canvas = Canvas(size)
    t = Tailor(
        canvas, rng, rng.uniform(0.93, 1.0), math.radians(rng.uniform(-6, 6)),
        rng.uniform(-0.01, 0.01), rng.uniform(-0.008, 0.022),
    )  # fmt: skip
    bare = garment.sleeve == "no"
    cut = cut_of(garment.category, garment.length)
    neck = neckline_of(garment.neckline)
    outline, armhole = body_of(cut, neck, bare)
    sleeves = [] if bare else [sleeve_of(cut, garment.sleeve)]
    sleeves += [mirror(s) for s in sleeves]

    _setting(canvas, t, garment.colour, [outline, *sleeves])
    back = [(neck[0][0], NECK_TOP), (0.0, NECK_TOP + 0.012), (neck[-1][0], NECK_TOP)]
    t.polygon([*smooth(back, closed=False), *reversed(neck)], dye.inside)
    _hanger(t, abs(neck[0][0]))
    crease = mix(dye.base, (12, 8, 30), 0.3) if garment.colour != "black" else (86, 86, 94)
    for i, sleeve in enumerate(sleeves):
        sign = -1 if i else 1
        turn = (-36 if garment.sleeve == "short" else -24) * sign
        f = cut.shoulder
        lit = [(sign * (f + 0.02), 0.15), (sign * (f + 0.5), 0.9), (sign * (f + 0.14), 0.9)]
        dark = [(sign * x, y) for x, y in ((f - 0.1, 0.15), (f, 0.3), (f + 0.1, 0.75), (0, 0.75))]
        _cloth(t, sleeve, garment.pattern, dye, turn, [lit, dark])
        if garment.sleeve == "long":
            t.polygon(cuff_of(cut, sign), dye.trim if garment.category != "shirt" else dye.collar)
    _cloth(t, outline, garment.pattern, dye, 0.0, _body_folds(garment, t, cut))
    _seams(garment, t, cut, armhole, dye, crease, neck)
    boxes = _boxes(t, outline, sleeves, neck, cut)
    if garment.neckline == "collar":
        boxes["neckline"] = t.box(paint_collar(t, dye))
    else:
        edge = [(neck[0][0], NECK_TOP + 0.012), *neck[1:-1], (neck[-1][0], NECK_TOP + 0.012)]
        t.stroke(edge, 0.028, crease)
        t.stroke(edge, 0.019, dye.trim)
    if garment.detail:
        low = max(y for _, y in neck)
        boxes["detail"] = t.box(paint_detail(t, garment, dye, cut.side, cut.hem, cut.waist, low))
    return canvas.finish(rng, 3.0), {k: clip_box(b) for k, b in boxes.items()}


def _seams(
    garment: Garment, t: Tailor, cut: Cut, armhole: list[Point], dye: Dye, crease: Colour,
    neck: list[Point],
) -> None:  # fmt: skip
    """Armholes, and what makes a shirt a shirt (yoke, placket) or a dress a dress (waist)."""
    bare = garment.sleeve == "no"
    for edge in (armhole, mirror(armhole)):
        t.stroke(edge, 0.016 if bare else 0.007, dye.trim if bare else crease)
    low = max(y for _, y in neck)
    if garment.category == "shirt":
        foot = cut.hem[0][1] + 0.076
        w = 0.032
        tone = (255, 255, 255) if garment.colour != "white" else (90, 90, 110)
        placket = [(-w, low - 0.02), (w, low - 0.02), (w, foot), (-w, foot)]
        t.polygon(placket, mix(dye.base, tone, 0.16))
        for x in (-w, w):
            t.stroke([(x, low - 0.01), (x, foot)], 0.011, crease)
        yoke = min(x for x, _ in armhole) - 0.008
        for s in (-1, 1):
            t.stroke([(s * 0.1, 0.222), (s * yoke, 0.232)], 0.011, crease)
    elif garment.category == "dress":
        x = 0.112
        t.curve([(-x, cut.waist), (0, cut.waist + 0.012), (x, cut.waist)], 0.009, crease)
    else:
        line = [(x * 0.985, y - 0.022) for x, y in cut.hem]
        t.stroke(line, 0.006, crease)


def _boxes(
    t: Tailor, outline: list[Point], sleeves: list[list[Point]], neck: list[Point], cut: Cut
) -> dict[str, Box]:
    """Where each part lies; a bare garment's "sleeves" are its armholes."""
    pit = cut.side[0]
    arms = [p for s in sleeves for p in s] or [
        (s * x, y) for s in (-1, 1) for x, y in (pit, (cut.shoulder, 0.165))
    ]
    return {
        "garment": t.box([*outline, *(p for s in sleeves for p in s)]),
        "sleeves": t.box(arms),
        "neckline": t.box(neck),
        "hem": t.box([*cut.hem, *((x, y - 0.06) for x, y in cut.hem)]),
    }
