"""What animals wear. Head pieces are in head units (see heads.py), the cape in body units."""

from __future__ import annotations

import math

from cirdemo.data.drawn.paint.canvas import Point
from cirdemo.data.drawn.paint.sketch import Sketch

NAVY, NAVY_SHADE, NAVY_LINE = (38, 44, 108), (24, 28, 76), (128, 140, 206)
RED, RED_SHADE, RED_LINE = (222, 40, 52), (176, 24, 40), (132, 16, 30)
GOLD, GOLD_SHADE, GOLD_LINE = (255, 206, 44), (226, 164, 20), (146, 92, 8)
PURPLE, PURPLE_SHADE, PURPLE_LINE = (128, 48, 172), (96, 30, 136), (66, 16, 96)
CREAM = (255, 252, 244)

_TOP = {"frog": -0.92, "lion": -0.98, "elephant": -0.82, "owl": -0.84, "deer": -0.84}
_EYES = {"owl": (0.5, -0.1, 0.52), "frog": (0.68, -0.84, 0.52), "deer": (0.47, -0.1, 0.46)}
_FLOWER = {
    "rabbit": (0.72, -0.95),
    "elephant": (1.15, -0.75),
    "frog": (1.12, -0.95),
    "lion": (1.0, -0.85),
    "deer": (0.95, -0.62),
}


def paint_on_head(
    s: Sketch, accessory: str, species: str, turn: float, mirror: bool, closed: bool = False
) -> None:
    """Hat, crown, glasses or flower; the flower sits on the side that `mirror` chooses."""
    top = _TOP.get(species, -0.82)
    if accessory == "hat":
        _hat(s.placed(0, top, 0.86 if species == "rabbit" else 1.0, -6 if mirror else 6))
    elif accessory == "crown":
        _crown(s.placed(0, top, 0.84 if species == "rabbit" else 1.0))
    elif accessory == "glasses":
        x, y, r = _EYES.get(species, (0.5, -0.1, 0.5))
        _glasses(s.placed(0.26 * turn, y), x, r, closed)
    elif accessory == "flower":
        x, y = _FLOWER.get(species, (0.92, -0.8))
        _flower(s.placed(-x if mirror else x, y, 1.0))


def _hat(s: Sketch) -> None:
    s.add([(-0.56, 0), (-0.66, -1.1), (0.66, -1.1), (0.56, 0)], NAVY, NAVY_SHADE, NAVY_LINE)
    s.add([(-0.57, -0.04), (-0.6, -0.38), (0.6, -0.38), (0.57, -0.04)], RED)
    s.ellipse(0, 0.02, 1.0, 0.2, NAVY, NAVY_SHADE, NAVY_LINE)


def _crown(s: Sketch) -> None:
    points = [(-0.78, 0.14), (-0.92, -0.85), (-0.46, -0.36), (0, -1.05), (0.46, -0.36)]
    points += [(0.92, -0.85), (0.78, 0.14), (0, 0.24)]
    s.add(points, GOLD, GOLD_SHADE, GOLD_LINE)
    for x, y in ((-0.92, -0.88), (0, -1.1), (0.92, -0.88)):
        s.ellipse(x, y, 0.15, 0.15, RED, None, RED_LINE)
    for x, colour in ((-0.46, (40, 170, 90)), (0, RED), (0.46, (40, 170, 90))):
        s.ellipse(x, -0.05, 0.13, 0.15, colour, None, GOLD_LINE)


def _glasses(s: Sketch, x: float, r: float, closed: bool) -> None:
    frame = (30, 22, 34)
    s.curve([(-x + r * 0.6, 0), (0, -0.1), (x - r * 0.6, 0)], 0.17, frame)
    for side in (-1, 1):
        s.curve([(side * (x + r), -0.02), (side * (x + r + 0.25), -0.14)], 0.16, frame)
        s.ellipse(side * x, 0, r, r, frame, None, (214, 210, 220))
        s.ellipse(side * x, 0, r * 0.72, r * 0.72, (226, 244, 250))
        if closed:
            lid = [(side * x - r * 0.42, 0.0), (side * x, r * 0.3), (side * x + r * 0.42, 0.0)]
            s.curve(lid, 0.11, frame)
        else:
            s.ellipse(side * x, r * 0.04, r * 0.36, r * 0.44, frame)
            s.ellipse(side * x - r * 0.14, -r * 0.14, r * 0.15, r * 0.16, CREAM)
        s.add(
            [
                (side * x + r * 0.2, -r * 0.62),
                (side * x + r * 0.42, -r * 0.5),
                (side * x - r * 0.3, r * 0.6),
                (side * x - r * 0.48, r * 0.46),
            ],
            (255, 255, 255, 110),
        )


def _flower(s: Sketch) -> None:
    for edge, petal in ((0.4, (206, 44, 122)), (0.34, (255, 236, 246))):
        for i in range(6):
            a = math.pi / 3 * i + 0.3
            s.ellipse(0.4 * math.cos(a), 0.4 * math.sin(a), edge, edge, petal)
    for i in range(6):
        a = math.pi / 3 * i + 0.3
        s.ellipse(0.3 * math.cos(a), 0.3 * math.sin(a), 0.18, 0.18, (255, 150, 206))
    s.ellipse(0, 0, 0.26, 0.26, (255, 196, 30), None, (200, 120, 10))


def paint_scarf(s: Sketch, mirror: bool) -> None:
    """A striped scarf under the chin with one end hanging down; head units."""
    count, half = 9, 0.92
    xs = [half * (2 * i / count - 1) for i in range(count + 1)]
    top: list[Point] = [(x, 0.72 + 0.24 * (1 - (x / half) ** 2)) for x in xs]
    low: list[Point] = [(x * 1.04, 1.0 + 0.34 * (1 - (x / half) ** 2)) for x in xs]
    tail = s.placed(0.42, 1.1, mirror=False) if not mirror else s.placed(-0.42, 1.1, mirror=True)
    _stripes(tail, [(-0.2, 0), (-0.12, 0.9)], [(0.24, 0), (0.34, 0.86)], 5)
    for i in range(count):
        fill = RED if i % 2 == 0 else CREAM
        s.add([top[i], top[i + 1], low[i + 1], low[i]], fill)
    for edge in (top, low):
        s.curve(edge, 0.05, RED_LINE)


def _stripes(s: Sketch, left: list[Point], right: list[Point], count: int) -> None:
    (lx0, ly0), (lx1, ly1) = left
    (rx0, ry0), (rx1, ry1) = right
    s.add([*left, right[1], right[0]], RED, None, RED_LINE)
    for i in range(count):
        a, b = i / count, (i + 1) / count
        quad = [(lx0 + (lx1 - lx0) * t, ly0 + (ly1 - ly0) * t) for t in (a, b)]
        quad += [(rx0 + (rx1 - rx0) * t, ry0 + (ry1 - ry0) * t) for t in (b, a)]
        s.add(quad, RED if i % 2 == 0 else CREAM)


def paint_clasp(s: Sketch) -> None:
    """The collar and clasp of a cape under the chin; head units."""
    s.blob(
        [(-0.95, 0.62), (0, 0.9), (0.95, 0.62), (1.0, 0.95), (0, 1.32), (-1.0, 0.95)],
        PURPLE,
        PURPLE_SHADE,
        PURPLE_LINE,
    )
    s.ellipse(0, 1.12, 0.2, 0.2, GOLD, None, GOLD_LINE)


def paint_cape(s: Sketch, outline: list[Point]) -> None:
    """The cloth of a cape; its outline belongs to the pose."""
    s.blob(outline, PURPLE, PURPLE_SHADE, PURPLE_LINE)
