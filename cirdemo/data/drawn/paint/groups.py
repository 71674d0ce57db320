"""How animals stand together: each action arranges one, two or three of them in a sketch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cirdemo.data.drawn.fables import Animal
from cirdemo.data.drawn.paint.animals import (
    POSES,
    paint_animal,
    paint_body,
    paint_ears,
    paint_head,
)
from cirdemo.data.drawn.paint.canvas import Point, union_box
from cirdemo.data.drawn.paint.heads import FURS, SKULL
from cirdemo.data.drawn.paint.sketch import Sketch

Group = list[tuple[float, float]]  # ground shadows: centre and half width, in body units
GAP = {1: 0.0, 2: 0.07, 3: -0.08}  # three stand close, so as to be large
LEAP = 0.3  # height of a jump over the ground, in body units
MOTION = (255, 255, 255)


def arrange(
    animals: tuple[Animal, ...], action: str, rng: np.random.Generator
) -> tuple[Sketch, Group]:
    """The animals in the attitude of their action, standing on y = 0."""
    sketch = Sketch()
    special: dict[str, Callable[..., Group]] = {
        "sleeping": _sleep,
        "hugging": _hug,
        "chasing": _chase,
        "riding": _ride,
    }
    return sketch, special.get(action, _row)(sketch, animals, action, rng)


def _row(s: Sketch, animals: tuple[Animal, ...], action: str, rng: np.random.Generator) -> Group:
    """Side by side with a gap; which is left is chance."""
    pose = POSES[action]
    order = rng.permutation(len(animals))
    group, edge = [], 0.0
    for place, index in enumerate(order):
        tilt, scale = rng.uniform(-4, 4), rng.uniform(0.95, 1.05)
        lift = -LEAP * rng.uniform(0.85, 1.2) if action == "jumping" else 0.0
        if lift and len(animals) == 3 and place == 1:
            lift -= 0.2  # the middle one higher, so that raised arms do not meet
        mirror = bool(rng.random() < 0.5)
        trial = Sketch(tag=f"animal:{index}")
        paint_animal(trial.placed(0, lift, scale, tilt, mirror), animals[index], pose, mirror)
        x0, _, x1, _ = union_box(list(trial.extents().values()))
        shift = 0.0 if place == 0 else edge - x0 + GAP[len(animals)]
        for shape in trial.shapes:
            shape.points += (shift, 0.0)
        s.shapes.extend(trial.shapes)
        edge = x1 + shift
        group.append((shift, 0.26 if action == "jumping" else 0.36))
    return group


def _sleep(s: Sketch, animals: tuple[Animal, ...], _: str, rng: np.random.Generator) -> Group:
    """Curled up on its side, with "z z" over the head."""
    view = s.tagged("animal:0").placed(0, 0, 1, rng.uniform(-2, 2), bool(rng.random() < 0.5))
    paint_animal(view, animals[0], POSES["sleeping"])
    side = 1.0 if view.turn[0, 0] > 0 else -1.0
    fx = s.tagged("zz")
    for x, y, size in ((-0.02, -0.52, 0.13), (0.18, -0.68, 0.18)):
        left = (x if side > 0 else -x - size) + 0.02
        z = [(left, y), (left + size, y), (left, y + size), (left + size, y + size)]
        fx.curve_sharp(z, 0.06, (40, 48, 96))
        fx.curve_sharp(z, 0.034, (255, 255, 255))
    return [(0.12 * side, 0.62)]


def _hug(s: Sketch, animals: tuple[Animal, ...], _: str, rng: np.random.Generator) -> Group:
    """Leaning in, cheek to cheek, arms round each other."""
    pose = POSES["hugging"]
    first = int(rng.integers(2))
    pair = ((first, -1.0), (1 - first, 1.0))
    lean = 7 + rng.uniform(-1, 1)
    views = []
    for index, side in pair:
        apart = 0.36 + (SKULL[animals[index].species][0] - 1.1) * 0.25
        views.append(s.tagged(f"animal:{index}").placed(side * apart, 0, 1, -side * lean, side > 0))
    chosen = [animals[index] for index, _ in pair]
    for step in (paint_body, paint_ears):
        for view, animal in zip(views, chosen, strict=True):
            step(view, animal, pose)
    for view, animal in zip(views, chosen, strict=True):
        paint_head(view, animal, pose, True)  # a flower goes on the far ear
    for view, animal, low in zip(views, chosen, (0.0, 0.1), strict=True):
        arm: tuple[Point, ...] = ((0.1, -0.44), (0.4, -0.36 + low), (0.7, -0.42 + low))
        _paint_arm(view, animal, arm)
    return [(-0.36, 0.36), (0.36, 0.36)]


def _paint_arm(view: Sketch, animal: Animal, arm: tuple[Point, ...]) -> None:
    fur = FURS[animal.coat]
    owl = animal.species == "owl"
    view.curve(arm, 0.13 if owl else 0.105, fur.dark if owl else fur.base, fur.line)


def _chase(s: Sketch, animals: tuple[Animal, ...], _: str, rng: np.random.Generator) -> Group:
    """The first animal runs behind the second; both face right (the scene may be mirrored)."""
    group = []
    gap = 1.0
    for index, pose in ((1, POSES["fleeing"]), (0, POSES["chasing"])):
        x = gap * index
        lift = -rng.uniform(0.01, 0.06)
        fx = s.tagged("fx")
        for y, length in ((-0.86, 0.18), (-0.74, 0.26), (-0.62, 0.18)):
            fx.curve([(x - 0.18 - length, y), (x - 0.18, y)], 0.035, MOTION)
        for dx, r in ((-0.42, 0.085), (-0.55, 0.065), (-0.66, 0.045)):
            fx.ellipse(x + dx, -r * 0.7, r, r, (250, 244, 232, 225), None, None)
        view = s.tagged(f"animal:{index}").placed(x, lift, 1, rng.uniform(-3, 3))
        paint_animal(view, animals[index], pose)
        group.append((x, 0.34))
    return group


def _ride(s: Sketch, animals: tuple[Animal, ...], _: str, rng: np.random.Generator) -> Group:
    """The first animal sits on the back of the second, which stands on all fours."""
    rider, mount = animals
    paint_animal(s.tagged("animal:1"), mount, POSES["mount"])
    seat = s.tagged("animal:0").placed(-0.1, -0.48, 0.86, rng.uniform(-4, 4))
    paint_animal(seat, rider, POSES["rider"])
    return [(0.0, 0.5)]
