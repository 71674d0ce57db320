"""The eight things a picture may hold beside its animals; one look each, lit from the left.

Their colours hardly answer to the time of day: a query names them, so they must be found.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .canvas import Box, Canvas, Colour, Point, clip_box, ellipse_points, mix, smooth

WOOD, WOOD_LIT, WOOD_DARK = (196, 124, 62), (240, 186, 118), (124, 70, 36)


def paint_prop(
    canvas: Canvas, prop: str, cx: float, base_y: float, size: float, rng: np.random.Generator
) -> Box:
    """Paint a prop standing on (cx, base_y), or floating over it; returns the box it covers."""
    if prop not in FLOATING:
        wide = WIDTH[prop] * size
        canvas.soft_ellipse(
            cx + 0.05 * size, base_y, wide * 0.62, size * 0.11, (20, 24, 40, 120), 0.6
        )
    return clip_box(PAINTERS[prop](canvas, cx, base_y, size, rng))


def _ball(canvas: Canvas, x: float, y: float, size: float, rng: np.random.Generator) -> Box:
    """A beach ball: red, white and blue gores that meet at a cap."""
    r = size * 0.46
    cy = y - r
    canvas.ellipse(x, cy, r, r, (250, 250, 250))
    turn = rng.uniform(-0.25, 0.25)
    px, py = x - r * 0.28 + r * 0.3 * turn, cy - r * 0.42  # the cap, seen from the side
    colours = ((226, 44, 48), (250, 250, 250), (36, 92, 206)) * 2
    for k, colour in enumerate(colours):
        a0, a1 = (math.tau * (k + d) / 6 + turn for d in (0, 1))
        edge = [
            (x + r * math.cos(a), cy + r * math.sin(a)) for a in np.linspace(a0, a1, 9).tolist()
        ]
        canvas.polygon([(px, py), *edge], colour)
    canvas.ellipse(px, py, r * 0.16, r * 0.14, (252, 214, 74))
    shade = [*ellipse_points(x, cy, r, r, 0, 40)[0:20]]
    inner = [
        (x + r * 0.98 * math.cos(a), cy + r * 0.55 * math.sin(a))
        for a in np.linspace(math.pi, 0, 16).tolist()
    ]
    canvas.polygon([*shade, *inner], (30, 20, 60, 50))
    canvas.ellipse(x - r * 0.5, cy - r * 0.2, r * 0.09, r * 0.17, (255, 255, 255, 190), 30)
    return (x - r, cy - r, x + r, y)


def _balloon(canvas: Canvas, x: float, y: float, size: float, rng: np.random.Generator) -> Box:
    """A red balloon, its string tied to a peg on the ground."""
    ry, rx = size * 0.48, size * 0.40
    bx, cy = x + rng.uniform(-0.12, 0.12) * size, y - size * 1.5
    low = cy + ry
    string = [
        (bx, low + size * 0.06),
        (bx + 0.08 * size, low + size * 0.3),
        (x - 0.07 * size, y - size * 0.3),
        (x, y),
    ]
    canvas.soft_ellipse(x, y, size * 0.2, size * 0.06, (20, 24, 40, 110), 0.7)
    canvas.curve(string, size * 0.032, (250, 246, 236))
    canvas.ellipse(x, y - size * 0.015, size * 0.06, size * 0.035, (110, 84, 70))
    canvas.polygon(
        [
            (bx - rx * 0.2, low + size * 0.09),
            (bx, low - size * 0.05),
            (bx + rx * 0.2, low + size * 0.09),
        ],
        (170, 22, 36),
    )
    outline = [
        (bx + rx * math.sin(a) * (1 - 0.1 * max(0.0, -math.cos(a))), cy - ry * math.cos(a))
        for a in np.linspace(0, math.tau, 32, endpoint=False).tolist()
    ]
    canvas.polygon(outline, (178, 20, 40))
    canvas.ellipse(bx - rx * 0.1, cy - ry * 0.07, rx * 0.88, ry * 0.9, (232, 36, 48))
    canvas.ellipse(bx - rx * 0.38, cy - ry * 0.42, rx * 0.17, ry * 0.25, (255, 190, 186), 28)
    return (min(x, bx) - rx, cy - ry, max(x, bx) + rx, y)


def _sledge(canvas: Canvas, x: float, y: float, size: float, rng: np.random.Generator) -> Box:
    """A wooden sledge: slatted seat, curled-up runners, a cord."""
    way = 1 if rng.random() < 0.5 else -1
    w = size * 0.58
    x -= way * 0.06 * size

    def at(u: float, v: float) -> Point:
        return (x + way * u * w, y - v * size * 1.18)

    far = [at(-0.86, 0.1), at(0.6, 0.1), at(0.9, 0.24), at(1.06, 0.46), at(1.0, 0.6)]
    canvas.curve(far, size * 0.07, WOOD_DARK)
    for u in (-0.6, 0.0, 0.52):
        canvas.stroke([at(u, 0.05), at(u, 0.3)], size * 0.075, WOOD_DARK)
    near = [
        at(-1.0, 0.04),
        at(0.56, 0.04),
        at(0.92, 0.18),
        at(1.08, 0.42),
        at(1.0, 0.63),
        at(0.84, 0.62),
        at(0.8, 0.5),
    ]
    canvas.curve(near, size * 0.1, (204, 48, 40))
    canvas.curve([at(-1.0, 0.012), at(0.6, 0.012), at(0.92, 0.13)], size * 0.032, (214, 222, 232))
    seat = [at(-1.0, 0.32), at(-0.8, 0.52), at(0.74, 0.52), at(0.6, 0.32)]
    canvas.polygon(seat, WOOD_LIT)
    for v in (0.385, 0.455):
        canvas.stroke([at(v - 1.31, v), at(0.62 + (v - 0.35) * 0.7, v)], size * 0.022, WOOD_DARK)
    canvas.polygon([at(-1.0, 0.32), at(0.6, 0.32), at(0.6, 0.23), at(-1.0, 0.23)], WOOD)
    canvas.curve([at(1.06, 0.42), at(1.16, 0.22), at(1.26, 0.03)], size * 0.03, (240, 226, 190))
    x0, x1 = sorted((at(-1.06, 0)[0], at(1.28, 0)[0]))
    return (x0, y - size * 0.8, x1, y)


def _lantern(canvas: Canvas, x: float, y: float, size: float, rng: np.random.Generator) -> Box:
    """A black iron lantern with a warm flame and a glow about it."""
    w = size * 0.27
    iron, edge = (50, 50, 62), (92, 92, 108)
    top = y - size
    canvas.soft_ellipse(x, y - size * 0.42, size * 0.8, size * 0.75, (255, 190, 70, 150), 1.0)
    canvas.curve(
        [
            (x - w * 0.75, y - size * 0.8),
            (x - w * 0.6, top + size * 0.03),
            (x, top - size * 0.015),
            (x + w * 0.6, top + size * 0.03),
            (x + w * 0.75, y - size * 0.8),
        ],
        size * 0.045,
        iron,
    )
    canvas.polygon(
        [
            (x - w, y - size * 0.14),
            (x - w * 0.82, y - size * 0.66),
            (x + w * 0.82, y - size * 0.66),
            (x + w, y - size * 0.14),
        ],
        (255, 206, 84),
    )
    canvas.ellipse(x, y - size * 0.36, w * 0.62, size * 0.2, (255, 236, 150))
    lean = rng.uniform(-0.15, 0.15) * w
    canvas.blob(
        [
            (x - w * 0.3, y - size * 0.27),
            (x + lean, y - size * 0.54),
            (x + w * 0.3, y - size * 0.27),
            (x, y - size * 0.18),
        ],
        (250, 130, 30),
    )
    canvas.ellipse(x, y - size * 0.27, w * 0.16, size * 0.07, (255, 252, 220))
    for side in (-1, 1):
        canvas.stroke(
            [(x + side * w, y - size * 0.1), (x + side * w * 0.84, y - size * 0.68)],
            size * 0.05,
            iron,
        )
    canvas.polygon(
        [
            (x - w * 1.15, y - size * 0.64),
            (x - w * 0.4, y - size * 0.84),
            (x + w * 0.4, y - size * 0.84),
            (x + w * 1.15, y - size * 0.64),
        ],
        iron,
    )
    canvas.polygon(
        [
            (x - w * 1.15, y - size * 0.64),
            (x - w * 0.4, y - size * 0.84),
            (x - w * 0.1, y - size * 0.84),
            (x - w * 0.5, y - size * 0.64),
        ],
        edge,
    )
    canvas.polygon(
        [
            (x - w * 1.25, y),
            (x - w * 1.1, y - size * 0.14),
            (x + w * 1.1, y - size * 0.14),
            (x + w * 1.25, y),
        ],
        iron,
    )
    canvas.stroke([(x - w * 1.0, y - size * 0.1), (x - w * 0.2, y - size * 0.1)], size * 0.03, edge)
    return (x - w * 1.25, top - size * 0.03, x + w * 1.25, y)


def _basket(canvas: Canvas, x: float, y: float, size: float, rng: np.random.Generator) -> Box:
    """A woven basket with a high handle, full of red and green apples."""
    w, rim = size * 0.52, y - size * 0.46
    straw, lit, dark = (206, 150, 78), (232, 188, 118), (146, 94, 44)
    arc = [
        (x + w * 0.88 * math.cos(a), rim - (size * 0.52) * math.sin(a))
        for a in np.linspace(0, math.pi, 15).tolist()
    ]
    canvas.stroke(arc, size * 0.075, dark)
    canvas.stroke([(px - size * 0.008, py - size * 0.012) for px, py in arc], size * 0.035, lit)
    for k, u in enumerate((-0.58, 0.58, -0.2, 0.22)):
        ax, ay = x + u * w, rim - size * (0.05 if k < 2 else 0.11)
        green = k == int(rng.integers(4))
        red: Colour = (120, 178, 52) if green else (214, 36, 40)
        r = size * 0.145
        canvas.ellipse(ax, ay, r, r, mix(red, (60, 10, 30), 0.3))
        canvas.ellipse(ax - r * 0.12, ay - r * 0.12, r * 0.82, r * 0.82, red)
        canvas.ellipse(ax - r * 0.35, ay - r * 0.4, r * 0.2, r * 0.24, (255, 230, 214))
        canvas.stroke(
            [(ax, ay - r * 0.8), (ax + r * 0.2, ay - r * 1.25)], size * 0.022, (92, 58, 30)
        )
    canvas.polygon([(x - w, rim), (x + w, rim), (x + w * 0.78, y), (x - w * 0.78, y)], straw)
    canvas.polygon(
        [(x + w * 0.45, rim), (x + w, rim), (x + w * 0.78, y), (x + w * 0.36, y)],
        mix(straw, dark, 0.5),
    )
    for row in range(3):
        top = rim + size * (0.09 + 0.125 * row)
        half = w * (1 - 0.22 * (top - rim) / (size * 0.46)) * 0.97
        for k in range(-2, 3):
            mid = x + (k + (0.5 if row % 2 else 0)) * half * 0.42
            if abs(mid - x) < half * 0.92:
                canvas.ellipse(
                    mid,
                    top + size * 0.045,
                    half * 0.15,
                    size * 0.036,
                    lit if k < 1 else mix(lit, dark, 0.35),
                )
    canvas.stroke([(x - w, rim), (x + w, rim)], size * 0.085, dark)
    canvas.stroke([(x - w, rim - size * 0.01), (x + w * 0.9, rim - size * 0.01)], size * 0.04, lit)
    return (x - w * 1.06, rim - size * 0.56, x + w * 1.06, y)


def _kite(canvas: Canvas, x: float, y: float, size: float, rng: np.random.Generator) -> Box:
    """A teal and yellow diamond in the air, a tail with bows under it."""
    tilt = math.radians(rng.uniform(4, 11) * (1 if rng.random() < 0.5 else -1))
    cx, cy = x + (0.5 - x) * 0.05, y - size * 1.75

    def at(u: float, v: float) -> Point:
        u, v = u * size, v * size
        return (
            cx + u * math.cos(tilt) - v * math.sin(tilt),
            cy + u * math.sin(tilt) + v * math.cos(tilt),
        )

    top, right, low, left, heart = (
        at(0, -0.52),
        at(0.42, -0.1),
        at(0, 0.62),
        at(-0.42, -0.1),
        at(0, -0.1),
    )
    sway = rng.uniform(0.1, 0.18) * (1 if rng.random() < 0.5 else -1)
    tail = smooth([low, at(sway, 0.82), at(-sway, 1.06), at(sway * 0.8, 1.3)], closed=False)
    canvas.stroke(tail, size * 0.035, (250, 246, 232))
    ends = [top, right, left, *tail]
    for k, colour in ((6, (250, 204, 40)), (11, (240, 92, 60)), (16, (250, 204, 40))):
        bx, by = tail[k]
        d = size * 0.105
        canvas.polygon([(bx - d, by - d * 0.6), (bx, by), (bx - d, by + d * 0.6)], colour)
        canvas.polygon([(bx + d, by - d * 0.6), (bx, by), (bx + d, by + d * 0.6)], colour)
    for corner, colour in (
        ((top, left), (20, 178, 176)),
        ((top, right), (255, 214, 48)),
        ((left, low), (250, 200, 36)),
        ((right, low), (10, 140, 148)),
    ):
        canvas.polygon([corner[0], corner[1], heart], colour)
    canvas.stroke([top, low], size * 0.028, (120, 78, 44))
    canvas.stroke([left, right], size * 0.028, (120, 78, 44))
    pad = size * 0.05
    return (
        min(p[0] for p in ends) - pad,
        min(p[1] for p in ends),
        max(p[0] for p in ends) + pad,
        max(p[1] for p in ends) + pad,
    )


def _drum(canvas: Canvas, x: float, y: float, size: float, rng: np.random.Generator) -> Box:
    """A red drum, white zigzag cord, golden hoops, two sticks on its skin."""
    w, lid, flat = size * 0.5, y - size * 0.66, size * 0.13
    red, gold = (206, 30, 42), (246, 196, 66)
    canvas.ellipse(x, y - flat, w, flat, gold)
    canvas.polygon([(x - w, lid), (x + w, lid), (x + w, y - flat), (x - w, y - flat)], gold)
    canvas.ellipse(x, y - flat - size * 0.08, w, flat, red)
    canvas.polygon(
        [
            (x - w, lid),
            (x + w, lid),
            (x + w, y - flat - size * 0.08),
            (x - w, y - flat - size * 0.08),
        ],
        red,
    )
    canvas.polygon(
        [(x + w * 0.5, lid), (x + w, lid), (x + w, y - flat), (x + w * 0.5, y - flat * 0.35)],
        (70, 0, 30, 80),
    )
    zig = []
    for k in range(9):
        u = -0.92 + 0.23 * k
        drop = flat * math.sqrt(max(0.0, 1 - u * u))
        zig.append(
            (x + u * w, (lid + size * 0.13 if k % 2 else y - flat - size * 0.1) + drop * 0.9)
        )
    canvas.stroke(zig, size * 0.055, (255, 252, 244))
    canvas.ellipse(x, lid + size * 0.06, w, flat, gold)
    canvas.ellipse(x, lid, w, flat, gold)
    canvas.ellipse(x, lid - size * 0.01, w * 0.9, flat * 0.82, (252, 246, 230))
    lean = rng.uniform(-0.05, 0.05) * size
    for side in (-1, 1):
        a = (x - side * w * 0.25, lid - size * 0.02)
        b = (x + side * w * 0.85 + lean, lid - size * 0.27)
        canvas.stroke([a, b], size * 0.055, WOOD)
        canvas.ellipse(*a, size * 0.065, size * 0.055, WOOD_LIT)
    return (x - w, lid - size * 0.32, x + w, y)


def _cake(canvas: Canvas, x: float, y: float, size: float, rng: np.random.Generator) -> Box:
    """A pink layer cake on a plate: cream that drips, a row of lit candles."""
    w, lid, flat = size * 0.5, y - size * 0.56, size * 0.1
    pink, deep, cream = (250, 138, 176), (222, 96, 142), (255, 246, 232)
    canvas.ellipse(x, y - flat * 0.8, w * 1.2, flat * 0.85, (236, 240, 246))
    canvas.ellipse(x, y - flat * 1.3, w, flat, deep)
    canvas.polygon(
        [(x - w, lid), (x + w, lid), (x + w, y - flat * 1.3), (x - w, y - flat * 1.3)], pink
    )
    canvas.ellipse(x, y - flat * 1.3, w, flat, pink)
    mid = (lid + y - flat) / 2 + size * 0.05
    band = [
        (x + u * w, mid + flat * math.sqrt(max(0.0, 1 - u * u)) * 0.8)
        for u in np.linspace(-0.97, 0.97, 11).tolist()
    ]
    canvas.stroke(band, size * 0.065, (132, 72, 50))
    canvas.polygon(
        [
            (x + w * 0.55, lid),
            (x + w, lid),
            (x + w, y - flat * 1.3),
            (x + w * 0.55, y - flat * 0.5),
        ],
        (150, 20, 90, 60),
    )
    for u in (-0.86, -0.45, 0.0, 0.45, 0.86):
        drop = flat * math.sqrt(1 - u * u) + size * rng.uniform(0.03, 0.09)
        canvas.stroke([(x + u * w, lid), (x + u * w, lid + drop)], size * 0.13, cream)
    canvas.ellipse(x, lid, w, flat, cream)
    canvas.ellipse(x, lid - size * 0.01, w * 0.88, flat * 0.75, (255, 206, 222))
    for k, u in enumerate((-0.6, -0.2, 0.2, 0.6)):
        px, py = x + u * w, lid + (flat * 0.25 if k % 2 else -flat * 0.2)
        canvas.stroke(
            [(px, py), (px, py - size * 0.22)],
            size * 0.055,
            ((70, 150, 230), (250, 250, 250))[k % 2],
        )
        canvas.ellipse(px, py - size * 0.3, size * 0.05, size * 0.075, (255, 150, 30))
        canvas.ellipse(px, py - size * 0.285, size * 0.025, size * 0.04, (255, 244, 170))
    return (x - w * 1.2, lid - size * 0.4, x + w * 1.2, y)


Painter = Callable[[Canvas, float, float, float, np.random.Generator], Box]
PAINTERS: dict[str, Painter] = {
    "ball": _ball,
    "balloon": _balloon,
    "sledge": _sledge,
    "lantern": _lantern,
    "basket": _basket,
    "kite": _kite,
    "drum": _drum,
    "cake": _cake,
}
FLOATING = ("balloon", "kite")
WIDTH = {"ball": 0.8, "sledge": 1.2, "lantern": 0.66, "basket": 0.95, "drum": 1.0, "cake": 1.2}
