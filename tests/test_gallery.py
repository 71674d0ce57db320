"""Galleries, builds and the exact index."""

import json

import numpy as np
import pytest
from PIL import Image

from cirdemo.data.drawn.dataset import DrawnDataset
from cirdemo.gallery.build import build
from cirdemo.gallery.faiss_index import FlatIndex
from cirdemo.gallery.files import save_build
from cirdemo.gallery.store import Gallery
from cirdemo.types import (
    BadInput,
    CirError,
    Composed,
    MissingCheckpoint,
    SpaceMismatch,
    UnknownName,
    VectorIndex,
)
from tests.fixtures_world import query, write_world


class ColourEncoder:
    """The mean colour of a picture, as a unit vector."""

    space = "colour"
    dim = 3
    preprocessing = "mean"

    def encode_images(self, images):
        means = np.stack([np.asarray(i, np.float32).mean(axis=(0, 1)) for i in images])
        return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)


class Bare:
    """A source without records."""

    name = "bare"

    def __init__(self, ids):
        self.gallery_ids = tuple(ids)

    def image_path(self, image_id):
        raise FileNotFoundError(image_id)


def composed(*vector, space="s"):
    return Composed(vector=np.array(vector, np.float32), space=space)


def in_memory(ids, vectors, **options):
    return Gallery(
        name="g",
        ids=ids,
        vectors=np.array(vectors, np.float32),
        space="s",
        source=Bare(ids),
        **options,
    )


# --- index --------------------------------------------------------------------------------


def test_flat_index_is_the_matrix_product():
    rng = np.random.default_rng(0)
    rows, queries = rng.normal(size=(300, 8)), rng.normal(size=(5, 8))
    index = FlatIndex(8)
    index.add(rows[:100].astype(np.float32))
    index.add(rows[100:].astype(np.float32))
    product = queries.astype(np.float32) @ rows.astype(np.float32).T
    scores, found = index.search(queries.astype(np.float32), 7)
    assert len(index) == 300
    assert (found.dtype, scores.shape) == (np.int64, (5, 7))
    np.testing.assert_array_equal(found, np.argsort(-product, axis=1, kind="stable")[:, :7])
    np.testing.assert_allclose(scores, -np.sort(-product, axis=1)[:, :7], rtol=1e-5)


def test_ties_come_in_row_order_even_across_the_cut():
    index = FlatIndex(2)
    index.add(np.tile(np.array([[1, 0]], np.float32), (200, 1)))
    _, rows = index.search(np.array([[1, 0]], np.float32), 5)
    assert rows.tolist() == [[0, 1, 2, 3, 4]]


def test_fewer_rows_than_k():
    index = FlatIndex(2)
    scores, rows = index.search(np.ones((1, 2), np.float32), 2)
    assert rows.tolist() == [[-1, -1]]
    index.add(np.array([[1, 0]], np.float32))
    scores, rows = index.search(np.array([[2, 0]], np.float32), 3)
    assert rows.tolist() == [[0, -1, -1]]
    assert scores.tolist() == [[2, -np.inf, -np.inf]]


def test_index_refuses_what_does_not_fit():
    index: VectorIndex = FlatIndex(2)
    with pytest.raises(ValueError, match=r"\(N, 2\), got \(4, 3\)"):
        index.add(np.zeros((4, 3), np.float32))
    with pytest.raises(ValueError, match="finite"):
        index.add(np.array([[np.nan, 0]], np.float32))
    with pytest.raises(ValueError, match="k must"):
        index.search(np.zeros((1, 2), np.float32), 0)


# --- search -------------------------------------------------------------------------------


def test_order_exclusion_and_ranks_by_hand():
    gallery = in_memory(["z", "m", "b", "a"], [[1, 0], [0.6, 0.8], [0.8, 0.6], [1, 0]])
    ranking = gallery.search(composed(1, 0), 3, query_id="q", method="union")
    assert ranking.ids == ("a", "z", "b")  # a and z tie at 1: by id, though z has the lower row
    assert [c.rank for c in ranking.candidates] == [1, 2, 3]
    assert [c.score for c in ranking.candidates] == pytest.approx([1, 1, 0.8])
    assert (ranking.query_id, ranking.method) == ("q", "union")
    assert gallery.search(composed(1, 0), 3, exclude="a").ids == ("z", "b", "m")
    assert gallery.search(composed(1, 0), 99, exclude="elsewhere").ids == ("a", "z", "b", "m")
    assert gallery.search(composed(1, 0), 0).ids == ()


def test_a_tie_at_the_cut_is_decided_by_id():
    ids = [f"{n:03d}" for n in reversed(range(150))]  # row order is the reverse of id order
    gallery = in_memory(ids, [[1, 0]] * 150)
    assert gallery.search(composed(1, 0), 2).ids == ("000", "001")
    assert gallery.search(composed(1, 0), 2, exclude="000").ids == ("001", "002")


def test_another_space_is_an_error_with_both_sides():
    gallery = in_memory(["a"], [[1, 0]])
    with pytest.raises(SpaceMismatch, match=r"'other'.*'s'"):
        gallery.search(composed(1, 0, space="other"), 1)
    with pytest.raises(SpaceMismatch, match=r"\(3,\).*\(2,\)"):
        gallery.search(composed(1, 0, 0), 1)


