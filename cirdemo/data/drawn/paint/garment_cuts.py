"""How garments are cut: outlines in garment coordinates (x from the centre line, y down)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cirdemo.data.drawn.paint.canvas import Point, smooth

HEMS = {"short": 0.535, "regular": 0.725, "long": 0.935}
NECK_TOP = 0.13


@dataclass(frozen=True, slots=True)
class Cut:
    """The measures of one garment."""

    shoulder: float  # half width at the shoulder tips
    side: list[Point]  # right side from the armpit to the hem
    hem: list[Point]  # from the right to the left
    waist: float  # height of a belt
    flare: float  # outward reach of a long sleeve


def cut_of(category: str, length: str) -> Cut:
    """Three silhouettes that differ from the shoulders down, whatever the length."""
    hem = HEMS[length]
    if category == "dress":
        waist = {"short": 0.35, "regular": 0.395, "long": 0.43}[length]
        flare = {"short": 0.26, "regular": 0.27, "long": 0.335}[length]
        end = hem - 0.035
        knee = (0.115 + 0.62 * (flare - 0.115), waist + 0.48 * (end - waist))
        side = [(0.15, 0.29), (0.112, waist - 0.012), (0.12, waist + 0.012), knee, (flare, end)]
        n = 10
        edge = [
            (flare * (1 - 2 * i / n), end + 0.04 * (1 - (1 - 2 * i / n) ** 2) + 0.012 * (i % 2))
            for i in range(n + 1)
        ]
        return Cut(0.15, smooth(side, closed=False, steps=4), smooth(edge, closed=False, steps=3),
                   waist, 0.24)  # fmt: skip
    waist = 0.3 + 0.45 * (hem - 0.3)
    if category == "shirt":
        w = 0.22
        side = [(w, 0.31), (w + 0.002, hem - 0.075)]
        edge = [
            (w + 0.002, hem - 0.075), (w * 0.86, hem - 0.02), (w * 0.45, hem + 0.004),
            (0.0, hem + 0.008), (-w * 0.45, hem + 0.004), (-w * 0.86, hem - 0.02),
            (-w - 0.002, hem - 0.075),
        ]  # fmt: skip
        return Cut(0.225, side, smooth(edge, closed=False, steps=4), waist, 0.165)
    w = {"short": 0.225, "regular": 0.25, "long": 0.275}[length]
    side = [(0.17, 0.3), (0.178, 0.36), (w, hem - 0.012)]
    edge = [(w, hem - 0.012), (w / 2, hem + 0.004), (0, hem + 0.008), (-w / 2, hem + 0.004),
            (-w, hem - 0.012)]  # fmt: skip
    return Cut(0.175, smooth(side, closed=False, steps=4), smooth(edge, closed=False, steps=3),
               waist, 0.19)  # fmt: skip


def neckline_of(kind: str) -> list[Point]:
    """The cut-out from the left neck point to the right one."""
    if kind == "v":
        return [(-0.088, NECK_TOP), (0.0, 0.292), (0.088, NECK_TOP)]
    if kind == "square":
        return [(-0.098, NECK_TOP), (-0.09, 0.24), (0.09, 0.24), (0.098, NECK_TOP)]
    if kind == "collar":
        return [(-0.07, NECK_TOP), (0.0, 0.2), (0.07, NECK_TOP)]
    arc = [math.pi * i / 12 for i in range(13)]
    return [(-0.098 * math.cos(t), NECK_TOP + 0.112 * math.sin(t)) for t in arc]


def mirror(points: Sequence[Point]) -> list[Point]:
    """The same on the other side of the centre line."""
    return [(-x, y) for x, y in points]


def body_of(cut: Cut, neck: list[Point], bare: bool) -> tuple[list[Point], list[Point]]:
    """The front's outline, and its right armhole from the shoulder tip down."""
    pit = cut.side[0]
    tip, bend = (cut.shoulder, 0.165), (cut.shoulder - 0.018, 0.225)
    if bare:  # cut well in, so that no sleeve is ever suspected
        tip, bend = (pit[0] - 0.026, 0.152), (pit[0] - 0.036, 0.225)
    armhole = smooth([tip, bend, pit], closed=False, steps=5)
    right = [*armhole, *cut.side[1:]]
    return [*neck, *right, *cut.hem[1:-1], *reversed(mirror(right))], armhole


def sleeve_of(cut: Cut, kind: str) -> list[Point]:
    """The right sleeve's outline; it starts under the front."""
    s = cut.shoulder
    pit = cut.side[0]
    inner = [(pit[0] - 0.02, pit[1] + 0.012), (s - 0.05, 0.19)]
    if kind == "short":
        return [(s - 0.01, 0.163), (s + 0.035, 0.182), (s + 0.12, 0.3), (s + 0.03, 0.352), *inner]
    f = cut.flare
    outer = [(s - 0.01, 0.163), (s + 0.035, 0.185), (s + 0.09, 0.3), (s + f, 0.66)]
    return [*smooth(outer, closed=False, steps=4), (s + f - 0.086, 0.682),
            (s + 0.02, pit[1] + 0.09), *inner]  # fmt: skip


def cuff_of(cut: Cut, sign: int) -> list[Point]:
    """The band that closes a long sleeve; sign -1 is the left one."""
    x = cut.shoulder + cut.flare
    corners = [(x - 0.012, 0.632), (x + 0.004, 0.668), (x - 0.09, 0.692), (x - 0.104, 0.656)]
    return [(sign * a, b) for a, b in corners]
