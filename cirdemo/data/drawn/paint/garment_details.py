"""What is sewn onto a garment: collars, pockets, bows, buttons, belts, frills."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from cirdemo.data.drawn.paint.canvas import (
    Box,
    Canvas,
    Colour,
    Point,
    ellipse_points,
    mix,
    smooth,
)
from cirdemo.data.drawn.paint.patterns import Dye
from cirdemo.data.drawn.wardrobe import Garment

GOLD, SILVER = (236, 188, 60), (232, 234, 240)
PIVOT = 0.1  # a hanging garment turns about its hook
GIRTH = 1.09  # cloth is drawn a little wider than cut, to fill the picture


class Tailor:
    """Draws garment coordinates (x from the centre line) on a canvas in one pose."""

    def __init__(
        self, canvas: Canvas, rng: np.random.Generator, scale: float, angle: float, dx: float,
        dy: float,
    ) -> None:  # fmt: skip
        self.canvas = canvas
        self.rng = rng
        self._c, self._s = scale * math.cos(angle), scale * math.sin(angle)
        self._x, self._y = 0.5 + dx, PIVOT + dy

    def pose(self, points: Sequence[Point]) -> list[Point]:
        """Garment to picture coordinates."""
        c, s, ox, oy = self._c, self._s, self._x, self._y
        cx, sx = c * GIRTH, s * GIRTH
        return [(ox + x * cx - (y - PIVOT) * s, oy + x * sx + (y - PIVOT) * c) for x, y in points]

    def pixels(self, points: Sequence[Point]) -> list[Point]:
        """Garment coordinates to pixels of the supersampled picture."""
        k = self.canvas.scale
        return [(x * k, y * k) for x, y in self.pose(points)]

    def polygon(self, points: Sequence[Point], fill: Colour) -> None:
        """A filled polygon."""
        self.canvas.polygon(self.pose(points), fill)

    def stroke(self, points: Sequence[Point], width: float, fill: Colour) -> None:
        """A line."""
        self.canvas.stroke(self.pose(points), width, fill)

    def curve(self, points: Sequence[Point], width: float, fill: Colour) -> None:
        """A smooth line."""
        self.canvas.curve(self.pose(points), width, fill)

    def box(self, points: Sequence[Point]) -> Box:
        """The upright box around posed points."""
        posed = self.pose(points)
        xs, ys = [p[0] for p in posed], [p[1] for p in posed]
        return (min(xs), min(ys), max(xs), max(ys))


def half_width(side: Sequence[Point], y: float) -> float:
    """Half the garment's width at a height."""
    return float(np.interp(y, [p[1] for p in side], [p[0] for p in side]))


def paint_collar(t: Tailor, dye: Dye) -> list[Point]:
    """Two pointed flaps that meet under the throat."""
    edge = mix(dye.collar, (20, 16, 30), 0.45)
    t.polygon([(-0.07, 0.112), (0.07, 0.112), (0.074, 0.138), (-0.074, 0.138)], edge)
    flap = [(0.062, 0.104), (0.1, 0.138), (0.118, 0.242), (0.004, 0.212), (0.052, 0.15)]
    out = []
    for s in (-1, 1):
        piece = [(s * x, y) for x, y in flap]
        t.polygon(piece, dye.collar)
        t.stroke([*piece, piece[0]], 0.007, edge)
        out += piece
    return out


