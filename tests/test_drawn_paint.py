"""Painting: one seed one picture, every value paints, and the shipped files are these pictures."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cirdemo.data.drawn import fables as f
from cirdemo.data.drawn import galleries, queries
from cirdemo.data.drawn import wardrobe as w

GALLERIES = Path(__file__).resolve().parents[1] / "assets" / "galleries"
SIDE = 64
CAT = f.Animal("cat", "white", "hat")
DOG = f.Animal("dog", "brown")
GARMENT = w.Garment("dress", "red", "plain", "short", "round", "regular", "")


def scene(animals=(CAT,), action="standing", setting="lake", time="day", weather="clear", prop=""):
    return f.make_scene(animals, action, setting, time, weather, prop)


def pixels(content, seed=1, size=SIDE):
    return np.asarray(galleries.paint(content, seed, size)[0]).astype(int)


SCENES = {
    **{f"species {s}": scene((f.Animal(s, "grey", "scarf"),)) for s in f.SPECIES},
    **{f"coat {c}": scene((f.Animal("fox", c),)) for c in f.COATS},
    **{f"accessory {a}": scene((f.Animal("owl", "blue", a),)) for a in ("", *f.ACCESSORIES)},
    **{f"{n} {a}": scene((CAT,) * n, a) for n, all_ in f.ACTIONS_BY_COUNT.items() for a in all_},
    **{f"mixed {a}": scene((CAT, DOG), a) for a in f.PAIR_ACTIONS},
    **{f"setting {s}": scene(setting=s) for s in f.SETTINGS},
    **{f"time {t}": scene(time=t) for t in f.TIMES},
    **{f"weather {v}": scene(weather=v) for v in f.WEATHERS},
    **{f"prop {p}": scene(prop=p) for p in f.PROPS},
}
GARMENTS = {
    **{f"category {c}": replace(GARMENT, category=c) for c in w.CATEGORIES},
    **{
        f"{attribute} {value} of a {category}": replace(
            GARMENT, category=category, **{attribute: value}
        )
        for category in w.CATEGORIES
        for attribute, values in w.ATTRIBUTES.items()
        for value in values
    },
}


@pytest.mark.parametrize("content", SCENES.values(), ids=SCENES.keys())
def test_every_value_of_the_fables_paints(content):
    image, boxes = galleries.paint(content, 3, SIDE)
    assert (image.size, image.mode) == ((SIDE, SIDE), "RGB")
    assert np.asarray(image).std() > 10  # not one flat colour
    wanted = {"surroundings"} | ({"prop"} if content.prop else set())
    for i, animal in enumerate(content.animals):
        wanted |= {f"animal:{i}", f"head:{i}"}
        wanted |= {f"accessory:{i}"} if animal.accessory else set()
    assert set(boxes) == wanted
    _inside(boxes)
    for i in range(len(content.animals)):
        (ax, ay, bx, by), head = boxes[f"animal:{i}"], boxes[f"head:{i}"]
        assert ax <= head[0] and ay <= head[1] and head[2] <= bx and head[3] <= by


@pytest.mark.parametrize("content", GARMENTS.values(), ids=GARMENTS.keys())
def test_every_value_of_the_wardrobe_paints(content):
    image, boxes = galleries.paint(content, 3, SIDE)
    assert (image.size, image.mode) == ((SIDE, SIDE), "RGB")
    assert np.asarray(image).std() > 10
    assert {"garment", "neckline", "hem"} <= set(boxes)
    assert ("detail" in boxes) == bool(content.detail)
    assert content.sleeve == "no" or "sleeves" in boxes
    _inside(boxes)


def _inside(boxes):
    for name, (x0, y0, x1, y1) in boxes.items():
        assert 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1, name


@pytest.mark.parametrize("content", [scene((CAT, DOG), "hugging", prop="cake"), GARMENT])
def test_a_seed_is_a_picture(content):
    first = pixels(content)
    assert (first == pixels(content)).all()
    assert (first == pixels(replace(content))).all()
    other = pixels(content, seed=2)
    assert (first != other).mean() > 0.2  # another picture, not other grain on the same one
    assert np.abs(first - other).mean() > 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (scene((CAT,)), scene((replace(CAT, coat="black"),))),
        (scene((CAT,)), scene((replace(CAT, accessory=""),))),
        (scene(time="day"), scene(time="night")),
        (scene(weather="clear"), scene(weather="fog")),
        (scene(prop=""), scene(prop="drum")),
        (GARMENT, replace(GARMENT, colour="blue")),
        (GARMENT, replace(GARMENT, pattern="checked")),
        (GARMENT, replace(GARMENT, detail="belt")),
    ],
)
def test_another_value_is_another_picture(one, other):
    # beyond what the grain changes (at most 3 of 255 a pixel)
    assert (np.abs(pixels(one) - pixels(other)).max(-1) > 12).mean() > 0.01


@pytest.mark.parametrize("world", galleries.WORLDS)
def test_the_shipped_files_are_these_pictures(world):
    pool = queries.make_pool(world, galleries.GALLERY_FAMILIES[world], galleries.GALLERY_SEED)
    count = len(pool.contents)
    order = random.Random(galleries.GALLERY_SEED).sample(range(count), count)
    for place in (0, 1, 77, 500, count - 1):
        number = order[place]
        seed = galleries.GALLERY_SEED * galleries.PICTURE_SEED_STRIDE + number
        painted = pixels(pool.contents[number], seed, galleries.PICTURE_SIZE)
        path = GALLERIES / world / "images" / f"{world}-{place:04d}.webp"
        with Image.open(path) as file:
            shipped = np.asarray(file.convert("RGB")).astype(int)
        assert shipped.shape == painted.shape == (256, 256, 3)
        assert np.abs(shipped - painted).mean() < 6, path  # what WebP loses at this quality
        wrong = pixels(pool.contents[number], seed + 1, galleries.PICTURE_SIZE)
        assert np.abs(shipped - wrong).mean() > 6, path
