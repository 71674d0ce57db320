"""Storybook animals: one body plan in several poses, made a species by its parts.

Body units: the ground is y = 0, y goes down, and a standing animal without ears is 1 high.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cirdemo.data.drawn.fables import Animal
from cirdemo.data.drawn.paint import heads
from cirdemo.data.drawn.paint.canvas import Point, mix
from cirdemo.data.drawn.paint.heads import AMBER, FURS, INK, Fur
from cirdemo.data.drawn.paint.sketch import Sketch
from cirdemo.data.drawn.paint.wear import paint_cape, paint_clasp, paint_on_head, paint_scarf

HEAD = 0.25  # radius of a head in body units
BUILD = {"bear": 1.15, "elephant": 1.18, "cat": 0.92, "deer": 0.88, "owl": 1.2, "frog": 1.02}
LIMB = {"bear": 1.25, "elephant": 1.4, "cat": 0.9, "deer": 0.8, "frog": 0.9, "rabbit": 0.95}
WHITE_TIP = (255, 253, 248)


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the parts are; limbs are shoulder or hip, joint, end."""

    body: tuple[float, float, float, float, float]  # cx, cy, rx, ry, angle
    head: tuple[float, float, float]  # x, y, tilt
    arms: tuple[tuple[Point, ...], ...]
    legs: tuple[tuple[Point, ...], ...]
    tail: tuple[float, float, float]  # x, y, direction in degrees (0 is right, -90 up)
    cape: tuple[Point, ...]
    far: tuple[tuple[Point, ...], ...] = field(default=())  # limbs behind the body
    turn: float = 0.0
    closed: bool = False
    soles: bool = False  # the feet point at the viewer
    side: bool = False  # the body is seen from the side
    cape_over: bool = False  # the cape lies on the body instead of behind it


def _both(points: tuple[Point, ...]) -> tuple[tuple[Point, ...], ...]:
    return (points, tuple((-x, y) for x, y in points))


_CAPE = ((-0.16, -0.54), (0.16, -0.54), (0.34, -0.3), (0.42, -0.03), (0, -0.07), (-0.42, -0.03))
POSES: dict[str, Pose] = {
    "standing": Pose(
        body=(0, -0.36, 0.205, 0.23, 0),
        head=(0, -0.74, 0),
        arms=_both(((0.16, -0.47), (0.25, -0.37), (0.27, -0.25))),
        legs=_both(((0.1, -0.2), (0.12, -0.12), (0.125, -0.05))),
        tail=(0.15, -0.17, -20),
        cape=(*_CAPE[:5], _CAPE[5], (-0.34, -0.3)),
    ),
    "sitting": Pose(
        body=(0, -0.2, 0.23, 0.19, 0),
        head=(0, -0.54, 0),
        arms=_both(((0.17, -0.29), (0.2, -0.2), (0.1, -0.13))),
        legs=_both(((0.16, -0.1), (0.24, -0.09), (0.3, -0.09))),
        tail=(0.2, -0.07, -12),
        cape=((-0.16, -0.36), (0.16, -0.36), (0.4, -0.16), (0.46, 0), (-0.46, 0), (-0.4, -0.16)),
        soles=True,
    ),
    "jumping": Pose(
        body=(0, -0.36, 0.2, 0.22, 0),
        head=(0, -0.74, 0),
        arms=_both(((0.15, -0.48), (0.33, -0.56), (0.43, -0.78))),
        legs=_both(((0.12, -0.2), (0.31, -0.2), (0.24, -0.03))),
        tail=(0.13, -0.2, 35),
        cape=(
            (-0.14, -0.54),
            (0.14, -0.54),
            (0.42, -0.42),
            (0.6, -0.24),
            (0.3, -0.1),
            (-0.3, -0.1),
            (-0.6, -0.24),
            (-0.42, -0.42),
        ),
    ),
    "sleeping": Pose(
        body=(0.16, -0.2, 0.4, 0.2, 0),
        head=(-0.33, -0.27, -14),
        arms=(((-0.1, -0.1), (-0.2, -0.03), (-0.34, -0.02)),),
        legs=(((0.4, -0.12), (0.3, -0.04), (0.16, -0.04)),),
        tail=(0.5, -0.12, -35),
        cape=((-0.1, -0.4), (0.2, -0.43), (0.5, -0.34), (0.6, -0.1), (0.3, -0.06), (-0.02, -0.14)),
        closed=True,
        side=True,
        cape_over=True,
    ),
    "hugging": Pose(
        body=(0, -0.36, 0.205, 0.23, 0),
        head=(0.03, -0.73, 4),
        arms=(((-0.13, -0.45), (-0.2, -0.34), (-0.14, -0.24)),),
        legs=_both(((0.1, -0.2), (0.12, -0.12), (0.125, -0.05))),
        tail=(-0.15, -0.17, 200),
        cape=(*_CAPE[:5], _CAPE[5], (-0.34, -0.3)),
        turn=0.7,
    ),
    "chasing": Pose(  # runs to the right, arms reaching out
        body=(0, -0.37, 0.24, 0.18, -38),
        head=(0.24, -0.68, 10),
        arms=(((0.14, -0.42), (0.32, -0.36), (0.46, -0.42)),),
        legs=(((-0.02, -0.26), (0.22, -0.22), (0.26, -0.06)),),
        far=(
            ((-0.12, -0.26), (-0.26, -0.12), (-0.42, -0.17)),
            ((0.12, -0.46), (0.34, -0.47), (0.5, -0.55)),
        ),
        tail=(-0.2, -0.26, 195),
        cape=((0.12, -0.52), (0.1, -0.36), (-0.3, -0.26), (-0.66, -0.34), (-0.5, -0.56)),
        turn=0.8,
        side=True,
    ),
    "fleeing": Pose(
        body=(0, -0.37, 0.24, 0.18, -38),
        head=(0.22, -0.68, 6),
        arms=(((0.1, -0.42), (0.22, -0.28), (0.36, -0.34)),),
        legs=(((-0.02, -0.26), (0.24, -0.26), (0.3, -0.08)),),
        far=(
            ((-0.12, -0.26), (-0.26, -0.1), (-0.4, -0.2)),
            ((0.0, -0.42), (-0.14, -0.38), (-0.2, -0.24)),
        ),
        tail=(-0.2, -0.26, 195),
        cape=((0.12, -0.52), (0.1, -0.36), (-0.3, -0.26), (-0.66, -0.34), (-0.5, -0.56)),
        turn=0.8,
        side=True,
    ),
    "mount": Pose(  # on all fours, facing right
        body=(0, -0.34, 0.38, 0.18, 0),
        head=(0.45, -0.52, 6),
        arms=(((0.24, -0.26), (0.27, -0.15), (0.27, -0.05)),),
        legs=(((-0.25, -0.26), (-0.28, -0.15), (-0.26, -0.05)),),
        far=(
            ((0.12, -0.24), (0.12, -0.14), (0.13, -0.06)),
            ((-0.1, -0.24), (-0.12, -0.14), (-0.12, -0.06)),
        ),
        tail=(-0.35, -0.36, 205),
        cape=((0.24, -0.54), (0.3, -0.3), (0.1, -0.2), (-0.3, -0.16), (-0.44, -0.3), (-0.2, -0.54)),
        turn=0.7,
        side=True,
        cape_over=True,
    ),
    "rider": Pose(  # sits astride, facing right; its seat is y = 0
        body=(0, -0.2, 0.19, 0.22, 6),
        head=(0.05, -0.6, 4),
        arms=(((0.1, -0.3), (0.2, -0.2), (0.32, -0.14)),),
        legs=(((0.06, -0.06), (0.18, 0.02), (0.16, 0.16)),),
        tail=(-0.14, -0.08, 190),
        cape=((0.1, -0.4), (-0.1, -0.42), (-0.34, -0.2), (-0.5, 0.06), (-0.2, 0.1), (0.1, -0.1)),
        turn=0.7,
        side=True,
    ),
}


