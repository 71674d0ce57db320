"""Sky, light and weather: what every setting shares, so that time and weather always look alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from .canvas import Canvas, Colour, Point, mix

RGB = tuple[int, int, int]

SKIES: dict[str, tuple[RGB, RGB, RGB]] = {  # top, middle, horizon
    "day": ((96, 172, 232), (150, 205, 242), (222, 240, 246)),
    "sunset": ((132, 96, 160), (238, 134, 118), (255, 200, 122)),
    "night": ((14, 20, 58), (26, 38, 92), (58, 76, 136)),
}
RAIN_SKIES: dict[str, tuple[RGB, RGB, RGB]] = {
    "day": ((126, 140, 156), (160, 173, 184), (200, 209, 215)),
    "sunset": ((104, 82, 114), (184, 112, 108), (240, 164, 112)),
    "night": ((18, 23, 46), (32, 40, 72), (54, 64, 100)),
}
FOG: dict[str, RGB] = {
    "day": (224, 230, 233),
    "sunset": (246, 204, 178),
    "night": (98, 110, 148),
}
DAYLIGHT: dict[str, tuple[float, float, float]] = {  # what the light leaves of red, green, blue
    "day": (1.0, 1.0, 1.0),
    "sunset": (1.0, 0.79, 0.68),
    "night": (0.54, 0.57, 0.80),
}


@dataclass(frozen=True)
class Mood:
    """Turns a colour as seen at clear noon into the colour at this time and weather."""

    time: str
    weather: str

    def __call__(self, colour: Colour, depth: float = 0.2) -> RGB:
        """The colour seen; depth 0 (near) to 1 (horizon) says how much air lies before it."""
        out = np.array(colour[:3], dtype=float) * DAYLIGHT[self.time]
        if self.weather == "rain":
            out = (out + (out.mean() - out) * 0.25) * 0.92
        seen: RGB = (int(out[0]), int(out[1]), int(out[2]))
        if self.weather == "fog":
            return mix(seen, FOG[self.time], 0.10 + 0.58 * depth)
        return mix(seen, self.horizon, 0.30 * depth * depth)

    @property
    def horizon(self) -> RGB:
        """The sky's colour at the horizon."""
        return (RAIN_SKIES if self.weather == "rain" else SKIES)[self.time][2]

    @property
    def night(self) -> bool:
        """Whether lamps are lit."""
        return self.time == "night"


def vary(colour: Colour, rng: np.random.Generator, amount: float = 10) -> RGB:
    """A near shade, so that two pictures of one setting differ."""
    light = rng.uniform(-amount, amount)
    r, g, b = (int(min(255, max(0, v + light + rng.uniform(-4, 4)))) for v in colour[:3])
    return (r, g, b)


def ridge(
    rng: np.random.Generator, base: float, height: float, waves: float = 2.0, n: int = 28
) -> list[Point]:
    """A rolling line from the left to the right edge."""
    x = np.linspace(-0.02, 1.02, n)
    a, b = rng.uniform(0, 6.28, 2)
    y = base - height * (0.65 * np.sin(waves * 3.14 * x + a) + 0.35 * np.sin(waves * 7.1 * x + b))
    return list(zip(x.tolist(), y.tolist(), strict=True))


def below(line: list[Point], bottom: float = 1.02) -> list[Point]:
    """The area under a line."""
    return [*line, (line[-1][0], bottom), (line[0][0], bottom)]


def veil(canvas: Canvas, y0: float, y1: float, colour: Colour, alphas: tuple[float, ...]) -> None:
    """A horizontal band of haze whose opacity runs through `alphas` from top to bottom."""
    s = canvas.scale
    top, bottom = max(0, round(y0 * s)), min(s, round(y1 * s))
    at = np.linspace(0, len(alphas) - 1, bottom - top)
    column = (np.interp(at, np.arange(len(alphas)), alphas) * 255).astype(np.uint8)
    mask = Image.fromarray(column[:, None]).resize((s, bottom - top))
    canvas.image.paste(tuple(colour[:3]), (0, top, s, bottom), mask)


def cloud(
    canvas: Canvas, rng: np.random.Generator, x: float, y: float, w: float, light: RGB, dark: RGB
) -> None:
    """A flat-bottomed puffy cloud, its lower side darker."""
    puffs = [(-0.34, 0.0, 0.2), (-0.08, -0.09, 0.25), (0.2, -0.03, 0.22), (0.4, 0.04, 0.14)]
    for colour, drop in ((dark, 0.045), (light, 0.0)):
        for dx, dy, r in puffs:
            r *= w * rng.uniform(0.9, 1.05)
            canvas.ellipse(x + dx * w, y + (dy + drop) * w, r, r * 0.62, colour)


