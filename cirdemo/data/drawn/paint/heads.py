"""Species heads, seen from the front, in units of the head's radius with its centre at (0, 0)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cirdemo.data.drawn.paint.canvas import Colour, Point, mix
from cirdemo.data.drawn.paint.sketch import Sketch

COATS: dict[str, Colour] = {
    "white": (250, 247, 240),
    "grey": (148, 152, 160),
    "black": (48, 46, 54),
    "brown": (124, 78, 46),
    "orange": (240, 126, 40),
    "yellow": (250, 216, 80),
    "blue": (82, 140, 226),
    "pink": (246, 150, 190),
}
INK = (34, 26, 34)
WHITE = (255, 255, 255)
BLUSH = (255, 120, 130)
AMBER = (236, 168, 52)


@dataclass(frozen=True, slots=True)
class Fur:
    """The tones of one coat: they all stay near its colour, so that the coat is never in doubt."""

    base: Colour
    shade: Colour
    dark: Colour  # mane, dog's ears
    pale: Colour  # muzzle, belly
    line: Colour
    inner: Colour  # inside of ears


def _fur(name: str) -> Fur:
    base = COATS[name]
    if name == "black":  # darker than black cannot be seen: parts are set off lighter
        return Fur(base, (32, 30, 38), (74, 71, 82), (92, 88, 100), (106, 103, 116), (120, 92, 104))
    night = (40, 20, 40)
    if name == "white":
        return Fur(
            base,
            (222, 220, 222),
            (214, 210, 208),
            (255, 255, 252),
            (150, 146, 150),
            (250, 196, 200),
        )
    if name == "yellow":  # a dark yellow would be olive
        night = (186, 108, 6)
    return Fur(
        base,
        mix(base, night, 0.17),
        mix(base, night, 0.36 if name == "yellow" else 0.3),
        mix(base, (255, 250, 236), 0.5),
        mix(base, night, 0.5),
        mix(base, (255, 170, 180), 0.55),
    )


FURS = {name: _fur(name) for name in COATS}

# The head's outline and the height at which a hat sits.
SKULL: dict[str, tuple[float, float]] = {
    "cat": (1.15, 0.95),
    "dog": (1.0, 1.0),
    "rabbit": (1.05, 0.98),
    "bear": (1.2, 1.02),
    "fox": (1.15, 0.95),
    "lion": (1.0, 0.98),
    "elephant": (1.0, 1.0),
    "deer": (0.85, 1.02),
    "owl": (1.2, 1.0),
    "frog": (1.32, 0.88),
}


def paint_head_back(s: Sketch, species: str, fur: Fur) -> None:
    """What is behind the face: ears, mane, antlers."""
    for side in (-1, 1):
        v = s.placed(0, 0, mirror=side < 0)
        base, shade, line = fur.base, fur.shade, fur.line
        if species == "cat":
            v.add([(0.2, -0.7), (0.98, -1.62), (1.12, -0.25)], base, shade, line)
            v.add([(0.48, -0.8), (0.9, -1.32), (0.98, -0.6)], fur.inner)
        elif species == "fox":
            v.add([(0.12, -0.7), (0.92, -1.85), (1.18, -0.2)], base, shade, line)
            v.add([(0.45, -0.85), (0.86, -1.5), (0.98, -0.6)], fur.inner)
            v.add([(0.72, -1.56), (0.92, -1.85), (0.98, -1.5)], INK)
        elif species == "rabbit":
            v.ellipse(0.62, -1.62, 0.31, 1.06, base, shade, line, angle=17)
            v.ellipse(0.63, -1.62, 0.15, 0.82, fur.inner, angle=17)
        elif species == "bear":
            v.ellipse(0.86, -0.78, 0.42, 0.42, base, shade, line)
            v.ellipse(0.86, -0.78, 0.22, 0.22, fur.inner)
        elif species == "elephant":
            v.blob(
                [(0.6, -0.75), (1.3, -1.0), (2.0, -0.6), (2.1, 0.15), (1.6, 0.75), (0.8, 0.4)],
                base,
                shade,
                line,
            )
            v.blob([(0.9, -0.5), (1.35, -0.72), (1.8, -0.4), (1.85, 0.1), (1.4, 0.45)], fur.inner)
        elif species == "deer":
            horn, edge = (222, 186, 134), (120, 84, 50)
            for points in (
                [(0.3, -0.8), (0.6, -1.3), (1.05, -1.55), (1.15, -2.1)],
                [(0.62, -1.3), (0.5, -1.7), (0.58, -2.0)],
                [(1.02, -1.52), (1.4, -1.6), (1.6, -1.9)],
            ):
                v.curve(points, 0.2, horn, edge)
            v.blob([(0.6, -0.6), (1.2, -0.95), (1.65, -0.75), (1.2, -0.35)], base, shade, line)
            v.blob([(0.85, -0.62), (1.2, -0.82), (1.45, -0.72), (1.15, -0.5)], fur.inner)
        elif species == "owl":
            v.add([(0.25, -0.85), (1.15, -1.5), (1.15, -0.4)], base, shade, line)
        elif species == "frog":
            v.ellipse(0.68, -0.78, 0.5, 0.5, base, shade, line)
    if species == "lion":
        mane = [(1.62 * x, 1.6 * y) for x, y in _SCALLOPS]
        s.add(mane, fur.dark, mix(fur.dark, INK, 0.2), fur.line)
        for side in (-1, 1):
            s.ellipse(side * 0.86, -0.82, 0.36, 0.36, fur.base, fur.shade, fur.line)
            s.ellipse(side * 0.86, -0.82, 0.18, 0.18, fur.inner)


def _scallops() -> list[tuple[float, float]]:
    """The edge of a mane: sixteen locks round a circle."""
    out = []
    for i in range(96):
        a = 2 * math.pi * i / 96
        r = 0.84 + 0.16 * abs(math.sin(8 * a))
        out.append((r * math.cos(a), r * math.sin(a)))
    return out


_SCALLOPS = _scallops()


def _mirrored(*right: Point) -> list[Point]:
    """A closed outline from its right half, which starts and ends on the middle line."""
    return [*right, *((-x, y) for x, y in right[-2:0:-1])]


def paint_skull(s: Sketch, species: str, fur: Fur) -> None:
    """The head itself."""
    rx, ry = SKULL[species]
    if species == "fox":  # wide cheeks, narrow chin
        s.blob(
            _mirrored((0, -0.95), (0.75, -0.72), (1.1, -0.1), (1.3, 0.32), (0.7, 0.68), (0, 1.12)),
            fur.base,
            fur.shade,
            fur.line,
        )
    elif species == "deer":
        s.blob(
            _mirrored((0, -1.0), (0.72, -0.7), (0.85, -0.1), (0.55, 0.65), (0, 1.12)),
            fur.base,
            fur.shade,
            fur.line,
        )
    else:
        s.ellipse(0, 0, rx, ry, fur.base, fur.shade, fur.line)


def _eye(s: Sketch, x: float, y: float, r: float, closed: bool, fur: Fur) -> None:
    if closed:
        lid = (236, 232, 240) if fur.base == COATS["black"] else INK
        s.curve([(x - r, y), (x, y + r * 0.55), (x + r, y)], 0.13, lid)
        return
    s.ellipse(x, y, r, r * 1.15, WHITE, None, fur.line)
    s.ellipse(x, y + r * 0.1, r * 0.66, r * 0.82, INK)
    s.ellipse(x - r * 0.24, y - r * 0.26, r * 0.27, r * 0.3, WHITE)


def paint_face(s: Sketch, species: str, fur: Fur, turn: float = 0.0, closed: bool = False) -> None:
    """Eyes, snout, mouth; `turn` in [-1, 1] looks left or right."""
    f = s.placed(0.26 * turn, 0)
    if species == "fox":
        for side in (-1, 1):
            f.placed(0, 0, mirror=side < 0).blob(
                [(0.1, 0.4), (0.6, 0.12), (1.0, 0.3), (0.6, 0.6), (0.05, 1.0)], (255, 252, 246)
            )
    if species == "owl":
        for side in (-1, 1):
            f.ellipse(side * 0.5, -0.08, 0.56, 0.58, fur.pale, None, fur.line)
    if species in ("dog", "bear", "lion", "deer"):
        width = {"dog": 0.52, "bear": 0.5, "lion": 0.5, "deer": 0.42}[species]
        f.ellipse(0, 0.5, width, 0.4, fur.pale)
    if species == "dog":
        f.ellipse(0.1, 0.86, 0.16, 0.24, (244, 96, 110))
    eyes = {"owl": (0.48, -0.1, 0.36), "frog": (0.68, -0.84, 0.34), "deer": (0.44, -0.1, 0.24)}
    x, y, r = eyes.get(species, (0.45, -0.12, 0.25))
    for side in (-1, 1):
        _eye(f, side * x, y, r, closed, fur)
    _snout(f, species, fur)
    if species in ("cat", "rabbit", "bear", "frog", "elephant"):
        for side in (-1, 1):
            f.ellipse(side * 0.74, 0.3, 0.17, 0.11, mix(fur.base, BLUSH, 0.5))
    if species == "dog":
        for side in (-1, 1):
            s.placed(0, 0, mirror=side < 0).blob(
                [(0.5, -0.92), (1.0, -0.85), (1.38, 0.1), (1.28, 0.75), (0.92, 0.6), (0.8, -0.2)],
                fur.dark,
                mix(fur.dark, INK, 0.2),
                fur.line,
            )


def _snout(f: Sketch, species: str, fur: Fur) -> None:
    mouth = (226, 222, 230) if fur.base == COATS["black"] else INK
    if species in ("cat", "rabbit"):
        f.add([(-0.16, 0.22), (0.16, 0.22), (0, 0.4)], (240, 110, 130), None, fur.line)
        f.curve([(-0.26, 0.5), (-0.12, 0.58), (0, 0.42), (0.12, 0.58), (0.26, 0.5)], 0.07, mouth)
        if species == "rabbit":
            f.add([(-0.14, 0.56), (0.14, 0.56), (0.12, 0.82), (-0.12, 0.82)], WHITE, None, fur.line)
        else:
            for side in (-1, 1):
                for dy in (-0.1, 0.12):
                    f.curve(
                        [(side * 0.6, 0.4 + dy * 0.5), (side * 1.42, 0.34 + dy * 2)], 0.055, mouth
                    )
    elif species in ("dog", "bear", "lion", "deer"):
        f.ellipse(0, 0.34, 0.24, 0.17, INK)
        f.ellipse(-0.07, 0.29, 0.07, 0.04, (150, 140, 150))
        f.curve([(-0.22, 0.62), (0, 0.7), (0.22, 0.62)], 0.07, INK)
    elif species == "fox":
        f.ellipse(0, 0.9, 0.22, 0.17, INK)
    elif species == "elephant":
        for side in (-1, 1):
            f.curve([(side * 0.36, 0.55), (side * 0.54, 0.86)], 0.15, WHITE, fur.line)
        trunk = [(0, 0.12), (0, 0.6), (0.1, 0.95), (0.46, 1.04), (0.66, 0.8)]
        f.curve(trunk, 0.42, fur.base, fur.line)
        for y in (0.42, 0.62, 0.8):
            f.curve([(-0.14, y), (0.14, y)], 0.05, fur.shade)
    elif species == "owl":
        f.add([(-0.2, 0.12), (0.2, 0.12), (0, 0.58)], AMBER, None, (150, 96, 20))
    elif species == "frog":
        f.curve([(-0.85, 0.1), (-0.4, 0.42), (0.4, 0.42), (0.85, 0.1)], 0.1, mouth)
        for side in (-1, 1):
            f.ellipse(side * 0.14, -0.12, 0.05, 0.04, mouth)