def _tail(s: Sketch, species: str, fur: Fur) -> None:
    """The tail in its own frame: base at the origin, outwards to the right, up is -y."""
    if species == "fox":
        s.blob(
            [(-0.02, -0.04), (0.16, -0.16), (0.36, -0.2), (0.52, -0.06), (0.4, 0.06), (0.16, 0.08)],
            fur.base,
            fur.shade,
            fur.line,
        )
        s.blob([(0.37, -0.19), (0.52, -0.06), (0.4, 0.055), (0.36, -0.06)], WHITE_TIP)
    elif species == "cat":
        s.curve(
            [(0, 0), (0.15, 0.0), (0.26, -0.12), (0.25, -0.27), (0.34, -0.36)],
            0.065,
            fur.base,
            fur.line,
        )
    elif species == "lion":
        s.curve([(0, 0), (0.16, 0.02), (0.3, -0.06), (0.34, -0.2)], 0.045, fur.base, fur.line)
        s.ellipse(0.35, -0.26, 0.075, 0.1, fur.dark, None, fur.line, angle=15)
    elif species == "dog":
        s.curve([(0, 0), (0.14, -0.05), (0.22, -0.17)], 0.08, fur.base, fur.line)
    elif species == "elephant":
        s.curve([(0, 0), (0.12, 0), (0.17, 0.08)], 0.04, fur.base, fur.line)
    elif species == "rabbit":
        s.ellipse(0.07, 0, 0.1, 0.1, fur.pale, fur.base, fur.line)
    elif species in ("bear", "deer"):
        s.ellipse(0.05, -0.01, 0.08, 0.06, fur.base, fur.shade, fur.line)


def _limb(s: Sketch, points: tuple[Point, ...], width: float, species: str, fur: Fur) -> None:
    s.curve(points, width * LIMB.get(species, 1.0), fur.base, fur.line)


