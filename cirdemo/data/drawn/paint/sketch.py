"""A display list of shapes: drawn once in local units, measured, then fitted into a picture.

Measuring before painting lets every scene fill its room exactly, whatever ears and hats it has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from PIL import ImageDraw

from cirdemo.data.drawn.paint.canvas import Box, Canvas, Colour, Point, smooth, union_box

OUTLINE = 0.011  # width of outlines, in units of the picture at its usual scale
_TURN = np.linspace(0, 2 * np.pi, 32, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)


@lru_cache(maxsize=2048)
def _smoothed(points: tuple[Point, ...], closed: bool) -> np.ndarray:
    """Smooth curves of constant outlines are computed once in a process."""
    return np.array(smooth(points, closed=closed, steps=5))


@dataclass(slots=True)
class Shape:
    """One mark: a polygon (flat, or shaded in two tones) or a line (width > 0)."""

    tag: str
    points: np.ndarray
    fill: Colour
    width: float = 0.0
    shade: Colour | None = None
    line: Colour | None = None
    sharp: bool = False  # a line with corners


@dataclass(slots=True)
class Sketch:
    """A view of a display list in its own coordinates; views share the list."""

    shapes: list[Shape] = field(default_factory=list)
    turn: np.ndarray = field(default_factory=lambda: np.eye(2))
    shift: np.ndarray = field(default_factory=lambda: np.zeros(2))
    tag: str = ""

    def placed(
        self, x: float, y: float, scale: float = 1.0, angle: float = 0.0, mirror: bool = False
    ) -> Sketch:
        """A view with its origin at (x, y), scaled, turned clockwise and perhaps mirrored."""
        a = math.radians(angle)
        c, s = math.cos(a) * scale, math.sin(a) * scale
        m = np.array([[-c if mirror else c, -s], [-s if mirror else s, c]])
        shift = self.turn @ (x, y) + self.shift
        return Sketch(self.shapes, self.turn @ m, shift, self.tag)

    def tagged(self, tag: str) -> Sketch:
        """A view whose shapes count for the box of `tag`."""
        return Sketch(self.shapes, self.turn, self.shift, tag)

    def _map(self, points: np.ndarray | Sequence[Point]) -> np.ndarray:
        mapped: np.ndarray = np.asarray(points, dtype=float) @ self.turn.T + self.shift
        return mapped

    def _scale(self) -> float:
        return math.hypot(self.turn[0, 0], self.turn[1, 0])

    def add(
        self,
        points: np.ndarray | Sequence[Point],
        fill: Colour,
        shade: Colour | None = None,
        line: Colour | None = None,
    ) -> None:
        """A polygon; with `shade` its lower right is darker, with `line` it has an outline."""
        self.shapes.append(Shape(self.tag, self._map(points), fill, 0.0, shade, line))

    def blob(
        self,
        points: Sequence[Point],
        fill: Colour,
        shade: Colour | None = None,
        line: Colour | None = None,
    ) -> None:
        """A smooth closed shape."""
        self.add(_smoothed(tuple(points), True), fill, shade, line)

    def ellipse(
        self,
        cx: float,
        cy: float,
        rx: float,
        ry: float,
        fill: Colour,
        shade: Colour | None = None,
        line: Colour | None = None,
        angle: float = 0.0,
    ) -> None:
        """An ellipse, turned by `angle` degrees clockwise."""
        points = _CIRCLE * (rx, ry)
        if angle:
            a = math.radians(angle)
            c, s = math.cos(a), math.sin(a)
            points = points @ np.array([[c, s], [-s, c]])
        self.add(points + np.array((cx, cy)), fill, shade, line)

    def curve(
        self, points: Sequence[Point], width: float, fill: Colour, line: Colour | None = None
    ) -> None:
        """A smooth round-ended line, such as a tail or a limb."""
        curve = self._map(_smoothed(tuple(points), False))
        self.shapes.append(Shape(self.tag, curve, fill, width * self._scale(), None, line))

    def curve_sharp(self, points: Sequence[Point], width: float, fill: Colour) -> None:
        """A line with corners, such as a letter."""
        shape = Shape(self.tag, self._map(points), fill, width * self._scale(), sharp=True)
        self.shapes.append(shape)

    def extents(self) -> dict[str, Box]:
        """The box around the shapes of every tag; marks of motion ("fx") do not count."""
        out: dict[str, Box] = {}
        for shape in self.shapes:
            if shape.tag == "fx":
                continue
            half = shape.width / 2
            x0, y0 = np.minimum.reduce(shape.points).tolist()
            x1, y1 = np.maximum.reduce(shape.points).tolist()
            box = (x0 - half, y0 - half, x1 + half, y1 + half)
            known = out.get(shape.tag)
            out[shape.tag] = box if known is None else union_box((known, box))
        return out


def render(
    canvas: Canvas, sketch: Sketch, scale: float, x: float, y: float, mirror: bool = False
) -> None:
    """Paint the list with its origin at (x, y) of the canvas."""
    factor = np.array([-scale if mirror else scale, scale]) * canvas.scale
    offset = np.array([x, y]) * canvas.scale
    edge = OUTLINE * scale * canvas.scale * 2
    draw = canvas.draw
    for shape in sketch.shapes:
        points = shape.points * factor + offset
        if shape.width:
            _line(draw, points, shape, scale * canvas.scale, edge)
            continue
        flat = points.ravel().tolist()
        if shape.line is not None:
            _outline(draw, points, shape.line, edge)
        if shape.shade is None:
            draw.polygon(flat, fill=shape.fill)
            continue
        draw.polygon(flat, fill=shape.shade)
        low, high = np.minimum.reduce(points), np.maximum.reduce(points)
        centre = (low + high) / 2
        # The lit part is a smaller copy towards the light, which comes from the upper left.
        lit = (points - centre) * 0.88 + centre - (high - low) * 0.045
        draw.polygon(lit.ravel().tolist(), fill=shape.fill)


def _normals(points: np.ndarray, closed: bool) -> np.ndarray:
    """Unit vectors across a curve at each of its points."""
    along = np.empty_like(points)
    along[1:-1] = points[2:] - points[:-2]
    along[0] = points[1] - points[-1 if closed else 0]
    along[-1] = points[0 if closed else -1] - points[-2]
    across = along[:, ::-1] * (1.0, -1.0)
    return across / (np.hypot(across[:, 0], across[:, 1]) + 1e-6)[:, None]


def _outline(draw: ImageDraw.ImageDraw, points: np.ndarray, line: Colour, edge: float) -> None:
    """The outline, to be covered by the fill: smooth shapes grow, cornered ones get a line."""
    if len(points) < 12:
        flat = points.ravel().tolist()
        draw.line(flat + flat[:4], fill=line, width=max(1, round(edge)))
        return
    x, y = points[:, 0], points[:, 1]
    area = x[:-1] @ y[1:] - y[:-1] @ x[1:] + x[-1] * y[0] - y[-1] * x[0]
    grown = points + _normals(points, True) * (edge / 2 if area > 0 else -edge / 2)
    draw.polygon(grown.ravel().tolist(), fill=line)


def _line(
    draw: ImageDraw.ImageDraw, points: np.ndarray, shape: Shape, scale: float, edge: float
) -> None:
    """A round-ended band, on a wider one of its outline colour if it has one."""
    width = max(1.5, shape.width * scale)
    passes = [(shape.fill, width)]
    if shape.line is not None:
        passes.insert(0, (shape.line, width + edge))
    if shape.sharp:
        for fill, w in passes:
            draw.line(points.ravel().tolist(), fill=fill, width=max(1, round(w)))
        return
    across = _normals(points, False)
    for fill, w in passes:
        h = w / 2
        band = np.concatenate([points + across * h, (points - across * h)[::-1]])
        draw.polygon(band.ravel().tolist(), fill=fill)
        if w > 3:
            for px, py in (points[0], points[-1]):
                draw.ellipse((px - h, py - h, px + h, py + h), fill=fill)
