"""One scene of the fables world painted: surroundings, prop, shadows, animals, weather."""

from __future__ import annotations

import numpy as np
from PIL import Image

from cirdemo.data.drawn.fables import Scene
from cirdemo.data.drawn.paint.canvas import Box, Canvas, clip_box, union_box
from cirdemo.data.drawn.paint.groups import arrange
from cirdemo.data.drawn.paint.props import paint_prop
from cirdemo.data.drawn.paint.settings import paint_surroundings, paint_weather
from cirdemo.data.drawn.paint.sketch import render

# How high an animal stands (in parts of the picture) by the number of animals: least, most.
HEIGHT = {1: (0.56, 0.68), 2: (0.47, 0.58), 3: (0.36, 0.44)}
LARGER = {"sleeping": 1.2, "sitting": 1.06, "riding": 1.0, "jumping": 0.95}
MARGIN = 0.025
# The part of a prop's width kept free: it may cover a flank or a foot, never a face.
ASIDE = {"sleeping": 1.1, "sitting": 0.92, "standing": 0.75, "jumping": 0.75, "riding": 0.9}
FLOATING = ("balloon", "kite")


def paint_scene(scene: Scene, seed: int, size: int = 256) -> tuple[Image.Image, dict[str, Box]]:
    """The picture of a scene and where its parts are, in [0, 1] units."""
    rng = np.random.default_rng(seed)
    canvas = Canvas(size)
    light = paint_surroundings(canvas, scene.setting, scene.time, scene.weather, rng)
    boxes: dict[str, Box] = {"surroundings": (0.0, 0.0, 1.0, 1.0)}
    sketch, shadows = arrange(scene.animals, scene.action, rng)
    mirror = bool(rng.random() < 0.5)
    left, right = MARGIN, 1 - MARGIN
    prop_left = bool(rng.random() < 0.5)
    prop_size = rng.uniform(0.22, 0.26) - 0.02 * (len(scene.animals) == 3)
    if scene.prop:
        aside = prop_size * (1.0 if scene.prop in FLOATING else ASIDE.get(scene.action, 0.8))
        left, right = (left + aside, right) if prop_left else (left, right - aside)
    extents = sketch.extents()
    scale, x, y = _fit(extents, scene, (left, right), mirror, rng)
    reach = 0.6 if scene.action == "jumping" else 1.0
    for centre, half in shadows:
        sx = x + (-centre if mirror else centre) * scale
        canvas.soft_ellipse(
            sx + 0.02, y, half * scale * 1.25 * reach + 0.02, 0.045 * reach, light.shadow, 0.6
        )
    behind = scene.prop in FLOATING
    if scene.prop and behind:
        boxes["prop"] = _prop(canvas, scene.prop, prop_left, prop_size, y, rng)
    render(canvas, sketch, scale, x, y, mirror)
    if scene.prop and not behind:
        boxes["prop"] = _prop(canvas, scene.prop, prop_left, prop_size, y, rng)
    if light.strength > 0:
        canvas.tint(light.tint, light.strength)
    paint_weather(canvas, scene.weather, rng)
    boxes.update(_boxes(extents, len(scene.animals), scale, x, y, mirror))
    return canvas.finish(rng), {name: clip_box(box) for name, box in boxes.items()}


def _fit(
    extents: dict[str, Box],
    scene: Scene,
    room: tuple[float, float],
    mirror: bool,
    rng: np.random.Generator,
) -> tuple[float, float, float]:
    """Scale and ground point at which the group fills its room without leaving it."""
    x0, y0, x1, y1 = union_box(list(extents.values()))
    if mirror:
        x0, x1 = -x1, -x0
    ground = rng.uniform(0.87, 0.91) if scene.prop else rng.uniform(0.88, 0.93)
    least, most = HEIGHT[len(scene.animals)]
    scale = rng.uniform(least, most) * LARGER.get(scene.action, 1.0)
    width = room[1] - room[0]
    scale = min(scale, width / (x1 - x0), (ground - 0.03) / -y0)
    ground = min(ground, 0.98 - y1 * scale)
    slack = width - (x1 - x0) * scale
    x = room[0] - x0 * scale + slack * rng.uniform(0.15, 0.85)
    return scale, x, ground


def _prop(
    canvas: Canvas, prop: str, on_left: bool, size: float, ground: float, rng: np.random.Generator
) -> Box:
    """The prop at its edge of the picture, a little nearer than the animals."""
    x = MARGIN + size / 2
    base = min(0.965, ground + rng.uniform(0.01, 0.04))
    return paint_prop(canvas, prop, x if on_left else 1 - x, base, size, rng)


def _boxes(
    extents: dict[str, Box], count: int, scale: float, x: float, y: float, mirror: bool
) -> dict[str, Box]:
    """The boxes of the animals and their parts in picture units."""
    out: dict[str, Box] = {}
    for i in range(count):
        for part in ("head", "accessory", "animal"):
            found = extents.get(f"{part}:{i}")
            if found is None:
                continue
            x0, y0, x1, y1 = found
            if mirror:
                x0, x1 = -x1, -x0
            out[f"{part}:{i}"] = (x + x0 * scale, y + y0 * scale, x + x1 * scale, y + y1 * scale)
        parts = [out[k] for k in (f"animal:{i}", f"head:{i}", f"accessory:{i}") if k in out]
        out[f"animal:{i}"] = union_box(parts)
    return out
