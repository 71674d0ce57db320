"""Wild lands: meadow, forest, desert, snow, mountains. Light falls from the left."""

from __future__ import annotations

import math

import numpy as np

from .canvas import Canvas, ellipse_points, mix
from .nature import Rng, fir, ground, leafy, patches, rock, sides, tufts
from .sky import Mood, below, ridge, vary

# --- meadow -------------------------------------------------------------------------------


def meadow_far(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """Three rolling hills with a few trees."""
    for base, tall, colour, depth in (
        (0.44, 0.07, (136, 190, 150), 1.0),
        (0.50, 0.06, (134, 200, 104), 0.75),
        (0.57, 0.05, (122, 196, 82), 0.5),
    ):
        line = ridge(rng, base, tall, rng.uniform(1.2, 2.4))
        canvas.polygon(below(line, 0.72), m(vary(colour, rng, 8), depth))
        if depth == 0.75:
            for k in rng.choice(28, 4, replace=False).tolist():
                x, y = line[k]
                leafy(
                    canvas,
                    rng,
                    x,
                    y + 0.01,
                    rng.uniform(0.06, 0.1),
                    m((96, 168, 84), 0.6),
                    m((66, 136, 76), 0.6),
                )


def meadow_near(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """Bright grass full of small flowers."""
    base = vary((112, 192, 70), rng)
    ground(
        canvas, 0.61, m(mix(base, (170, 220, 100), 0.35), 0.3), m(mix(base, (60, 140, 50), 0.5), 0)
    )
    patches(canvas, rng, 0.6, m((160, 220, 96)))
    tufts(canvas, rng, 0.62, m((70, 150, 52), 0.1), 18)
    kinds = [m(c, 0) for c in ((255, 255, 255), (255, 214, 70), (250, 150, 190), (190, 140, 240))]
    heart = m((240, 180, 40), 0)
    for x, t in rng.uniform((0, 0), (1, 1), (34, 2)).tolist():
        colour = kinds[int(rng.integers(4))]
        y, r = 0.62 + 0.37 * t, 0.0035 + 0.0065 * t
        canvas.ellipse(x, y, r * 1.15, r, colour)
    for x in sides(rng, 8):
        y, r = rng.uniform(0.82, 0.98), rng.uniform(0.009, 0.013)
        canvas.stroke([(x, y + 0.06), (x, y)], 0.006, m((60, 134, 48), 0))
        colour = kinds[int(rng.integers(4))]
        for a in range(5):
            t = a * 1.257
            canvas.ellipse(x + r * math.cos(t), y + r * math.sin(t), r * 0.75, r * 0.75, colour)
        canvas.ellipse(x, y, r * 0.55, r * 0.55, heart)


# --- forest -------------------------------------------------------------------------------


def forest_far(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """Bushes and rows of trunks fading into the distance."""
    canvas.polygon(below(ridge(rng, 0.36, 0.05, 4), 0.7), m((128, 176, 132), 1.0))
    for x in np.linspace(0.02, 0.98, 8).tolist():
        x, w = x + rng.uniform(-0.04, 0.04), rng.uniform(0.010, 0.016)
        canvas.polygon(
            [(x - w, 0.6), (x - w * 0.8, 0), (x + w * 0.8, 0), (x + w, 0.6)],
            m((116, 124, 100), 0.8),
        )
    canvas.polygon(below(ridge(rng, 0.50, 0.03, 6), 0.7), m((82, 140, 88), 0.6))
    if m.weather == "clear":
        beam = (*m((255, 246, 190), 0.4), 46)
        for x in (rng.uniform(0.2, 0.4), rng.uniform(0.5, 0.7)):
            canvas.polygon([(x, 0.05), (x + 0.06, 0.05), (x + 0.34, 0.62), (x + 0.2, 0.62)], beam)


def forest_near(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """Moss ground, thick trunks and a ceiling of leaves."""
    base = vary((122, 130, 74), rng, 8)
    ground(canvas, 0.59, m(mix(base, (120, 150, 80), 0.5), 0.4), m(mix(base, (92, 78, 50), 0.5), 0))
    patches(canvas, rng, 0.59, m((138, 104, 62)), 12)
    tufts(canvas, rng, 0.6, m((64, 112, 50), 0.1), 12)
    lit, dark = m((132, 92, 62), 0.15), m((92, 62, 44), 0.1)
    spots = [
        (rng.uniform(0.0, 0.05), 0.052, 0.8),
        (rng.uniform(0.95, 1.0), 0.056, 0.83),
        (rng.uniform(0.16, 0.26), 0.027, 0.66),
        (rng.uniform(0.73, 0.84), 0.029, 0.67),
    ]
    for x, w, foot in reversed(spots):
        canvas.ellipse(x + w * 0.5, foot, w * 2.2, w * 0.4, (*m((66, 62, 40)), 120))
        canvas.polygon(
            [
                (x - w * 1.6, foot),
                (x - w, foot - 0.1),
                (x - w * 0.85, -0.01),
                (x + w * 0.85, -0.01),
                (x + w, foot - 0.1),
                (x + w * 1.6, foot),
            ],
            lit,
        )
        canvas.polygon(
            [
                (x + w * 0.2, foot),
                (x + w * 0.15, -0.01),
                (x + w * 0.85, -0.01),
                (x + w, foot - 0.1),
                (x + w * 1.6, foot),
            ],
            dark,
        )
        for y in rng.uniform(0.25, foot - 0.12, 4).tolist():
            canvas.stroke([(x - w * 0.5, y), (x - w * 0.45, y + 0.05)], 0.006, dark)
    for colour, depth, r in (
        ((44, 96, 52), -0.03, 0.15),
        ((66, 128, 60), -0.07, 0.13),
        ((96, 160, 72), -0.10, 0.11),
    ):
        fill = m(vary(colour, rng, 5), 0.2)
        for x in np.linspace(-0.02, 1.02, 7).tolist():
            x += rng.uniform(-0.05, 0.05)
            y = depth + 0.10 * abs(x - 0.5) + rng.uniform(-0.02, 0.03)
            canvas.ellipse(x, y + 0.03, r * 0.9, r, fill)
    fern, fern_lit = m((52, 110, 54), 0.05), m((84, 148, 66), 0.05)
    for x in sides(rng, 4):
        y = rng.uniform(0.9, 1.0)
        for a in (-62, -30, 0, 30, 62):
            t = math.radians(a)
            tip = (x + 0.12 * math.sin(t), y - 0.13 * math.cos(t))
            canvas.polygon(
                [
                    (x - 0.01, y),
                    ((x + tip[0]) / 2 - 0.016, (y + tip[1]) / 2),
                    tip,
                    ((x + tip[0]) / 2 + 0.016, (y + tip[1]) / 2),
                    (x + 0.01, y),
                ],
                fern_lit if a < 0 else fern,
            )


# --- desert -------------------------------------------------------------------------------


def desert_far(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """Table mountains and sharp-crested dunes."""
    for x in (rng.uniform(0.05, 0.3), rng.uniform(0.65, 0.95)):
        w, top = rng.uniform(0.09, 0.15), rng.uniform(0.24, 0.34)
        canvas.polygon(
            [(x - w * 1.3, 0.56), (x - w, top), (x + w, top), (x + w * 1.3, 0.56)],
            m((214, 128, 92), 0.8),
        )
        canvas.polygon(
            [(x + w * 0.3, 0.56), (x + w * 0.35, top), (x + w, top), (x + w * 1.3, 0.56)],
            m((180, 98, 80), 0.8),
        )
    for base, colour, shade in (
        (0.47, (240, 190, 116), (214, 152, 90)),
        (0.54, (246, 198, 112), (222, 158, 82)),
    ):
        x = rng.uniform(0.1, 0.9)
        y = base - rng.uniform(0.03, 0.07)
        canvas.polygon(
            [
                (-0.1, 0.62),
                (-0.05, base + 0.05),
                (x - 0.25, y + 0.05),
                (x, y),
                (x + 0.3, y + 0.07),
                (1.1, base + 0.02),
                (1.1, 0.66),
                (-0.1, 0.66),
            ],
            m(colour, 0.5),
        )
        canvas.polygon(
            [
                (x, y),
                (x + 0.3, y + 0.07),
                (1.1, base + 0.02),
                (1.1, 0.66),
                (x + 0.16, 0.66),
                (x + 0.05, y + 0.08),
            ],
            m(shade, 0.5),
        )


def desert_near(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """Orange sand with wind ripples and tall cacti."""
    base = vary((244, 190, 104), rng, 6)
    ground(canvas, 0.6, m(base, 0.3), m(mix(base, (214, 138, 66), 0.6), 0))
    for t in np.linspace(0.05, 1, 9).tolist():
        x = rng.uniform(0, 1)
        canvas.ellipse(
            x, 0.6 + 0.4 * t, 0.1 + 0.14 * t, 0.004 + 0.006 * t, (*m((216, 146, 76)), 110)
        )
    for x, h in (
        (rng.uniform(0.04, 0.11), rng.uniform(0.34, 0.56)),
        (rng.uniform(0.89, 0.96), rng.uniform(0.34, 0.56)),
    ):
        cactus(canvas, m, rng, x, rng.uniform(0.72, 0.86), h)
    for x in sides(rng, 4):
        rock(
            canvas,
            x,
            rng.uniform(0.9, 1.0),
            rng.uniform(0.02, 0.045),
            m((216, 160, 110), 0),
            m((168, 108, 76), 0),
        )


def cactus(canvas: Canvas, m: Mood, rng: Rng, x: float, y: float, h: float) -> None:
    """A saguaro with two raised arms."""
    dark, lit = m((44, 116, 72), 0.05), m((84, 164, 92), 0.05)
    w = h * 0.15
    left, right = rng.uniform(0.38, 0.5), rng.uniform(0.48, 0.62)
    arms = [
        [(x, y - h * left), (x - w * 1.25, y - h * left), (x - w * 1.25, y - h * (left + 0.27))],
        [(x, y - h * right), (x + w * 1.2, y - h * right), (x + w * 1.2, y - h * (right + 0.22))],
    ]
    for arm in arms:
        canvas.stroke(arm, w * 0.66, dark)
        canvas.stroke([(ax - w * 0.12, ay) for ax, ay in arm[1:]], w * 0.28, lit)
    canvas.stroke([(x, y), (x, y - h)], w, dark)
    canvas.stroke([(x - w * 0.2, y), (x - w * 0.2, y - h)], w * 0.38, lit)


# --- snow ---------------------------------------------------------------------------------


def snow_far(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """White hills with rows of small firs."""
    line = ridge(rng, 0.46, 0.05, 1.6)
    canvas.polygon(below(line, 0.7), m((214, 228, 242), 0.8))
    for k in range(1, 27, 2):
        x, y = line[k]
        fir(
            canvas,
            x + rng.uniform(-0.02, 0.02),
            y + 0.03,
            rng.uniform(0.08, 0.14),
            m((112, 156, 158), 0.6),
            m((84, 126, 140), 0.6),
            None,
        )
    canvas.polygon(below(ridge(rng, 0.55, 0.03, 2), 0.7), m((230, 239, 248), 0.5))


def snow_near(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """Deep snow and big firs bowed with it at both sides."""
    ground(canvas, 0.6, m((240, 246, 252), 0.3), m((214, 228, 244), 0))
    for x, t in rng.uniform((0, 0), (1, 1), (8, 2)).tolist():
        w = 0.08 + 0.14 * t
        canvas.ellipse(x, 0.63 + 0.37 * t, w, w * 0.14, (*m((188, 208, 234)), 120))
        canvas.ellipse(x - 0.01, 0.625 + 0.37 * t, w, w * 0.11, (*m((252, 254, 255)), 220))
    white = m((252, 254, 255), 0.05)
    for x, y, h in (
        (rng.uniform(0.17, 0.24), 0.64, rng.uniform(0.34, 0.44)),
        (rng.uniform(0.76, 0.83), 0.64, rng.uniform(0.34, 0.44)),
        (rng.uniform(-0.01, 0.07), rng.uniform(0.76, 0.84), rng.uniform(0.62, 0.74)),
        (rng.uniform(0.93, 1.01), rng.uniform(0.76, 0.84), rng.uniform(0.62, 0.74)),
    ):
        canvas.ellipse(x + 0.03, y, h * 0.26, h * 0.045, (*m((166, 190, 222)), 160))
        fir(canvas, x, y, h, m((52, 120, 96), 0.1), m((34, 88, 80), 0.1), white)
    for x in (rng.uniform(-0.05, 0.1), rng.uniform(0.9, 1.05)):
        canvas.polygon(ellipse_points(x, 1.0, 0.17, 0.07, n=24), white)


# --- mountains ----------------------------------------------------------------------------


def mountains_far(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """Tall snow-capped peaks, lit on the left."""
    shift = rng.uniform(-0.05, 0.05)
    peaks = [
        (0.5, rng.uniform(0.2, 0.28), 0.3, 0.8),
        (0.12, rng.uniform(0.12, 0.2), 0.3, 0.55),
        (0.86, rng.uniform(0.08, 0.17), 0.36, 0.5),
    ]
    for x, top, w, depth in peaks:
        x += shift + rng.uniform(-0.04, 0.04)
        h = 0.62 - top
        jag = rng.uniform(-0.03, 0.03, 3).tolist()
        left, right = x - w, x + w
        canvas.polygon(
            [
                (left, 0.62),
                (x - w * 0.45 + jag[0], top + h * 0.5),
                (x, top),
                (x + w * 0.4 + jag[1], top + h * 0.45),
                (right, 0.62),
            ],
            m((138, 146, 172), depth),
        )
        canvas.polygon(
            [
                (x, top),
                (x + w * 0.4 + jag[1], top + h * 0.45),
                (right, 0.62),
                (x + w * 0.15, 0.62),
                (x - w * 0.02, top + h * 0.5),
                (x + w * 0.1, top + h * 0.3),
            ],
            m((98, 106, 140), depth),
        )
        k = 0.42
        canvas.polygon(
            [
                (x - w * 0.38 * k / 0.45, top + h * k),
                (x, top),
                (x + w * 0.36, top + h * k),
                (x + w * 0.2, top + h * (k - 0.1)),
                (x + w * 0.08, top + h * (k + 0.04)),
                (x - w * 0.08, top + h * (k - 0.11)),
                (x - w * 0.2, top + h * (k + 0.03)),
            ],
            m((252, 253, 255), depth * 0.7),
        )
        canvas.polygon(
            [
                (x, top),
                (x + w * 0.36, top + h * k),
                (x + w * 0.2, top + h * (k - 0.1)),
                (x + w * 0.08, top + h * (k + 0.04)),
                (x + w * 0.04, top + h * 0.2),
            ],
            m((200, 212, 234), depth * 0.7),
        )
    line = ridge(rng, 0.56, 0.025, 2.5)
    canvas.polygon(below(line, 0.7), m((84, 128, 104), 0.5))
    for k in rng.choice(28, 9, replace=False).tolist():
        fir(
            canvas,
            line[k][0],
            line[k][1] + 0.02,
            rng.uniform(0.06, 0.11),
            m((70, 118, 96), 0.4),
            m((50, 92, 84), 0.4),
            None,
        )


def mountains_near(canvas: Canvas, m: Mood, rng: Rng) -> None:
    """A stony alp with boulders at the sides."""
    base = vary((140, 178, 110), rng, 8)
    ground(canvas, 0.6, m(base, 0.3), m(mix(base, (96, 124, 88), 0.7), 0))
    patches(canvas, rng, 0.6, m((176, 178, 164)), 12)
    tufts(canvas, rng, 0.62, m((92, 124, 74), 0.1), 10)
    for i, x in enumerate(sides(rng, 8)):
        y = 0.68 + 0.045 * i
        r = rng.uniform(0.03, 0.05) + 0.006 * i
        canvas.ellipse(x + r * 0.2, y, r * 1.2, r * 0.2, (*m((70, 80, 70)), 110))
        rock(canvas, x, y, r, m((176, 178, 186), 0.05), m((122, 124, 138), 0.05))
