"""The index of large galleries: what it finds, how it is chosen, kept and told."""

import json
import mmap

import numpy as np
import pytest

from cirdemo.bench import geometry
from cirdemo.gallery import fast_index
from cirdemo.gallery.faiss_index import FlatIndex
from cirdemo.gallery.fast_index import FLAT, FastScanIndex, composed, fitted, nearest, shared
from cirdemo.gallery.files import read_build, save_build
from cirdemo.gallery.store import Gallery
from cirdemo.types import CirError, Composed, VectorIndex

DIM = 64
VECTORS = geometry.gallery(3000, DIM, seed=1)
WORDS = geometry.texts(30, DIM, seed=1)


class Words:
    """As much of an encoder as is asked."""

    @staticmethod
    def encode_texts(texts):
        return WORDS[: len(texts)]


@pytest.fixture(scope="module")
def index():
    found = FastScanIndex(DIM, depth=16)
    found.add(VECTORS)
    return found


def test_it_keeps_the_contract_of_an_index(index):
    keeps: VectorIndex = index
    assert len(keeps) == 3000 and keeps.dim == DIM
    scores, rows = index.search(VECTORS[:4], 60)
    assert scores.shape == rows.shape == (4, 60)
    assert rows[:, 0].tolist() == [0, 1, 2, 3]
    assert (np.diff(scores, axis=1) <= 0).all()
    np.testing.assert_allclose(scores[:, 0], 1, atol=2e-3)  # of half-precision vectors


@pytest.mark.parametrize("bad", [np.zeros((2, 5)), np.full((1, DIM), np.nan), np.zeros(DIM)])
def test_it_refuses_what_the_exact_one_refuses(index, bad):
    for one in (index, FlatIndex(DIM)):
        with pytest.raises(ValueError, match="vectors must"):
            one.search(bad, 1)
    with pytest.raises(ValueError, match="at least 1"):
        index.search(VECTORS[:1], 0)
    with pytest.raises(ValueError, match="even"):
        FastScanIndex(7)


def test_more_than_there_is_comes_back_as_nothing():
    small = FastScanIndex(DIM, depth=8)
    small.add(VECTORS[:40])
    scores, rows = small.search(VECTORS[:1], 50)
    assert (rows[0, 40:] == -1).all() and np.isneginf(scores[0, 40:]).all()
    assert sorted(rows[0, :40]) == list(range(40))


def test_depth_buys_recall(index):
    queries = composed(VECTORS, WORDS, 50, seed=3)
    truth, found = nearest(VECTORS, queries), {}
    for index.depth in (1, 16):
        found[index.depth] = shared(index.search(queries, 50)[1], truth)
    assert found[1] < 0.95 < found[16]


def test_codes_of_few_directions_find_what_differs_in_them(tmp_path):
    made = []
    for _ in range(2):
        short = FastScanIndex(DIM, depth=16, share=1 / 2)
        short.add(VECTORS)
        made.append(short.dump())
    assert made[0] == made[1]  # builds of the same pictures have the same bytes
    (tmp_path / "index").write_bytes(made[0])
    opened = FastScanIndex.open(tmp_path / "index", 16)
    queries = composed(VECTORS, WORDS, 50, seed=3)
    scores, rows = opened.search(queries, 50)
    assert shared(rows, nearest(VECTORS, queries)) > 0.95
    np.testing.assert_array_equal(rows, short.search(queries, 50)[1])
    truth = np.take_along_axis(queries @ VECTORS.T, rows, 1)  # of whole vectors, not of the codes
    np.testing.assert_allclose(scores, truth, atol=2e-3)


def test_codes_are_of_few_directions_only_where_these_are_enough(monkeypatch):
    monkeypatch.setattr(fast_index, "FLAT_BELOW", 1000)
    random = np.random.default_rng(2)
    bases = {24: np.linalg.qr(random.normal(size=(DIM, 24)))[0].T, DIM: np.eye(DIM)}
    sizes = {}
    for rank, basis in bases.items():
        rows = (random.normal(size=(3000, rank)) @ basis).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        found, facts = fitted(rows, Words())
        assert found is not None and facts.recall >= fast_index.LEAST_RECALL
        sizes[rank] = found.dump()
    whole = FastScanIndex(DIM)
    whole.add(VECTORS)
    assert len(sizes[24]) < len(sizes[DIM]) == len(whole.dump())