def _arm(s: Sketch, points: tuple[Point, ...], species: str, fur: Fur) -> None:
    if species != "owl":
        _limb(s, points, 0.1, species, fur)
        return
    (x0, y0), (xm, ym), (x1, y1) = points  # a wing: a leaf from the shoulder past the hand
    dx, dy = x1 - x0, y1 - y0
    nx, ny = -dy * 0.42, dx * 0.42
    tip = (x1 + dx * 0.2, y1 + dy * 0.2)
    s.blob(
        [(x0, y0), (xm + nx, ym + ny), tip, (xm - nx, ym - ny)],
        fur.dark,
        mix(fur.dark, INK, 0.2),
        fur.line,
    )


def _leg(s: Sketch, points: tuple[Point, ...], pose: Pose, species: str, fur: Fur) -> None:
    x, y = points[-1]
    if species == "owl":
        s.curve(points, 0.055, AMBER, (150, 96, 20))
        for dx in (-0.05, 0, 0.05):
            s.ellipse(x + dx, y + 0.02, 0.03, 0.035, AMBER, None, (150, 96, 20))
        return
    _limb(s, points, 0.125, species, fur)
    if pose.soles:
        s.ellipse(x, y, 0.085, 0.1, fur.base, fur.shade, fur.line)
        s.ellipse(x, y + 0.02, 0.045, 0.05, fur.pale)
    elif species == "frog":
        out = 0.05 if x >= 0 else -0.05
        for dx in (-0.07, 0, 0.07):
            s.ellipse(x + out + dx, y + 0.015, 0.05, 0.035, fur.base, None, fur.line)
    else:
        ahead = 0.03 if x >= 0 or pose.side else -0.03
        s.ellipse(x + ahead, y + 0.005, 0.095, 0.06, fur.base, fur.shade, fur.line)


def paint_body(s: Sketch, animal: Animal, pose: Pose, mirror: bool = False) -> None:
    """Everything but the head: cape, tail, limbs, body."""
    fur, species = FURS[animal.coat], animal.species
    cape = animal.accessory == "cape"
    wear = s.tagged(s.tag.replace("animal", "accessory"))
    if cape and not pose.cape_over:
        paint_cape(wear, list(pose.cape))
    x, y, angle = pose.tail
    backwards = 90 < angle < 270
    _tail(s.placed(x, y, 1, angle - 180 if backwards else angle, backwards), species, fur)
    for limb in pose.far:
        if species != "owl":
            _limb(s, limb, 0.1, species, fur)
        elif limb[-1][1] > -0.3:
            _leg(s, limb, pose, species, fur)
    wide = 1.12 if species == "frog" else 1.0
    if not pose.side:
        for leg in pose.legs:
            spread = tuple((px * (1 + (wide - 1) * 3), py) for px, py in leg)
            _leg(s, spread, pose, species, fur)
    cx, cy, rx, ry, turn = pose.body
    build = BUILD.get(species, 1.0)
    across = (rx, ry * build) if pose.side and rx > ry else (rx * build, ry)
    s.ellipse(cx, cy, *across, fur.base, fur.shade, fur.line, angle=turn)
    if pose.side:
        for leg in pose.legs:
            _leg(s, leg, pose, species, fur)
    else:
        s.ellipse(cx, cy + 0.03, across[0] * 0.58, across[1] * 0.66, fur.pale)
    if cape and pose.cape_over:
        paint_cape(wear, list(pose.cape))
    for arm in pose.arms:
        _arm(s, arm, species, fur)


def head_view(s: Sketch, pose: Pose) -> Sketch:
    """The view in which this pose's head is drawn, tagged as the head."""
    x, y, tilt = pose.head
    return s.placed(x, y, HEAD, tilt).tagged(s.tag.replace("animal", "head"))


def paint_ears(s: Sketch, animal: Animal, pose: Pose, mirror: bool = False) -> None:
    """What is behind the head, and what is round the neck."""
    view = head_view(s, pose)
    mane = animal.species in ("lion", "elephant")  # would hide what is round the neck
    if mane:
        heads.paint_head_back(view, animal.species, FURS[animal.coat])
    wear = view.placed(0, 0.16 if mane else 0).tagged(s.tag.replace("animal", "accessory"))
    if animal.accessory == "scarf":
        paint_scarf(wear, mirror)
    elif animal.accessory == "cape":
        paint_clasp(wear)
    if not mane:
        heads.paint_head_back(view, animal.species, FURS[animal.coat])


def paint_head(s: Sketch, animal: Animal, pose: Pose, mirror: bool = False) -> None:
    """The face and what is worn on it."""
    view, fur = head_view(s, pose), FURS[animal.coat]
    heads.paint_skull(view, animal.species, fur)
    heads.paint_face(view, animal.species, fur, pose.turn, pose.closed)
    wear = view.tagged(s.tag.replace("animal", "accessory"))
    if pose.side and animal.accessory == "flower":
        mirror = pose is not POSES["mount"]  # away from the partner
    paint_on_head(wear, animal.accessory, animal.species, pose.turn, mirror, pose.closed)


def paint_animal(s: Sketch, animal: Animal, pose: Pose, mirror: bool = False) -> None:
    """A whole animal; `s` is tagged "animal:i"."""
    paint_body(s, animal, pose, mirror)
    paint_ears(s, animal, pose, mirror)
    paint_head(s, animal, pose, mirror)
