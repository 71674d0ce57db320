"""The twelve settings: sky, far shapes, ground and the things at the sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import lands, places, shores
from .canvas import Canvas
from .sky import FOG, Mood, paint_sky, paint_weather, veil

__all__ = ["Light", "paint_surroundings", "paint_weather"]


@dataclass(frozen=True)
class Light:
    """What the animals need to look as if they stood there."""

    tint: tuple[int, int, int]
    strength: float
    ground_y: float
    shadow: tuple[int, int, int, int]


Painter = Callable[[Canvas, Mood, np.random.Generator], None]
# painters of the far and of the near things, ground line, place of the sun (see paint_sky)
PLACES: dict[str, tuple[Painter, Painter, float, tuple[float, float, float, float]]] = {
    "meadow": (lands.meadow_far, lands.meadow_near, 0.60, (0.07, 0.3, 0.12, 0.33)),
    "forest": (lands.forest_far, lands.forest_near, 0.60, (0.34, 0.48, 0.25, 0.28)),
    "beach": (shores.beach_far, shores.beach_near, 0.62, (0.12, 0.4, 0.12, 0.36)),
    "desert": (lands.desert_far, lands.desert_near, 0.60, (0.2, 0.36, 0.12, 0.3)),
    "snow": (lands.snow_far, lands.snow_near, 0.60, (0.24, 0.42, 0.12, 0.24)),
    "mountains": (lands.mountains_far, lands.mountains_near, 0.60, (0.08, 0.34, 0.11, 0.17)),
    "lake": (shores.lake_far, shores.lake_near, 0.70, (0.07, 0.3, 0.12, 0.26)),
    "city": (places.city_far, places.city_near, 0.62, (0.3, 0.48, 0.11, 0.17)),
    "farm": (places.farm_far, places.farm_near, 0.58, (0.42, 0.56, 0.11, 0.2)),
    "garden": (places.garden_far, places.garden_near, 0.60, (0.2, 0.44, 0.22, 0.27)),
    "castle": (places.castle_far, places.castle_near, 0.60, (0.25, 0.36, 0.13, 0.2)),
    "volcano": (shores.volcano_far, shores.volcano_near, 0.60, (0.08, 0.22, 0.17, 0.22)),
}
TINTS = {
    "day": ((255, 255, 250), 0.0, (40, 50, 60, 90)),
    "sunset": ((255, 190, 140), 0.12, (80, 40, 60, 95)),
    "night": ((150, 170, 255), 0.09, (8, 12, 36, 130)),
}


def paint_surroundings(
    canvas: Canvas, setting: str, time: str, weather: str, rng: np.random.Generator
) -> Light:
    """Paint everything behind the animals; returns the light they stand in."""
    mood = Mood(time, weather)
    far, near, ground_y, sun = PLACES[setting]
    paint_sky(canvas, mood, rng, ground_y, sun)
    far(canvas, mood, rng)
    if weather == "fog":
        veil(canvas, 0.22, ground_y + 0.12, FOG[time], (0, 0.25, 0.45, 0.55, 0))
    near(canvas, mood, rng)
    tint, strength, shadow = TINTS[time]
    return Light(tint, strength, ground_y, shadow)
