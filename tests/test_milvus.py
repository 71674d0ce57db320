"""The index on Milvus: the same lists as exact search, filters, and a gallery that moves there."""

import json
import logging

import numpy as np
import pytest

from cirdemo.bench import geometry
from cirdemo.data import folder
from cirdemo.gallery import milvus, milvus_index
from cirdemo.gallery.faiss_index import FlatIndex
from cirdemo.gallery.milvus import Place, address
from cirdemo.gallery.milvus_index import MilvusIndex
from cirdemo.gallery.opened import open_own
from cirdemo.gallery.store import Gallery
from cirdemo.types import BadInput, CirError, Composed, VectorIndex
from tests.fixtures_pictures import write_folder
from tests.test_ui_gallery import engine_of

DIM = 32
VECTORS = geometry.gallery(600, DIM, seed=1)
QUERIES = geometry.gallery(20, DIM, seed=2)
IDS = tuple(f"{'sea' if n % 2 else 'city'}/p{n:04d}" for n in range(len(VECTORS)))
FIELDS = {"image_id": IDS, "width": list(range(len(VECTORS))), "height": [9] * len(VECTORS)}


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return str(tmp_path_factory.mktemp("milvus") / "all.db")


def place(uri, vectors, gallery="mine"):
    return Place.of(uri, gallery=gallery, space="toy", vectors=vectors)


@pytest.fixture(scope="module")
def index(uri):
    return MilvusIndex(place(uri, VECTORS), VECTORS, lambda: FIELDS)


def test_it_keeps_the_contract_and_finds_what_exact_search_finds(index):
    keeps: VectorIndex = index
    exact = FlatIndex(DIM)
    exact.add(VECTORS)
    assert len(keeps) == 600 and keeps.dim == DIM
    scores, rows = index.search(QUERIES, 50)
    truth = exact.search(QUERIES, 50)
    np.testing.assert_array_equal(rows, truth[1])
    np.testing.assert_allclose(scores, truth[0], atol=1e-5)


@pytest.mark.parametrize("bad", [np.zeros((2, 5)), np.full((1, DIM), np.nan), np.zeros(DIM)])
def test_it_refuses_what_the_exact_one_refuses(index, bad):
    with pytest.raises(ValueError, match="vectors must"):
        index.search(bad, 1)
    with pytest.raises(ValueError, match="at least 1"):
        index.search(VECTORS[:1], 0)


def test_more_than_there_is_comes_back_as_nothing(index):
    scores, rows = index.search(QUERIES[:1], 650)
    assert (rows[0, 600:] == -1).all() and np.isneginf(scores[0, 600:]).all()
    assert sorted(rows[0, :600]) == list(range(600))


def test_more_than_milvus_gives_at_once_is_asked_for_in_parts(index, monkeypatch):
    whole = index.search(QUERIES[:3], 300)
    monkeypatch.setattr(milvus_index, "MOST", 128)
    np.testing.assert_array_equal(index.search(QUERIES[:3], 300)[1], whole[1])


def test_builds_lie_in_partitions_of_one_collection_and_do_not_see_each_other(index, uri):
    index.ready()
    few = VECTORS[::7]
    other = MilvusIndex(place(uri, few, "other"), few, dict)
    assert other.place.collection == index.place.collection
    rows = other.search(QUERIES, 5)[1]
    assert rows.max() < len(few)
    np.testing.assert_array_equal(rows, np.argsort(-(QUERIES @ few.T), axis=1)[:, :5])
    milvus.drop(other.place)
    assert milvus.count(index.ready(), other.place) == 0
    assert milvus.count(index.ready(), index.place) == 600


def test_rows_can_be_added(uri):
    grown = MilvusIndex(place(uri, VECTORS, "grown"), VECTORS[:100], dict)
    assert grown.search(VECTORS[100:101], 1)[0][0, 0] < 0.999
    grown.add(VECTORS[100:110])
    assert grown.search(VECTORS[100:101], 1)[1][0, 0] == 100


class _Source:
    name = "toy"
    gallery_ids = IDS


@pytest.fixture
def galleries(index):
    about = {"name": "toy", "ids": IDS, "vectors": VECTORS, "space": "toy", "source": _Source()}
    return Gallery(**about), Gallery(**about, index=index)