def paint_detail(
    t: Tailor, garment: Garment, dye: Dye, side: Sequence[Point], hem: Sequence[Point],
    waist: float, low: float,
) -> list[Point]:  # fmt: skip
    """Paint the garment's detail; the points that bound it."""
    if garment.detail == "bow":
        return _bow(t, dye, max(low + 0.03, 0.285))
    if garment.detail == "belt":
        return _belt(t, garment, dye, half_width(side, waist), waist)
    if garment.detail == "buttons":
        return _buttons(t, dye, low, hem[len(hem) // 2][1])
    if garment.detail == "ruffle":
        return _ruffle(t, dye, side, hem)
    return _pockets(t, garment, dye, side, hem, waist)


def _bow(t: Tailor, dye: Dye, y: float) -> list[Point]:
    dark = mix(dye.accent, dye.base, 0.26)
    bounds: list[Point] = []
    for s in (-1, 1):
        tail = [(0, y), (s * 0.034, y + 0.105), (s * 0.058, y + 0.09), (s * 0.075, y + 0.1),
                (s * 0.03, y)]  # fmt: skip
        loop = smooth(
            [(0, y - 0.01), (s * 0.05, y - 0.052), (s * 0.105, y - 0.045), (s * 0.108, y + 0.035),
             (s * 0.05, y + 0.036), (0, y + 0.012)], steps=4,
        )  # fmt: skip
        for piece, fill in ((tail, dark), (loop, dye.accent)):
            t.stroke([*piece, piece[0]], 0.014, dye.rim)
            t.polygon(piece, fill)
            bounds += piece
        t.polygon([(s * 0.02, y - 0.006), (s * 0.08, y - 0.022), (s * 0.075, y + 0.006)], dark)
    knot = ellipse_points(0, y, 0.024, 0.028, n=20)
    t.polygon(ellipse_points(0, y, 0.03, 0.034, n=20), dye.rim)
    t.polygon(knot, dye.accent)
    return bounds


def _belt(t: Tailor, garment: Garment, dye: Dye, half: float, y: float) -> list[Point]:
    w, h = half + 0.008, 0.03
    band = [(-w, y - h), (0, y - h + 0.014), (w, y - h), (w, y + h), (0, y + h + 0.014),
            (-w, y + h)]  # fmt: skip
    t.polygon(band, dye.accent)
    for edge in (band[:3], band[3:]):
        t.stroke(edge, 0.007, dye.rim)
    cy = y + 0.014
    metal = SILVER if garment.colour in ("yellow", "orange") else GOLD
    for rx, ry, fill in ((0.048, 0.044, metal), (0.028, 0.024, dye.accent)):
        t.polygon([(-rx, cy - ry), (rx, cy - ry), (rx, cy + ry), (-rx, cy + ry)], fill)
    t.stroke([(0.0, cy), (0.03, cy)], 0.01, metal)
    return band


def _buttons(t: Tailor, dye: Dye, low: float, foot: float) -> list[Point]:
    top, end = low + 0.04, foot - 0.045
    n = max(3, round((end - top) / 0.085) + 1)
    w = 0.04
    for i in range(n):
        y = top + (end - top) * i / (n - 1)
        t.polygon(ellipse_points(0, y, 0.033, 0.035, n=20), dye.rim)
        t.polygon(ellipse_points(0, y, 0.026, 0.028, n=20), dye.accent)
        for s in (-1, 1):
            t.polygon(ellipse_points(s * 0.008, y, 0.004, 0.004, n=6), dye.rim)
    return [(-w, top - 0.03), (w, top - 0.03), (w, end + 0.03), (-w, end + 0.03)]


def _ruffle(t: Tailor, dye: Dye, side: Sequence[Point], hem: Sequence[Point]) -> list[Point]:
    """Pleats that widen downward, every second one in shade."""
    n = 9
    edge = list(reversed(hem))  # left to right
    xs, ys = [p[0] for p in edge], [p[1] for p in edge]
    wide = edge[-1][0]
    narrow = half_width(side, edge[-1][1] - 0.06) + 0.004
    cuts = [-1 + 2 * i / n for i in range(n + 1)]
    bounds: list[Point] = []
    tone = (dye.accent, mix(dye.accent, dye.base, 0.24))
    for i, (a, b) in enumerate(itertools.pairwise(cuts)):
        ya, yb = (float(np.interp(v * wide, xs, ys)) for v in (a, b))
        out = wide + 0.02
        pleat = [
            (a * narrow, ya - 0.062), (b * narrow, yb - 0.062), (b * out, yb),
            *[(out * (b + (a - b) * v), yb + (ya - yb) * v + 0.03 * math.sin(math.pi * v) ** 0.7)
              for v in (0.1, 0.3, 0.5, 0.7, 0.9)],
            (a * out, ya),
        ]  # fmt: skip
        t.polygon(pleat, tone[i % 2])
        bounds += pleat
    t.stroke([p for i in range(n + 1) for p in [(cuts[i] * narrow, float(np.interp(
        cuts[i] * wide, xs, ys)) - 0.062)]], 0.01, dye.rim)  # fmt: skip
    return bounds


def _pockets(
    t: Tailor, garment: Garment, dye: Dye, side: Sequence[Point], hem: Sequence[Point],
    waist: float,
) -> list[Point]:  # fmt: skip
    """Two patch pockets of plain cloth with contrasting flaps."""
    foot = hem[0][1]
    if garment.category == "dress":
        top = waist + 0.035 if garment.length == "short" else waist + 0.3 * (foot - waist)
    else:
        top = {"short": 0.335, "regular": 0.45, "long": 0.58}[garment.length]
    h = 0.098
    x = max(0.098, half_width(side, top + h / 2) * 0.54)
    w = 0.05
    bounds: list[Point] = []
    for s in (-1, 1):
        c = s * x
        patch = [(c - w, top), (c + w, top), (c + w, top + h * 0.8), (c, top + h),
                 (c - w, top + h * 0.8)]  # fmt: skip
        flap = [(c - w - 0.006, top), (c + w + 0.006, top), (c + w + 0.006, top + 0.026),
                (c, top + 0.046), (c - w - 0.006, top + 0.026)]  # fmt: skip
        t.stroke([*patch, patch[0]], 0.03, dye.rim)
        t.stroke([*patch, patch[0]], 0.016, dye.accent)
        t.polygon(patch, dye.base)
        t.polygon(flap, dye.accent)
        bounds += patch
    return bounds
