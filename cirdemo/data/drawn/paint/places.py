"""Settings made by people: city, farm, garden, castle. Light falls from the left."""

from __future__ import annotations

import math

import numpy as np

from .canvas import Canvas, Colour, mix
from .nature import Rng, ground, leafy, rect, sides, tufts
from .sky import Mood, below, ridge, vary

LAMP = (255, 214, 110)  # lit windows keep their colour at night

# --- city ---------------------------------------------------------------------------------


def city_far(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """A hazy skyline with rows of windowed houses before it."""
    for x in np.linspace(-0.04, 0.96, 9).tolist():
        top = rng.uniform(0.2, 0.36)
        rect(canvas, x, top, x + 0.1, 0.62, m((150, 168, 192), 0.9))
    walls = [
        (196, 128, 104),
        (222, 190, 150),
        (134, 150, 172),
        (176, 164, 156),
        (164, 112, 112),
        (112, 134, 160),
    ]
    order = rng.permutation(6).tolist()
    x, k = rng.uniform(-0.08, -0.02), 0
    while x < 1:
        w = rng.uniform(0.15, 0.22)
        edge = min(abs(x + w / 2), abs(1 - x - w / 2)) < 0.24
        top = rng.uniform(0.05, 0.15) if edge else rng.uniform(0.2, 0.36)
        house(canvas, m, rng, x, top, w, vary(walls[order[k % 6]], rng, 6))
        x, k = x + w + rng.uniform(0.0, 0.012), k + 1


def house(canvas: Canvas, m: Mood, rng: Rng, x: float, top: float, w: float, wall: Colour) -> None:
    """A block with rows of windows, some lit at night."""
    rect(canvas, x, top, x + w, 0.64, m(wall, 0.4))
    rect(canvas, x + w * 0.82, top, x + w, 0.64, m(mix(wall, (60, 60, 80), 0.32), 0.4))
    rect(
        canvas,
        x - 0.006,
        top - 0.014,
        x + w + 0.006,
        top + 0.008,
        m(mix(wall, (70, 66, 80), 0.5), 0.4),
    )
    glass = m((92, 116, 144) if sum(wall) > 420 else (196, 216, 230), 0.4)
    dusk = m.time != "day"
    for wy in np.arange(top + 0.035, 0.54, 0.066).tolist():
        for j in range(3):
            lit = dusk and rng.random() < (0.6 if m.night else 0.3)
            wx = x + w * (0.08 + 0.25 * j)
            rect(canvas, wx, wy, wx + w * 0.16, wy + 0.036, LAMP if lit else glass)


def city_near(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """Pavement, kerb and an asphalt street with a dashed line and a crossing."""
    rect(canvas, 0, 0.61, 1, 0.68, m((196, 192, 188), 0.2))
    for x in np.arange(rng.uniform(0, 0.1), 1, 0.11).tolist():
        canvas.stroke([(x, 0.61), (x + (x - 0.5) * 0.12, 0.68)], 0.004, m((166, 162, 160), 0.2))
    rect(canvas, 0, 0.68, 1, 0.695, m((140, 138, 140), 0.1))
    road = vary((112, 114, 124), rng, 6)
    canvas.gradient((0, 0.695, 1, 1), m(road, 0.1), m(mix(road, (78, 80, 92), 0.6), 0))
    paint = m((240, 236, 222), 0.05)
    start = rng.uniform(-0.2, 0)
    for x in np.arange(start, 1, 0.27).tolist():
        canvas.polygon([(x, 0.86), (x + 0.15, 0.86), (x + 0.14, 0.885), (x - 0.012, 0.885)], paint)
    side = rng.uniform(0.0, 0.04) if rng.random() < 0.5 else rng.uniform(0.78, 0.82)
    for i in range(5):
        y = 0.715 + 0.06 * i
        canvas.polygon(
            [(side, y), (side + 0.18, y), (side + 0.18, y + 0.026), (side, y + 0.026)], paint
        )
    for x in (rng.uniform(0.01, 0.06), rng.uniform(0.94, 0.99)):
        leafy(
            canvas,
            rng,
            x,
            0.68,
            rng.uniform(0.22, 0.3),
            m((104, 170, 92), 0.2),
            m((70, 132, 80), 0.2),
        )


# --- farm ---------------------------------------------------------------------------------


def farm_far(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """Fields on hills, a big red barn with its silo at one side."""
    canvas.polygon(below(ridge(rng, 0.46, 0.03, 2), 0.7), m((150, 196, 132), 0.9))
    canvas.polygon(below(ridge(rng, 0.53, 0.02, 2), 0.7), m((214, 196, 104), 0.6))
    right = rng.random() < 0.5
    x = rng.uniform(0.78, 0.84) if right else rng.uniform(0.16, 0.22)
    silo = x - 0.245 if right else x + 0.245
    top = rng.uniform(0.22, 0.27)
    canvas.ellipse(silo, top, 0.062, 0.06, m((176, 186, 196), 0.3))
    rect(canvas, silo - 0.062, top, silo + 0.062, 0.61, m((206, 212, 216), 0.3))
    rect(canvas, silo + 0.02, top, silo + 0.062, 0.61, m((164, 172, 180), 0.3))
    barn(canvas, m, rng, x, rng.uniform(0.1, 0.15))
    leafy(
        canvas,
        rng,
        0.06 if right else 0.94,
        0.62,
        rng.uniform(0.34, 0.42),
        m((110, 176, 84), 0.3),
        m((74, 138, 70), 0.3),
    )


def barn(canvas: Canvas, m: Mood, rng: Rng, x: float, top: float) -> None:
    """A red gambrel barn with white trim and a crossed door."""
    w, eave, knee, foot = 0.185, top + 0.17, top + 0.06, 0.63
    red = vary((196, 52, 44), rng, 8)
    front = [
        (x - w, foot),
        (x - w, eave),
        (x - w * 0.68, knee),
        (x, top),
        (x + w * 0.68, knee),
        (x + w, eave),
        (x + w, foot),
    ]
    canvas.polygon(front, m(red, 0.25))
    canvas.polygon(
        [
            (x + w * 0.55, foot),
            (x + w * 0.55, knee - 0.015),
            (x + w * 0.68, knee),
            (x + w, eave),
            (x + w, foot),
        ],
        m(mix(red, (90, 20, 40), 0.4), 0.25),
    )
    white = m((250, 244, 234), 0.25)
    canvas.stroke(
        [(x - w - 0.015, eave + 0.015), *front[1:6], (x + w + 0.015, eave + 0.015)],
        0.022,
        m((96, 74, 76), 0.25),
    )
    rect(canvas, x - 0.04, top + 0.09, x + 0.04, top + 0.17, white)
    rect(
        canvas,
        x - 0.028,
        top + 0.102,
        x + 0.028,
        top + 0.158,
        LAMP if m.night else m((70, 40, 44), 0.25),
    )
    rect(canvas, x - 0.1, 0.43, x + 0.1, foot, m(mix(red, (120, 20, 30), 0.5), 0.25))
    for line in (
        [(x - 0.1, foot), (x - 0.1, 0.43), (x + 0.1, 0.43), (x + 0.1, foot)],
        [(x - 0.1, 0.43), (x + 0.1, foot)],
        [(x + 0.1, 0.43), (x - 0.1, foot)],
    ):
        canvas.stroke(line, 0.014, white)


def farm_near(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """Ploughed rows running to the horizon, a wooden fence at the sides."""
    soil, crop = vary((164, 116, 70), rng), vary((132, 176, 72), rng)
    canvas.gradient((0, 0.62, 1, 1), m(mix(soil, (210, 170, 110), 0.4), 0.3), m(soil, 0))
    vanish, shift = rng.uniform(0.35, 0.65), rng.uniform(0, 0.15)
    for k in range(-9, 10):
        a = 0.5 + (k + shift) * 0.21
        b = a + 0.1
        canvas.polygon(
            [
                (vanish + (a - vanish) * 0.28, 0.62),
                (vanish + (b - vanish) * 0.28, 0.62),
                (b, 1.02),
                (a, 1.02),
            ],
            m(crop, 0.1),
        )
    rect(canvas, 0, 0.605, 1, 0.635, m((120, 170, 74), 0.3))
    wood, shade = m((206, 168, 118), 0.05), m((150, 112, 76), 0.05)
    for x0, x1 in ((-0.02, rng.uniform(0.15, 0.2)), (rng.uniform(0.8, 0.85), 1.02)):
        for y in (0.68, 0.745):
            rect(canvas, x0, y, x1, y + 0.024, wood)
            rect(canvas, x0, y + 0.018, x1, y + 0.026, shade)
        for x in np.arange(x0 + 0.04, x1, 0.085).tolist():
            rect(canvas, x - 0.015, 0.645, x + 0.015, 0.82, wood)
            rect(canvas, x + 0.006, 0.645, x + 0.015, 0.82, shade)


# --- garden -------------------------------------------------------------------------------


def garden_far(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """Clipped hedges with balls and cones, behind them a few trees."""
    for x in np.linspace(0, 1, 6).tolist():
        r = rng.uniform(0.09, 0.13)
        canvas.ellipse(x + rng.uniform(-0.05, 0.05), 0.44, r, r, m((140, 190, 140), 0.9))
    dark, lit = m((50, 120, 66), 0.4), m((84, 160, 80), 0.4)
    rect(canvas, 0, 0.44, 1, 0.64, dark)
    rect(canvas, 0, 0.44, 1, 0.47, lit)
    for x, y in rng.uniform((0, 0.48), (1, 0.6), (26, 2)).tolist():
        canvas.ellipse(x, y, 0.018, 0.01, (*lit, 150))


def garden_near(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """Lawn and path, a rose arch over everything, beds of flowers in the corners."""
    base = vary((126, 190, 84), rng)
    ground(canvas, 0.62, m(base, 0.2), m(mix(base, (84, 156, 64), 0.5), 0))
    x = rng.uniform(0.42, 0.58)
    canvas.polygon(
        [(x - 0.09, 0.62), (x + 0.09, 0.62), (x + 0.3, 1.02), (x - 0.3, 1.02)],
        m((232, 214, 178), 0.05),
    )
    for y in (0.665, 0.72, 0.79, 0.88):
        half = 0.09 + (y - 0.62) * 0.52
        canvas.stroke([(x - half, y), (x + half, y)], 0.006, m((200, 178, 142), 0.05))
    arch(canvas, m, rng)
    bloom = [m(c, 0) for c in ((236, 64, 96), (255, 206, 70), (255, 255, 255), (180, 100, 220))]
    for side in (0, 1):
        canvas.ellipse(side, 1.0, 0.27, 0.2, m((104, 74, 52), 0))
        canvas.ellipse(side, 1.0, 0.255, 0.185, m((62, 136, 66), 0))
        for a, d in rng.uniform((0, 0.25), (1.57, 0.95), (15, 2)).tolist():
            fx, fy = 0.25 * d * math.cos(a), 1.0 - 0.18 * d * math.sin(a)
            r = rng.uniform(0.013, 0.019)
            canvas.ellipse(abs(side - fx), fy, r, r, bloom[int(rng.integers(4))])


def arch(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """A trellis arch grown over with leaves and roses; it frames the picture."""
    cx, rx, top = 0.5, rng.uniform(0.40, 0.44), rng.uniform(0.05, 0.09)
    rim = [
        (cx + rx * math.cos(a), 0.4 - (0.4 - top) * math.sin(a))
        for a in np.linspace(0, math.pi, 23).tolist()
    ]
    rim = [(cx + rx, 0.72), (cx + rx, 0.56), *rim, (cx - rx, 0.56), (cx - rx, 0.72)]
    canvas.stroke(rim, 0.05, m((250, 248, 240), 0.15))
    leaf, light = m((58, 132, 66), 0.15), m((98, 172, 84), 0.15)
    kinds = ((240, 90, 130), (252, 170, 190), (252, 214, 96), (255, 250, 244), (214, 40, 62))
    rose = [m(kinds[k], 0.1) for k in rng.permutation(5)[:2].tolist()]
    for i, (x, y) in enumerate(rim):
        for colour, r in ((leaf, 0.042), (light, 0.022)):
            canvas.ellipse(
                x + rng.uniform(-0.016, 0.016), y + rng.uniform(-0.016, 0.016), r, r, colour
            )
        if i % 2:
            r = rng.uniform(0.017, 0.022)
            canvas.ellipse(x + rng.uniform(-0.02, 0.02), y, r, r, rose[i % 4 // 2])


# --- castle -------------------------------------------------------------------------------


def castle_far(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """A stone keep behind a battlement wall, two tall towers at the sides."""
    canvas.polygon(below(ridge(rng, 0.5, 0.04, 2), 0.7), m((140, 180, 140), 0.9))
    stone = vary((188, 182, 180), rng, 8)
    roof = [(70, 96, 168), (150, 62, 92), (84, 74, 140)][int(rng.integers(3))]
    tower(
        canvas,
        m,
        rng,
        rng.uniform(0.36, 0.66),
        rng.uniform(0.18, 0.22),
        rng.uniform(0.085, 0.12),
        stone,
        roof,
        0.6,
    )
    rect(canvas, 0, 0.42, 1, 0.64, m(stone, 0.4))
    for x in np.arange(-0.02, 1, 0.09).tolist():
        rect(canvas, x, 0.385, x + 0.05, 0.43, m(stone, 0.4))
    line = m(mix(stone, (110, 104, 116), 0.5), 0.4)
    for x, y in rng.uniform((0, 0.44), (1, 0.6), (22, 2)).tolist():
        rect(canvas, x, y, x + 0.035, y + 0.014, line)
    for x in (rng.uniform(0.09, 0.14), rng.uniform(0.86, 0.91)):
        tower(
            canvas, m, rng, x, rng.uniform(0.22, 0.32), rng.uniform(0.075, 0.105), stone, roof, 0.3
        )


def tower(
    canvas: Canvas,
    m: Mood,
    rng: Rng,
    x: float,
    top: float,
    w: float,
    stone: Colour,
    roof: Colour,
    depth: float,
) -> None:
    """A round tower: pointed roof with a flag, battlements, slit windows."""
    lit, dark = m(stone, depth), m(mix(stone, (96, 90, 112), 0.5), depth)
    rect(canvas, x - w, top, x + w, 0.66, lit)
    rect(canvas, x + w * 0.35, top, x + w, 0.66, dark)
    rect(canvas, x - w * 1.15, top, x + w * 1.15, top + 0.035, lit)
    rect(canvas, x + w * 0.35, top, x + w * 1.15, top + 0.035, dark)
    tip = top - 0.17
    canvas.stroke([(x, tip - 0.06), (x, tip + 0.02)], 0.009, m((90, 80, 80), depth))
    wave = rng.uniform(0.03, 0.05)
    canvas.polygon(
        [(x, tip - 0.062), (x + 0.075, tip - wave), (x, tip - 0.012)], m((240, 196, 60), depth)
    )
    canvas.polygon([(x - w * 1.25, top), (x, tip), (x + w * 1.25, top)], m(roof, depth))
    canvas.polygon(
        [(x + w * 0.3, top), (x, tip), (x + w * 1.25, top)], m(mix(roof, (20, 20, 50), 0.35), depth)
    )
    glass = LAMP if m.night else m((70, 66, 84), depth)
    for y in (top + 0.08, top + 0.19):
        rect(canvas, x - 0.015, y, x + 0.013, y + 0.05, glass)
        canvas.ellipse(x - 0.001, y, 0.014, 0.014, glass)


def castle_near(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """A lawn with a cobbled way."""
    base = vary((132, 176, 102), rng)
    ground(canvas, 0.63, m(base, 0.2), m(mix(base, (92, 138, 80), 0.6), 0))
    x = rng.uniform(0.44, 0.56)
    canvas.polygon(
        [(x - 0.14, 0.63), (x + 0.14, 0.63), (x + 0.46, 1.02), (x - 0.46, 1.02)],
        m((186, 176, 168), 0.05),
    )
    for u, t in rng.uniform((-1, 0), (1, 1), (34, 2)).tolist():
        half = 0.11 + 0.28 * t
        canvas.ellipse(
            x + u * half,
            0.65 + 0.34 * t,
            0.014 + 0.022 * t,
            0.006 + 0.01 * t,
            m((162, 152, 150) if u < 0 else (206, 198, 190), 0),
        )
    tufts(canvas, rng, 0.64, m((84, 136, 66), 0), 8)
    for x in sides(rng, 4):
        r = rng.uniform(0.05, 0.075)
        canvas.ellipse(x, 0.69, r * 1.2, r, m((62, 120, 70), 0.1))
        canvas.ellipse(x - 0.012, 0.68, r, r * 0.75, m((94, 158, 86), 0.1))
