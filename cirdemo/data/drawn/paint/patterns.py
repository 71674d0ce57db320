"""Fabrics: the eight dyes and the six patterns, drawn in a garment's own coordinates.

A pattern is drawn in the frame of the piece it is cut from (body or sleeve), so that stripes run
across a sleeve and not across the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import ImageDraw

from cirdemo.data.drawn.paint.canvas import Box, Colour, Point, ellipse_points

Frame = Callable[[Sequence[Point]], list[Point]]  # piece coordinates to pixels


@dataclass(frozen=True, slots=True)
class Dye:
    """The colours that go with one garment colour."""

    base: Colour
    print: Colour  # the pattern's second colour
    accent: Colour  # bows, belts, buttons, frills: unlike the base and the print
    rim: Colour  # sets an accent off from any pattern
    inside: Colour  # the back seen through the neckline
    trim: Colour  # neckline and armhole edges
    collar: Colour


CREAM = (255, 246, 226)
INK = (38, 34, 48)
DYES = {
    "white": Dye(
        (250, 250, 247), (132, 136, 148), (58, 60, 70), CREAM, (176, 176, 180), (96, 98, 108),
        (84, 87, 98),
    ),
    "black": Dye(
        (30, 30, 34), (178, 180, 188), (238, 236, 232), (12, 12, 14), (92, 92, 100),
        (226, 226, 228), (240, 240, 240),
    ),
    "red": Dye(
        (212, 24, 38), (255, 222, 204), (62, 12, 24), CREAM, (118, 10, 22), (255, 236, 222),
        (255, 246, 238),
    ),
    "orange": Dye(
        (246, 126, 14), (255, 236, 206), (88, 38, 8), CREAM, (158, 74, 4), (255, 244, 226),
        (255, 248, 238),
    ),
    "yellow": Dye(
        (252, 216, 36), (134, 90, 14), (72, 54, 26), (255, 252, 232), (128, 92, 4),
        (255, 253, 238), (255, 254, 246),
    ),
    "green": Dye(
        (30, 144, 62), (214, 246, 206), (8, 52, 26), CREAM, (12, 82, 34), (234, 250, 228),
        (246, 252, 242),
    ),
    "blue": Dye(
        (28, 84, 208), (206, 226, 255), (10, 20, 66), CREAM, (12, 44, 122), (228, 238, 255),
        (246, 249, 255),
    ),
    "purple": Dye(
        (126, 44, 168), (238, 214, 250), (48, 10, 70), CREAM, (72, 20, 100), (246, 230, 252),
        (252, 246, 255),
    ),
}  # fmt: skip


def _band(y: float, half: float, box: Box, sag: float) -> list[Point]:
    """A cross band of the fabric; `sag` bends it as cloth around a body does."""
    x0, _, x1, _ = box
    xs = [x0 + (x1 - x0) * i / 8 for i in range(9)]
    top = [(x, y - half - sag * x * x) for x in xs]
    return [*top, *((x, yy + 2 * half) for x, yy in reversed(top))]


def _steps(lo: float, hi: float, step: float, origin: float = 0.0) -> list[float]:
    first = math.floor((lo - origin) / step)
    return [origin + step * i for i in range(first, math.ceil((hi - origin) / step) + 1)]


def paint_pattern(
    draw: ImageDraw.ImageDraw, pattern: str, dye: Dye, frame: Frame, box: Box, sag: float = 0.0
) -> None:
    """Print the pattern over `box` (piece coordinates); the cloth is already dyed."""
    x0, y0, x1, y1 = box
    ink = dye.print[:3]
    if pattern == "striped":
        for y in _steps(y0, y1, 0.1, 0.05):
            draw.polygon(frame(_band(y, 0.02, box, sag)), fill=ink)
    elif pattern == "dotted":
        for row, y in enumerate(_steps(y0, y1, 0.066)):
            for x in _steps(x0, x1, 0.096, 0.048 * (row % 2)):
                draw.polygon(frame(ellipse_points(x, y, 0.025, 0.025, n=14)), fill=ink)
    elif pattern == "checked":
        _checks(draw, ink, frame, box, sag)
    elif pattern == "zigzag":
        _zigzags(draw, ink, frame, box)
    elif pattern == "floral":
        for row, y in enumerate(_steps(y0, y1, 0.112, 0.03)):
            for x in _steps(x0, x1, 0.148, 0.074 * (row % 2)):
                _flower(draw, dye, frame, x, y, 23.0 * row + 40 * x)


def _checks(draw: ImageDraw.ImageDraw, ink: Colour, frame: Frame, box: Box, sag: float) -> None:
    """Gingham: two sets of translucent bands that add up where they cross."""
    x0, y0, x1, y1 = box
    for y in _steps(y0, y1, 0.108, 0.05):
        draw.polygon(frame(_band(y, 0.021, box, sag)), fill=(*ink, 118))
    for x in _steps(x0, x1, 0.108):
        strip = [(x - 0.021, y0), (x + 0.021, y0), (x + 0.021, y1), (x - 0.021, y1)]
        draw.polygon(frame(strip), fill=(*ink, 118))


def _zigzags(draw: ImageDraw.ImageDraw, ink: Colour, frame: Frame, box: Box) -> None:
    """Sharp rows of teeth, tall enough not to be taken for stripes."""
    x0, y0, x1, y1 = box
    xs = _steps(x0, x1, 0.058)
    for y in _steps(y0 - 0.05, y1 + 0.05, 0.108):
        tops = [(x, y + (0.032 if i % 2 else -0.032)) for i, x in enumerate(xs)]
        band = [*tops, *((x, yy + 0.04) for x, yy in reversed(tops))]
        draw.polygon(frame(band), fill=ink)


def _flower(
    draw: ImageDraw.ImageDraw, dye: Dye, frame: Frame, x: float, y: float, turn: float
) -> None:
    """Five petals around a dark eye, large so as not to be taken for dots."""
    coats = [(0.0, dye.print)]
    eye = dye.accent[:3]
    if dye is DYES["yellow"]:  # brown petals look withered: white ones, edged in brown
        eye = (222, 124, 10)
        coats = [(0.003, dye.print), (-0.002, dye.rim)]
    for wider, fill in coats:
        for k in range(5):
            a = math.radians(turn + 72 * k)
            cx, cy = x + 0.032 * math.cos(a), y + 0.032 * math.sin(a)
            petal = ellipse_points(cx, cy, 0.025 + wider, 0.018 + wider, math.degrees(a), n=10)
            draw.polygon(frame(petal), fill=fill[:3])
    draw.polygon(frame(ellipse_points(x, y, 0.016, 0.016, n=10)), fill=eye)
