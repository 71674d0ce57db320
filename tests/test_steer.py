"""Steering by hand, painted regions, and what is remembered."""

import numpy as np
import pytest
from PIL import Image

from cirdemo.cache import Memory
from cirdemo.region import SIDE, masked
from cirdemo.steer import Steer, steered
from cirdemo.types import BadInput, Composed


class Shelf:
    """Three clusters of pictures along three axes."""

    ids = tuple("abcdef")

    def __init__(self):
        rows = np.eye(3)[[0, 0, 1, 1, 2, 2]] + 0.05 * np.random.default_rng(0).normal(size=(6, 3))
        self.vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def vector(self, image_id):
        return self.vectors[self.ids.index(image_id)]


def order(vector, shelf):
    return [shelf.ids[i] for i in np.argsort(-shelf.vectors @ vector)]


def encode(texts):
    return np.eye(3, dtype=np.float32)[[int(t) for t in texts]]


@pytest.fixture
def query():
    v = np.array([0.8, 0.5, 0.1], np.float32)
    return Composed(vector=v / np.linalg.norm(v), space="s")


def test_nothing_moves_a_query_by_nothing(query):
    assert steered(query, Steer(), Shelf(), encode) is query


def test_more_like_this_comes_nearer_and_less_goes_away(query):
    shelf = Shelf()
    assert order(query.vector, shelf)[0] in "ab"
    more = steered(query, Steer(more=("e",)), shelf, encode).vector
    assert shelf.vectors[4] @ more > shelf.vectors[4] @ query.vector
    less = steered(query, Steer(less=("a",)), shelf, encode).vector
    assert shelf.vectors[0] @ less < shelf.vectors[0] @ query.vector
    assert np.linalg.norm(less) == pytest.approx(1, abs=1e-6)


def test_a_negated_cue_sends_its_pictures_down(query):
    shelf = Shelf()
    moved = steered(query, Steer(without=("0",)), shelf, encode).vector
    assert order(moved, shelf).index("a") > order(query.vector, shelf).index("a")


def test_a_region_hides_its_cells_and_nothing_else():
    image = Image.new("RGB", (24, 24), "red")
    image.paste("blue", (0, 0, 2, 2))
    corner = f"{1 << 143:036x}"  # the first cell
    gone = masked(image, f"ignore:{corner}")
    assert gone.getpixel((0, 0)) == (255, 0, 0) and gone.getpixel((20, 20)) == (255, 0, 0)
    kept = masked(image, f"keep:{corner}")
    assert kept.getpixel((20, 20)) == (0, 0, 255)
    assert masked(image, "") is image and masked(image, f"keep:{0:036x}") is image


def test_a_part_of_the_picture_is_searched_by():
    image = Image.new("RGB", (240, 120), "red")
    image.paste("blue", (120, 0, 240, 60))
    part = masked(image, "crop:.5,0,1,0.5")
    assert part.size == (120, 60) and part.getcolors() == [(7200, (0, 0, 255))]
    cell = [1 << (SIDE * SIDE - 1 - (SIDE * row + column)) for row, column in ((0, 6), (5, 11))]
    assert masked(image, f"crop:{sum(cell):036x}").tobytes() == part.tobytes()
    assert masked(image, f"crop:{0:036x}") is image
    assert masked(image, "crop:0,0,1,1").tobytes() == image.tobytes()
    for wrong in ("0.5,0,0.5,1", "0.6,0,0.5,1", "0,0,1.5,1", "0,0,,1"):
        with pytest.raises(BadInput, match="four shares"):
            masked(image, f"crop:{wrong}")
    with pytest.raises(BadInput, match="12 x 6 pixels"):
        masked(image, "crop:0,0,0.05,0.05")


@pytest.mark.parametrize("written", ["ignore:zz", "hide:" + "0" * 36, "ignore:" + "f" * 36, "x"])
def test_a_region_that_cannot_be_is_told(written):
    with pytest.raises(BadInput):
        masked(Image.new("RGB", (24, 24)), written)


def test_a_memory_is_bounded_and_forgets_the_oldest():
    memory = Memory(2)
    memory.put("a", 1)
    memory.put("b", 2)
    assert memory.get("a") == 1
    memory.put("c", 3)
    assert (memory.get("b"), memory.get("a"), memory.get("c"), len(memory)) == (None, 1, 3, 2)
