"""Settings by the water and by the fire: beach, lake, volcano. Light falls from the left."""

from __future__ import annotations

import math

import numpy as np

from .canvas import Canvas, mix
from .nature import Rng, fir, ground, patches, rock, sides, tufts
from .sky import Mood, below, ridge, vary

# --- beach --------------------------------------------------------------------------------


def beach_far(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """The sea with bright ripples, an island on the horizon."""
    x, w, y = rng.uniform(0.1, 0.9), rng.uniform(0.12, 0.2), rng.uniform(0.39, 0.46)
    canvas.ellipse(x, y + 0.005, w, rng.uniform(0.03, 0.06), m((120, 168, 160), 1.0))
    sea = vary((30, 160, 200), rng, 8)
    canvas.gradient(
        (0, y, 1, 0.64),
        m(mix(sea, (20, 110, 190), 0.4), 0.6),
        m(mix(sea, (130, 230, 220), 0.6), 0.3),
    )
    for x, t in rng.uniform((0, 0), (1, 1), (14, 2)).tolist():
        canvas.ellipse(
            x,
            y + 0.015 + (0.58 - y) * t,
            0.02 + 0.05 * t,
            0.002 + 0.003 * t,
            (*m((225, 250, 250), 0.3), 150),
        )


def beach_near(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """Pale sand behind a foam line, a palm leaning in from one side."""
    line = ridge(rng, 0.615, 0.012, 3)
    canvas.polygon(below([(x, y - 0.014) for x, y in line], 0.7), m((250, 254, 252), 0.2))
    canvas.polygon(below(line), m((216, 184, 128), 0.2))
    canvas.polygon(below([(x, y + 0.018) for x, y in line]), m(vary((244, 220, 164), rng, 5), 0.15))
    canvas.gradient((0, 0.68, 1, 1), m((243, 218, 162), 0.15), m((232, 196, 132), 0))
    patches(canvas, rng, 0.66, m((222, 186, 124)), 12)
    for x, t in rng.uniform((0, 0), (1, 1), (12, 2)).tolist():
        canvas.ellipse(
            x, 0.7 + 0.3 * t, 0.004 + 0.004 * t, 0.003 + 0.003 * t, m((255, 246, 224), 0)
        )
    right = rng.random() < 0.5
    palm(canvas, m, rng, rng.uniform(0.9, 0.98) if right else rng.uniform(0.02, 0.1), right)
    if rng.random() < 0.3:
        palm(canvas, m, rng, rng.uniform(0.0, 0.05) if right else rng.uniform(0.95, 1.0), not right)


def palm(canvas: Canvas, m: Mood, rng: Rng, x: float, right: bool) -> None:
    """A palm whose fronds fill an upper corner."""
    lean = rng.uniform(0.05, 0.12) * (-1 if right else 1)
    top = rng.uniform(0.16, 0.22)
    trunk = [(x + lean * (t**1.6), 0.78 - (0.78 - top) * t) for t in np.linspace(0, 1, 9).tolist()]
    canvas.stroke(trunk, 0.036, m((140, 98, 62), 0.1))
    canvas.stroke([(px - 0.008, py) for px, py in trunk], 0.014, m((184, 138, 90), 0.1))
    cx, cy = trunk[-1]
    for k, a in enumerate((-172, -8, -140, -40, -95, 172, 8)):
        t = math.radians(a + rng.uniform(-8, 8))
        long = rng.uniform(0.22, 0.28)
        mid = (cx + 0.55 * long * math.cos(t), cy + 0.55 * long * math.sin(t) - 0.03)
        tip = (cx + long * math.cos(t), cy + long * math.sin(t) * 0.8 + 0.07)
        canvas.polygon(
            [(cx, cy), (mid[0], mid[1] - 0.014), tip, (mid[0], mid[1] + 0.034)],
            m((52, 140, 70) if k % 2 else (84, 170, 74), 0.1),
        )
    canvas.ellipse(cx, cy + 0.01, 0.02, 0.02, m((96, 66, 40), 0.1))


# --- lake ---------------------------------------------------------------------------------


def lake_far(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """Wooded hills over a wide still water that mirrors them."""
    canvas.polygon(below(ridge(rng, 0.33, 0.05, 2), 0.5), m((128, 172, 176), 0.9))
    line = ridge(rng, 0.39, 0.025, 3)
    canvas.polygon(below(line, 0.5), m((92, 152, 108), 0.7))
    water = vary((74, 150, 204), rng, 8)
    canvas.gradient(
        (0, 0.43, 1, 1),
        mix(m(mix(water, (190, 226, 240), 0.55), 0.5), m.horizon, 0.3),
        m(mix(water, (36, 96, 160), 0.5), 0.1),
    )
    canvas.polygon(
        [(x, 0.86 - y + 0.01) for x, y in line] + [(1.02, 0.43), (-0.02, 0.43)],
        (*m((70, 130, 120), 0.6), 150),
    )
    for x in rng.uniform(0, 1, 7).tolist():
        fir(
            canvas,
            x,
            0.435,
            rng.uniform(0.06, 0.1),
            m((70, 128, 92), 0.6),
            m((50, 100, 82), 0.6),
            None,
        )
    for x, t in rng.uniform((0, 0), (1, 1), (20, 2)).tolist():
        canvas.ellipse(
            x, 0.46 + 0.32 * t, 0.03 + 0.07 * t, 0.002 + 0.003 * t, (*m((214, 240, 250), 0.2), 130)
        )


def lake_near(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """A grassy bank with tall reeds in the water beside it."""
    lift = rng.uniform(-0.01, 0.02)
    bank = [
        (-0.05, 0.92),
        (0.12, 0.83),
        (0.3, 0.75 + lift),
        (0.52, 0.72 + lift),
        (0.72, 0.75 + lift),
        (0.9, 0.84),
        (1.05, 0.92),
        (1.05, 1.1),
        (-0.05, 1.1),
    ]
    canvas.blob([(x, y - 0.012) for x, y in bank], m((206, 190, 140), 0.1))
    canvas.blob(bank, m(vary((112, 172, 84), rng), 0.1))
    for x, t in rng.uniform((0.2, 0), (0.8, 1), (8, 2)).tolist():
        canvas.ellipse(x, 0.8 + 0.18 * t, 0.05, 0.01, (*m((148, 200, 100)), 130))
    tufts(canvas, rng, 0.84, m((70, 134, 62), 0), 10)
    lit, dark, brown = m((120, 170, 76), 0), m((70, 124, 62), 0), m((118, 74, 44), 0)
    for i, x in enumerate(sides(rng, 16)):
        x = x * 0.9 if x < 0.5 else 1 - (1 - x) * 0.9
        y, h = rng.uniform(0.86, 1.0), rng.uniform(0.22, 0.5)
        tip = (x + rng.uniform(-0.04, 0.04), y - h)
        canvas.polygon([(x - 0.011, y), tip, (x + 0.011, y)], lit if i % 3 else dark)
        if i % 3 == 0:
            canvas.stroke([(tip[0], tip[1] - 0.01), (tip[0], tip[1] + 0.05)], 0.02, brown)
    for x, y in (
        (rng.uniform(0.05, 0.3), rng.uniform(0.62, 0.7)),
        (rng.uniform(0.7, 0.95), rng.uniform(0.62, 0.7)),
    ):
        canvas.ellipse(x, y, 0.05, 0.011, m((84, 158, 96), 0.1))
        canvas.ellipse(x + 0.07, y + 0.015, 0.035, 0.008, m((100, 172, 100), 0.1))


# --- volcano ------------------------------------------------------------------------------


def volcano_far(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """A dark cone with a burning crater, lava down its flanks and a plume of smoke."""
    x, top = rng.uniform(0.38, 0.62), rng.uniform(0.17, 0.21)
    blow = 1 if x < 0.5 else -1
    puffs = [(0.07 * k + rng.uniform(-0.02, 0.02), 0.045 + 0.02 * k) for k in range(8)]
    for colour, drop in ((m((96, 78, 84), 0.2), 0.022), (m((136, 118, 120), 0.2), 0.0)):
        for dx, r in puffs:
            y = top - 0.03 - 0.19 * (1 - math.exp(-dx * 4)) + drop
            canvas.ellipse(x + blow * dx, y, r * 1.15, r * 0.75, colour)
    canvas.soft_ellipse(x, top, 0.2, 0.16, (255, 110, 40, 170), 1.0)
    canvas.polygon(below(ridge(rng, 0.52, 0.04, 3), 0.7), m((128, 92, 92), 0.7))
    cone = [
        (x - 0.52, 0.64),
        (x - 0.24, 0.42),
        (x - 0.085, top),
        (x + 0.085, top),
        (x + 0.24, 0.42),
        (x + 0.52, 0.64),
    ]
    canvas.polygon(cone, m((102, 74, 76), 0.25))
    canvas.polygon(
        [(x + 0.03, top), *cone[3:], (x + 0.12, 0.64), (x + 0.06, 0.4)], m((70, 50, 58), 0.25)
    )
    canvas.ellipse(x, top, 0.085, 0.02, (255, 190, 70))
    for dx, w, end in ((-0.05, 0.022, 0.36), (0.0, 0.032, 0.6), (0.055, 0.02, 0.44)):
        bend = rng.uniform(-0.03, 0.03)
        path = [(x + dx, top), (x + dx * 1.6 + bend, top + (end - top) * 0.5), (x + dx * 2.6, end)]
        canvas.stroke(path, w, (240, 84, 24))
        canvas.stroke(path[:2], w * 0.5, (255, 196, 64))


def volcano_near(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """Red-brown ash with glowing cracks and black rocks."""
    base = vary((134, 84, 76), rng, 8)
    ground(canvas, 0.61, m(base, 0.2), m(mix(base, (86, 50, 52), 0.7), 0))
    patches(canvas, rng, 0.61, m((170, 104, 86)), 10)
    for x, y in (
        (rng.uniform(0.0, 0.1), 0.7),
        (rng.uniform(0.7, 0.8), 0.68),
        (rng.uniform(0, 0.2), 0.9),
        (rng.uniform(0.66, 0.8), 0.93),
    ):
        crack = [(x + 0.055 * k, y + rng.uniform(-0.018, 0.018)) for k in range(5)]
        canvas.stroke(crack, 0.018, (222, 70, 26))
        canvas.stroke(crack[1:4], 0.008, (255, 200, 80))
    for i, x in enumerate(sides(rng, 6)):
        rock(
            canvas,
            x,
            0.7 + 0.055 * i,
            rng.uniform(0.035, 0.07),
            m((104, 84, 88), 0),
            m((62, 46, 54), 0),
        )
