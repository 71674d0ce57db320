"""Things that several settings share: trees, rocks, tufts, the texture of the ground."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas, Colour, mix

Rng = np.random.Generator


def rect(canvas: Canvas, x0: float, y0: float, x1: float, y1: float, fill: Colour) -> None:
    """An upright filled rectangle."""
    s = canvas.scale
    canvas.draw.rectangle((x0 * s, y0 * s, x1 * s, y1 * s), fill=tuple(fill))


def ground(canvas: Canvas, y: float, far: Colour, near: Colour) -> None:
    """The ground from the line y down, nearer is deeper in colour."""
    canvas.gradient((0, y, 1, 1), far, near)


def patches(canvas: Canvas, rng: Rng, y: float, colour: Colour, count: int = 9) -> None:
    """Flat irregular flecks that grow towards the viewer: the ground's texture."""
    for x, t in rng.uniform((0, 0), (1, 1), (count, 2)).tolist():
        w = 0.03 + 0.09 * t
        canvas.ellipse(x, y + 0.03 + (0.96 - y) * t, w, w * 0.16, (*colour[:3], 90))


def tufts(canvas: Canvas, rng: Rng, y: float, colour: Colour, count: int = 14) -> None:
    """Small clumps of grass."""
    for x, t in rng.uniform((0, 0), (1, 1), (count, 2)).tolist():
        gy, h = y + 0.03 + (0.97 - y) * t, 0.014 + 0.026 * t
        for dx in (-0.5, 0.05, 0.55):
            canvas.polygon(
                [(x + dx * h - h * 0.2, gy), (x + dx * h * 2, gy - h), (x + dx * h + h * 0.2, gy)],
                colour,
            )


def fir(
    canvas: Canvas, x: float, y: float, h: float, lit: Colour, dark: Colour, snow: Colour | None
) -> None:
    """A fir of three tiers, its right half in shade, with snow on the tiers if given."""
    canvas.polygon(
        [
            (x - h * 0.04, y),
            (x - h * 0.04, y - h * 0.2),
            (x + h * 0.04, y - h * 0.2),
            (x + h * 0.04, y),
        ],
        mix(dark, (70, 44, 30), 0.6),
    )
    for base, top, w in ((0.12, 0.56, 0.30), (0.36, 0.80, 0.235), (0.6, 1.0, 0.16)):
        yb, yt, w = y - h * base, y - h * top, w * h
        canvas.polygon([(x - w, yb), (x, yt), (x + w, yb), (x, yb + h * 0.04)], lit)
        canvas.polygon([(x, yt), (x + w, yb), (x, yb + h * 0.04)], dark)
        if snow is not None:
            ym = yt + (yb - yt) * 0.55
            v = w * 0.55
            canvas.polygon(
                [
                    (x - v, ym),
                    (x, yt),
                    (x + v, ym),
                    (x + v * 0.4, ym - h * 0.03),
                    (x, ym + h * 0.02),
                    (x - v * 0.4, ym - h * 0.03),
                ],
                snow,
            )


def leafy(
    canvas: Canvas, rng: Rng, x: float, y: float, h: float, lit: Colour, dark: Colour
) -> None:
    """A round-crowned tree."""
    w = h * 0.05
    canvas.polygon(
        [(x - w, y), (x - w, y - h * 0.5), (x + w, y - h * 0.5), (x + w, y)],
        mix(dark, (96, 62, 40), 0.7),
    )
    for dx, dy, r in ((0.14, 0.55, 0.27), (-0.15, 0.56, 0.26), (0.02, 0.76, 0.27)):
        r *= h * rng.uniform(0.92, 1.08)
        canvas.ellipse(x + dx * h, y - dy * h, r, r * 0.9, dark)
        canvas.ellipse(x + dx * h - r * 0.16, y - dy * h - r * 0.14, r * 0.78, r * 0.7, lit)


def rock(canvas: Canvas, x: float, y: float, r: float, lit: Colour, dark: Colour) -> None:
    """A boulder, shaded on the right."""
    canvas.polygon(
        [
            (x - r, y),
            (x - r * 0.75, y - r * 0.6),
            (x - r * 0.1, y - r * 0.9),
            (x + r * 0.7, y - r * 0.6),
            (x + r, y),
        ],
        dark,
    )
    canvas.polygon(
        [
            (x - r, y),
            (x - r * 0.75, y - r * 0.6),
            (x - r * 0.1, y - r * 0.9),
            (x + r * 0.15, y - r * 0.35),
            (x - r * 0.1, y),
        ],
        lit,
    )


def sides(rng: Rng, count: int) -> list[float]:
    """Places alternately at the left and right edges, where animals do not hide things."""
    first = int(rng.integers(2))
    spots = rng.uniform(0.0, 0.13, count).tolist()
    return [s if (i + first) % 2 else 1 - s for i, s in enumerate(spots)]
