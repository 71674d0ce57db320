"""A supersampled Pillow canvas in unit coordinates: x to the right, y down, both in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Point = tuple[float, float]
Colour = tuple[int, ...]  # RGB or RGBA
Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in [0, 1]

SUPERSAMPLING = 2  # edges are smoothed by drawing at twice the size and averaging


def mix(a: Colour, b: Colour, t: float) -> tuple[int, int, int]:
    """The colour a fraction t of the way from a to b."""
    return tuple(round(x + (y - x) * t) for x, y in zip(a[:3], b[:3], strict=True))  # type: ignore[return-value]


def smooth(points: Sequence[Point], *, closed: bool = True, steps: int = 6) -> list[Point]:
    """Catmull-Rom curve through the points."""
    n = len(points)
    out: list[Point] = []
    for i in range(n if closed else n - 1):
        p0, p1, p2, p3 = (
            points[(i + d) % n] if closed else points[min(max(i + d, 0), n - 1)]
            for d in (-1, 0, 1, 2)
        )
        for s in range(steps):
            t = s / steps
            out.append(
                tuple(  # type: ignore[arg-type]
                    0.5
                    * (
                        2 * b
                        + (c - a) * t
                        + (2 * a - 5 * b + 4 * c - d) * t * t
                        + (3 * b - a - 3 * c + d) * t**3
                    )
                    for a, b, c, d in zip(p0, p1, p2, p3, strict=True)
                )
            )
    return out if closed else [*out, points[-1]]


def ellipse_points(
    cx: float, cy: float, rx: float, ry: float, angle: float = 0.0, n: int = 40
) -> list[Point]:
    """Outline of an ellipse turned by `angle` degrees clockwise."""
    a = math.radians(angle)
    ca, sa = math.cos(a), math.sin(a)
    return [
        (
            cx + rx * math.cos(t) * ca - ry * math.sin(t) * sa,
            cy + rx * math.cos(t) * sa + ry * math.sin(t) * ca,
        )
        for t in (2 * math.pi * i / n for i in range(n))
    ]


class Canvas:
    """An RGB picture of `size` pixels; fills may be RGBA and then blend."""

    def __init__(self, size: int, fill: Colour = (255, 255, 255)) -> None:
        self.size = size
        self.scale = size * SUPERSAMPLING
        self.image = Image.new("RGB", (self.scale, self.scale), tuple(fill[:3]))
        self.draw = ImageDraw.Draw(self.image, "RGBA")

    def _px(self, points: Sequence[Point]) -> list[Point]:
        return [(x * self.scale, y * self.scale) for x, y in points]

    def polygon(self, points: Sequence[Point], fill: Colour) -> None:
        """A filled polygon."""
        self.draw.polygon(self._px(points), fill=tuple(fill))

    def blob(self, points: Sequence[Point], fill: Colour) -> None:
        """A filled smooth closed curve through the points."""
        self.polygon(smooth(points), fill)

    def ellipse(
        self, cx: float, cy: float, rx: float, ry: float, fill: Colour, angle: float = 0.0
    ) -> None:
        """A filled ellipse, turned by `angle` degrees clockwise."""
        if angle:
            self.polygon(ellipse_points(cx, cy, rx, ry, angle), fill)
        else:
            s = self.scale
            box = ((cx - rx) * s, (cy - ry) * s, (cx + rx) * s, (cy + ry) * s)
            self.draw.ellipse(box, fill=tuple(fill))

    def stroke(self, points: Sequence[Point], width: float, fill: Colour) -> None:
        """A line with round joints and ends; use opaque fills (overlaps would show)."""
        px = self._px(points)
        w = max(1, round(width * self.scale))
        self.draw.line(px, fill=tuple(fill), width=w, joint="curve")
        for x, y in (px[0], px[-1]):
            self.draw.ellipse((x - w / 2, y - w / 2, x + w / 2, y + w / 2), fill=tuple(fill))

    def curve(self, points: Sequence[Point], width: float, fill: Colour) -> None:
        """A smooth open line through the points."""
        self.stroke(smooth(points, closed=False), width, fill)

    def soft_ellipse(
        self, cx: float, cy: float, rx: float, ry: float, fill: Colour, blur: float = 0.35
    ) -> None:
        """An ellipse that fades out, e.g. a ground shadow or a glow; fill is RGBA."""
        s = self.scale
        x0, y0 = int((cx - rx) * s), int((cy - ry) * s)
        w, h = max(2, int(2 * rx * s)), max(2, int(2 * ry * s))
        ys, xs = np.ogrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
        fade = np.clip((1 - np.sqrt(xs * xs + ys * ys)) / max(blur, 1e-3), 0, 1)
        alpha = fill[3] if len(fill) > 3 else 255
        mask = Image.fromarray((fade * alpha).astype(np.uint8))
        self.image.paste(Image.new("RGB", (w, h), tuple(fill[:3])), (x0, y0), mask)

    def gradient(self, box: Box, top: Colour, bottom: Colour) -> None:
        """A vertical gradient over a box."""
        s = self.scale
        x0, y0, x1, y1 = (round(v * s) for v in box)
        t = np.linspace(0, 1, max(1, y1 - y0))[:, None]
        rows = np.array(top[:3]) * (1 - t) + np.array(bottom[:3]) * t
        column = Image.fromarray(rows.astype(np.uint8)[:, None, :])
        self.image.paste(column.resize((x1 - x0, y1 - y0)), (x0, y0))

    def tint(self, colour: Colour, strength: float) -> None:
        """Multiply the whole picture by a light colour; strength 0 leaves it as it is."""
        factor = [1 - strength + strength * c / 255 for c in colour[:3]]
        table = [min(255, round(v * f)) for f in factor for v in range(256)]
        self.image.paste(self.image.point(table))

    def blur(self, radius: float) -> None:
        """Blur all painted so far (distance haze), radius in unit coordinates."""
        self.image.paste(self.image.filter(ImageFilter.BoxBlur(radius * self.scale)))

    def finish(self, rng: np.random.Generator, grain: float = 2.0) -> Image.Image:
        """The picture at its final size, with slight grain."""
        out = np.asarray(self.image.reduce(SUPERSAMPLING), dtype=np.int16)
        noise = rng.integers(-32, 33, (self.size, self.size, 1), dtype=np.int16) * grain / 32
        return Image.fromarray(np.clip(out + noise, 0, 255).astype(np.uint8))


def clip_box(box: Box) -> Box:
    """The part of a box inside the picture."""
    x0, y0, x1, y1 = (min(1.0, max(0.0, v)) for v in box)
    return (x0, y0, x1, y1)


def union_box(boxes: Sequence[Box]) -> Box:
    """The smallest box around all boxes."""
    return (
        min(b[0] for b in boxes),
        min(b[1] for b in boxes),
        max(b[2] for b in boxes),
        max(b[3] for b in boxes),
    )