def paint_sky(
    canvas: Canvas,
    mood: Mood,
    rng: np.random.Generator,
    horizon: float,
    sun: tuple[float, float, float, float],
) -> None:
    """Sky with its sun or moon on the left: the light comes from there in every picture.

    `sun` is where the setting leaves it free: x from and to, y when high, y at sunset.
    """
    x0, x1, high, low_y = sun
    top, middle, low = (RAIN_SKIES if mood.weather == "rain" else SKIES)[mood.time]
    if mood.weather == "fog":
        fog = FOG[mood.time]
        top, middle, low = mix(top, fog, 0.62), mix(middle, fog, 0.78), mix(low, fog, 0.92)
    canvas.gradient((0, 0, 1, horizon / 2), top, middle)
    canvas.gradient((0, horizon / 2, 1, horizon + 0.06), middle, low)
    x = rng.uniform(x0, x1)
    if mood.night:
        _night_sky(canvas, mood, rng, (x, high), middle)
    elif mood.time == "sunset":
        y = low_y + rng.uniform(-0.03, 0.03)
        glow = 110 if mood.weather == "clear" else 60
        canvas.soft_ellipse(x, y, 0.34, 0.26, (255, 226, 140, glow), 1.0)
        disc = (255, 236, 150) if mood.weather == "clear" else mix((255, 226, 150), low, 0.35)
        canvas.ellipse(x, y, 0.075, 0.075, disc)
        if mood.weather == "clear":
            for _ in range(3):
                bx, by = rng.uniform(0.1, 0.95), rng.uniform(0.06, 0.3)
                w = rng.uniform(0.09, 0.2)
                canvas.ellipse(bx, by, w, 0.012, (255, 190, 150, 150))
                canvas.ellipse(bx + w * 0.3, by + 0.014, w * 0.6, 0.009, (196, 104, 138, 130))
    elif mood.weather == "clear":
        y = high + rng.uniform(-0.03, 0.03)
        canvas.soft_ellipse(x, y, 0.2, 0.2, (255, 250, 205, 150), 1.0)
        canvas.ellipse(x, y, 0.06, 0.06, (255, 240, 150))
        for _ in range(int(rng.integers(1, 4))):
            at = rng.uniform(0.42, 1.0), rng.uniform(0.06, 0.26)
            cloud(canvas, rng, *at, rng.uniform(0.16, 0.3), (255, 255, 255), (222, 234, 244))
    if mood.weather == "rain":
        _rain_clouds(canvas, mood, rng)


def _night_sky(canvas: Canvas, mood: Mood, rng: np.random.Generator, at: Point, sky: RGB) -> None:
    """Stars, and a moon with its craters."""
    x, y = at[0], at[1] + rng.uniform(-0.03, 0.03)
    if mood.weather == "clear":
        for sx, sy, r in rng.uniform((0, 0, 0.002), (1, 0.46, 0.0052), (36, 3)).tolist():
            canvas.ellipse(sx, sy, r, r, (255, 252, 226))
    dim = {"clear": 0.0, "rain": 0.45, "fog": 0.3}[mood.weather]
    canvas.soft_ellipse(x, y, 0.18, 0.18, (190, 205, 255, 90), 1.0)
    canvas.ellipse(x, y, 0.062, 0.062, mix((252, 246, 214), sky, dim))
    canvas.ellipse(x + 0.018, y + 0.012, 0.013, 0.013, mix((226, 218, 184), sky, dim))
    canvas.ellipse(x - 0.02, y + 0.02, 0.009, 0.009, mix((226, 218, 184), sky, dim))


def _rain_clouds(canvas: Canvas, mood: Mood, rng: np.random.Generator) -> None:
    """A closed ceiling of dark cloud; some of the time's colour still shows below it."""
    light, dark = {
        "day": ((146, 157, 170), (112, 124, 140)),
        "sunset": ((140, 98, 122), (96, 70, 100)),
        "night": ((44, 52, 80), (28, 34, 58)),
    }[mood.time]
    for colour, y, r in ((light, 0.05, 0.13), (dark, -0.02, 0.12)):
        for x in np.linspace(-0.02, 1.02, 6).tolist():
            x, wide = x + rng.uniform(-0.06, 0.06), r * rng.uniform(0.9, 1.4)
            canvas.ellipse(x, y + rng.uniform(-0.02, 0.03), wide, wide * 0.62, colour)


def paint_weather(canvas: Canvas, weather: str, rng: np.random.Generator) -> None:
    """Rain streaks or a thin veil over everything, also over the animals, who stand in it too."""
    if weather == "rain":
        lean = 0.3
        starts = rng.uniform((-0.02, -0.08, 0.05, 95), (1.3, 0.95, 0.115, 185), (84, 4)).tolist()
        w = max(1, round(0.0052 * canvas.scale))
        s = canvas.scale
        for x, y, length, alpha in starts:
            line = (x * s, y * s, (x - lean * length) * s, (y + length) * s)
            canvas.draw.line(line, fill=(232, 241, 252, int(alpha)), width=w)
        for x, y in rng.uniform((0, 0.66), (1, 1), (12, 2)).tolist():
            r = rng.uniform(0.012, 0.022)
            box = ((x - r) * s, (y - r * 0.35) * s, (x + r) * s, (y + r * 0.35) * s)
            canvas.draw.ellipse(box, outline=(226, 238, 250, 120))
    elif weather == "fog":
        light = 232 if np.asarray(canvas.image.resize((8, 8))).mean() > 125 else 150
        colour = (light, light + 4, min(255, light + 12))
        shift = rng.uniform(-0.03, 0.03)
        veil(canvas, 0.18 + shift, 0.62 + shift, colour, (0, 0.2, 0.08, 0.22, 0))
        veil(canvas, 0.72 + shift, 1.0, colour, (0, 0.3, 0.12, 0.34))