def test_a_gallery_ranks_alike_to_the_last_bit_ties_included(index, uri, galleries):
    for query in QUERIES:
        composed = Composed(vector=query, space="toy")
        exact, found = (one.search(composed, 20, exclude=IDS[3]) for one in galleries)
        assert found.ids == exact.ids
        np.testing.assert_allclose(
            [c.score for c in found.candidates], [c.score for c in exact.candidates], atol=1e-6
        )
    same = np.repeat(VECTORS[:4], 30, axis=0)  # thirty equal pictures: a tie across any cut
    ids = [f"p{n:03d}" for n in np.random.default_rng(0).permutation(120)]
    tied = {"name": "t", "ids": ids, "vectors": same, "space": "toy", "source": _Source()}
    there = MilvusIndex(place(uri, same, "ties"), same, dict)
    composed = Composed(vector=VECTORS[0], space="toy")
    assert (
        Gallery(**tied, index=there).search(composed, 10).ids
        == Gallery(**tied).search(composed, 10).ids
    )


def test_filters_name_fields_of_the_pictures(galleries):
    exact, shelf = galleries
    composed = Composed(vector=QUERIES[0], space="toy")
    found = shelf.search(composed, 10, where='image_id like "sea/%" and width < 40').ids
    wanted = [i for i in exact.search(composed, 600).ids if i in IDS[1:40:2]][:10]
    assert list(found) == wanted
    few = shelf.search(composed, 10, where="width >= 597").ids
    assert len(few) == 3
    with pytest.raises(BadInput, match=r"does not understand the filter 'colour'.*image_id, width"):
        shelf.search(composed, 10, where="colour")
    assert shelf.search(composed, 1).ids == exact.search(composed, 1).ids  # and it goes on
    with pytest.raises(BadInput, match="knows no filters"):
        exact.search(composed, 1, where="width > 1")


@pytest.mark.parametrize(
    ("store", "says"),
    [
        ("qdrant", "names no store"),
        ("milvus:", "names no store"),
        ("milvus:ftp://host/x.db", "names no store"),
        ("milvus:/no/such/folder/x.db", "no folder"),
        ("milvus:http://me:secret@host:19530", "CIRDEMO_MILVUS_TOKEN"),
    ],
)
def test_a_store_that_cannot_be_is_refused_in_words(store, says):
    with pytest.raises(BadInput, match=says) as told:
        address(store)
    assert "secret" not in str(told.value)


def test_a_missing_package_is_named_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pymilvus", None)
    with pytest.raises(CirError, match="pip install pymilvus milvus-lite"):
        milvus.connect(str(tmp_path / "x.db"))


def test_a_gallery_moves_to_milvus_stays_there_and_moves_back(tmp_path, caplog):
    engine, photos = engine_of(tmp_path / "own"), write_folder(tmp_path / "photos", 60)
    store = f"milvus:{tmp_path / 'g.db'}"

    def built(**options):
        *_, last = engine.index("mine", folder.pictures_at(photos), **options)
        return last.report.index

    home = engine.own().home("mine")
    assert built()["kind"] == "flat"
    exact = open_own(home, "quarters")
    facts = built(store=store)
    assert facts["kind"] == "milvus" and facts["recall"] == 1.0
    there = open_own(home, "quarters")
    assert isinstance(there.index, MilvusIndex)
    assert there.about["index"]["uri"] == str(tmp_path / "g.db")
    for image_id in exact.ids[:10]:
        query = Composed(vector=exact.vector(image_id), space="quarters")
        assert there.search(query, 20).ids == exact.search(query, 20).ids
    wide = there.search(query, 60, where='width == 48 and image_id like "year 1/%"').ids
    assert wide and all(i.startswith("year 1/") for i in wide)
    first = Place.read(facts)
    (photos / "extra.jpg").write_bytes(next(photos.rglob("*.jpeg")).read_bytes())
    second = Place.read(built())  # nothing said: it stays in Milvus
    assert second.partition != first.partition
    client = there.index.ready()
    assert milvus.count(client, second) == 61
    assert milvus.count(client, first) == 60  # of the build before, which is kept
    assert built(store="faiss")["kind"] == "flat"
    assert milvus.count(client, first) == 0
    with caplog.at_level(logging.WARNING):
        engine.own().delete("mine")
    assert milvus.count(client, second) == 0 and not caplog.records


def test_the_command_line_says_where_a_gallery_is_searched(tmp_path, capsys, monkeypatch):
    from cirdemo.cli import main

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    photos = write_folder(tmp_path / "photos", 20)
    make = {"make_engine": lambda settings: engine_of(tmp_path / "own")}
    words = ["index", str(photos), "--name", "mine", "--store"]
    assert main([*words, f"milvus:{tmp_path / 'g.db'}"], **make) == 0
    assert f"search: Milvus at {tmp_path / 'g.db'}, recall@50 1.000" in capsys.readouterr().out
    assert main([*words, "elastic", "--json"], **make) == 2
    assert "names no store" in json.loads(capsys.readouterr().out)["error"]["message"]