def test_small_galleries_are_searched_exactly():
    assert fitted(VECTORS, Words()) == (None, FLAT)


def test_the_depth_is_the_least_that_finds_enough_and_is_measured_on_other_queries(monkeypatch):
    monkeypatch.setattr(fast_index, "FLAT_BELOW", 1000)
    found, facts = fitted(VECTORS, Words())
    assert found is not None and facts.kind == "fast-scan"
    assert facts.recall >= fast_index.LEAST_RECALL and facts.queries == fast_index.QUERIES // 2
    assert found.depth == facts.depth in fast_index.DEPTHS
    # the least: the depth before it loses more than half of what may be lost
    before = fast_index.DEPTHS[: fast_index.DEPTHS.index(found.depth)]
    queries = composed(VECTORS, WORDS, fast_index.QUERIES)[: facts.queries]
    truth = nearest(VECTORS, queries)
    for found.depth in before:
        assert shared(found.search(queries, 50)[1], truth) < fast_index.WANTED_RECALL
    # where no depth finds enough, search is exact rather than wrong
    monkeypatch.setattr(fast_index, "DEPTHS", (1,))
    assert fitted(VECTORS, Words()) == (None, FLAT)


def test_composed_queries_lie_between_pictures_and_texts():
    queries = composed(VECTORS, WORDS, 40)
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), 1, atol=1e-5)
    assert (queries @ VECTORS.T).max(1).mean() < 0.98  # none is a picture of the gallery
    assert np.array_equal(queries, composed(VECTORS, WORDS, 40))


class _Source:
    name = "many"
    gallery_ids = tuple(f"p{n:04d}" for n in range(3000))


def _save(folder):
    index, facts = fitted(VECTORS, Words())
    save_build(
        folder,
        name="many",
        ids=_Source.gallery_ids,
        vectors=VECTORS,
        space="toy",
        preprocessing="none",
        extra={fast_index.FILE: index.dump()},
        facts={"index": facts.told()},
    )


def test_a_gallery_keeps_its_index_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(fast_index, "FLAT_BELOW", 1000)
    _save(tmp_path)
    gallery = Gallery.open(tmp_path, _Source())
    assert gallery.about["index"]["recall"] >= 0.99
    exact = Gallery(
        name="many", ids=_Source.gallery_ids, vectors=VECTORS, space="toy", source=_Source()
    )
    queries = composed(VECTORS, WORDS, 20, seed=9)
    same = []
    for query in queries:
        asked = Composed(vector=query, space="toy")
        mine, theirs = (g.search(asked, 50, exclude="p0003") for g in (gallery, exact))
        same.append(len(set(mine.ids) & set(theirs.ids)) / 50)
        known = {c.image_id: c.score for c in theirs.candidates}
        for c in mine.candidates:  # scores are exact whatever index found them
            assert c.score == pytest.approx(known.get(c.image_id, c.score), abs=1e-6)
        assert "p0003" not in mine.ids
    assert np.mean(same) >= 0.98


def test_vectors_stay_on_disk_and_a_changed_byte_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(fast_index, "FLAT_BELOW", 1000)
    _save(tmp_path)
    manifest, _, vectors = read_build(tmp_path)
    assert isinstance(vectors, np.memmap) and np.array_equal(vectors, VECTORS)
    kept = Gallery.open(tmp_path, _Source()).vectors
    assert isinstance(kept if kept.base is None else kept.base, np.memmap | mmap.mmap)  # no copy
    assert json.loads((tmp_path / "manifest.json").read_text())["index"] == manifest["index"]
    path = tmp_path / fast_index.FILE
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)
    with pytest.raises(CirError, match=r"index\.faiss has checksum"):
        read_build(tmp_path)