def test_ids_must_fit():
    with pytest.raises(ValueError, match="unique"):
        in_memory(["a", "a"], [[1, 0], [0, 1]])
    with pytest.raises(ValueError, match="shape"):
        in_memory(["a"], [[1, 0], [0, 1]])
    gallery = in_memory(["a"], [[1, 0]])
    assert gallery.record("a") is None
    for verb in (
        gallery.record,
        gallery.image,
        gallery.image_path,
        gallery.thumbnail,
        gallery.vector,
    ):
        with pytest.raises(UnknownName, match="'x'"):
            verb("x")


# --- builds -------------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path):
    return DrawnDataset(write_world(tmp_path / "world", [query()]))


def test_build_then_search(world, tmp_path):
    steps = []
    gallery = build(world, ColourEncoder(), tmp_path / "out", lambda *step: steps.append(step))
    assert steps == [(4, 4)]
    assert gallery.ids == ("a", "b", "c", "d")
    assert (gallery.name, gallery.space, gallery.preprocessing) == ("world", "colour", "mean")
    assert gallery.search(composed(1, 0, 0, space="colour"), 2).ids == ("a", "d")
    np.testing.assert_allclose(gallery.vector("b"), [0, 1, 0], atol=0.02)
    assert gallery.image("a").size == (400, 300)
    assert gallery.record("a")["caption"] == "picture a"
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "manifest.json",
        "vectors.npy",
        "ids.json",
    }


def test_batches_are_joined_in_order(tmp_path):
    colours = {f"{n:03d}": (n, 255 - n, 7) for n in range(70)}
    world = DrawnDataset(write_world(tmp_path / "world", colours=colours))
    steps = []
    gallery = build(world, ColourEncoder(), tmp_path / "out", lambda *step: steps.append(step))
    assert steps == [(64, 70), (70, 70)]
    alone = ColourEncoder().encode_images([gallery.image("066")])[0]
    np.testing.assert_array_equal(gallery.vector("066"), alone)


def test_thumbnails_lie_alone_in_one_folder(world, tmp_path):
    build(world, ColourEncoder(), tmp_path / "out")
    gallery = Gallery.open(tmp_path / "out", world, thumbnails=tmp_path / "small")
    paths = [gallery.thumbnail(i) for i in gallery.ids]
    assert Image.open(paths[0]).size == (256, 192)
    assert sorted(paths) == sorted((tmp_path / "small").iterdir())
    written = paths[0].stat().st_mtime_ns
    assert gallery.thumbnail("a").stat().st_mtime_ns == written


def test_a_small_copy_of_an_earlier_version_is_shown_as_it_is(world, tmp_path):
    build(world, ColourEncoder(), tmp_path / "out")
    gallery = Gallery.open(tmp_path / "out", world, thumbnails=tmp_path / "small")
    made = gallery.thumbnail("a")
    before = made.with_suffix(".webp")
    made.rename(before)
    assert gallery.thumbnail("a") == before and not made.exists()


@pytest.mark.parametrize("name", ["vectors.npy", "ids.json", "manifest.json"])
def test_one_changed_byte_is_found(world, tmp_path, name):
    build(world, ColourEncoder(), tmp_path / "out")
    path = tmp_path / "out" / name
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(CirError, match="damaged"):
        Gallery.open(tmp_path / "out", world)
    path.unlink()
    with pytest.raises(CirError, match="cirdemo index"):
        Gallery.open(tmp_path / "out", world)


def test_absent_build_and_foreign_source(world, tmp_path):
    with pytest.raises(MissingCheckpoint, match="no gallery build"):
        Gallery.open(tmp_path / "none", world)
    build(world, ColourEncoder(), tmp_path / "out")
    with pytest.raises(CirError, match=r"3 pictures .* such as 'b'"):
        Gallery.open(tmp_path / "out", Bare(["a"]))


def test_a_failed_write_leaves_the_old_build(world, tmp_path, monkeypatch):
    build(world, ColourEncoder(), tmp_path / "out")
    monkeypatch.setattr("os.fsync", lambda handle: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_build(
            tmp_path / "out",
            name="n",
            ids=["a"],
            vectors=np.zeros((1, 3)),
            space="s",
            preprocessing="p",
        )
    monkeypatch.undo()
    assert len(Gallery.open(tmp_path / "out", world)) == 4
    assert len(list((tmp_path / "out").iterdir())) == 3  # no temporary file stays


def test_bad_pictures_stop_the_build_or_are_listed(world, tmp_path):
    (world.root / "images" / "b.webp").write_bytes(b"no picture")
    with pytest.raises(BadInput, match="'b'"):
        build(world, ColourEncoder(), tmp_path / "out")
    gallery = build(world, ColourEncoder(), tmp_path / "out", skip_bad=True)
    assert gallery.ids == ("a", "c", "d")
    np.testing.assert_allclose(gallery.vector("c"), [0, 0, 1], atol=0.02)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["count"] == 3
    assert list(manifest["skipped"]) == ["b"]
