"""Requirement 33: what is in Milvus agrees with the gallery, is made again from it, and is waited
for with an end.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cirdemo.bench import geometry
from cirdemo.data import folder
from cirdemo.gallery import milvus
from cirdemo.gallery.faiss_index import FlatIndex
from cirdemo.gallery.milvus import Place
from cirdemo.gallery.milvus_index import MilvusIndex
from cirdemo.gallery.opened import open_own
from cirdemo.types import CirError, Composed
from tests.fixtures_pictures import write_folder
from tests.test_ui_gallery import engine_of

ROOT = Path(__file__).resolve().parents[2]
DIM = 64
WRITER = """
import sys, time
from cirdemo.bench import geometry
from cirdemo.gallery import milvus
from cirdemo.gallery.milvus import Place
from cirdemo.gallery.milvus_index import MilvusIndex
milvus.BATCH_BYTES = 4 * 64 * 50  # fifty rows at a time, so that a kill hits between two
connect, left = milvus.connect, int(sys.argv[2]) + 2  # some more, so that a kill hits anywhere

def watched(uri):
    client = connect(uri)
    insert = client.insert
    def told(*args, **named):
        global left
        insert(*args, **named)
        print("rows", flush=True)
        left -= 1
        if not left:
            time.sleep(600)  # until it is killed
    client.insert = told
    return client

milvus.connect = watched
vectors = geometry.gallery(3000, 64, seed=1)
place = Place.of(sys.argv[1], gallery="mine", space="toy", vectors=vectors)
MilvusIndex(place, vectors, dict).ready()
"""


def test_a_kill_while_rows_are_written_leaves_a_gallery_that_is_made_whole(tmp_path):
    vectors = geometry.gallery(3000, DIM, seed=1)
    place = Place.of(str(tmp_path / "k.db"), gallery="mine", space="toy", vectors=vectors)
    for batches in (1, 20):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, place.uri, str(batches)],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            text=True,
        ) as worker:
            try:
                for _ in range(batches):
                    assert worker.stdout.readline() == "rows\n"
            finally:
                worker.send_signal(signal.SIGKILL)
        client = milvus.connect(place.uri)
        assert 50 * batches <= milvus.count(client, place) < len(vectors)
        client.close()
        _release(place.uri)
    index = MilvusIndex(place, vectors, dict)
    assert milvus.count(index.ready(), place) == len(vectors)
    exact = FlatIndex(DIM)
    exact.add(vectors)
    queries = geometry.gallery(100, DIM, seed=2)
    np.testing.assert_array_equal(index.search(queries, 10)[1], exact.search(queries, 10)[1])


def _release(path):
    """Let another process open the file."""
    from milvus_lite.server_manager import server_manager_instance

    server_manager_instance.release_server(path)


@pytest.fixture
def built(tmp_path):
    """An engine whose gallery is in Milvus, and the file."""
    engine, photos = engine_of(tmp_path / "own"), write_folder(tmp_path / "photos", 40)
    path = tmp_path / "g.db"
    list(engine.index("mine", folder.pictures_at(photos), store=f"milvus:{path}"))
    return engine, path


def ids(shelf):
    query = Composed(vector=shelf.vectors[0], space="quarters")
    return shelf.search(query, 10).ids


def test_a_file_that_is_gone_or_short_is_written_again(built):
    import shutil

    engine, path = built
    home = engine.own().home("mine")
    wanted = ids(open_own(home, "quarters"))
    _release(str(path))
    shutil.rmtree(path)
    assert ids(open_own(home, "quarters")) == wanted
    shelf = open_own(home, "quarters")
    place = shelf.index.place
    shelf.index.ready().delete(
        place.collection, ids=[place.first + 3], partition_name=place.partition
    )
    assert milvus.count(shelf.index.ready(), place) == 39
    again = open_own(home, "quarters")
    assert milvus.count(again.index.ready(), place) == 40 and ids(again) == wanted


def test_rows_are_on_disk_before_the_gallery_names_them(built, monkeypatch):
    engine, path = built
    said = []
    connect = milvus.connect

    def watched(uri):
        client = connect(uri)
        flush = client.flush
        client.flush = lambda *a, **k: (flush(*a, **k), said.append("flushed"))
        return client

    home = engine.own().home("mine")
    publish = type(home).publish
    monkeypatch.setattr(milvus, "connect", watched)
    monkeypatch.setattr(
        type(home), "publish", lambda *a, **k: (said.append("named"), publish(*a, **k))
    )
    photos = write_folder(path.parent / "others", 12)
    list(engine.index("mine", folder.pictures_at(photos)))
    assert said == ["flushed", "named"]


@pytest.mark.parametrize("listens", [True, False], ids=["silent", "refuses"])
def test_a_server_that_does_not_answer_is_named_soon(tmp_path, monkeypatch, listens):
    monkeypatch.setattr(milvus, "CONNECT", 1.0)
    engine, photos = engine_of(tmp_path / "own"), write_folder(tmp_path / "photos", 5)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if listens:
            server.listen(8)
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(CirError, match=f"{uri} gives no answer.*--store faiss"):
            list(engine.index("mine", folder.pictures_at(photos), store=f"milvus:{uri}"))
    assert engine.parts.encoder.get().seen == 0  # said before anything was encoded


def test_a_server_that_goes_away_is_named_and_used_again_when_it_is_back(tmp_path, monkeypatch):
    from milvus_lite.adapter.grpc.server import start_server_in_thread

    monkeypatch.setattr(milvus, "CONNECT", 2.0)
    monkeypatch.setattr(milvus, "CALL", 2.0)
    where = {"data_dir": str(tmp_path / "s.db"), "host": "127.0.0.1"}
    server, db, port = start_server_in_thread(**where, port=0)
    engine, photos = engine_of(tmp_path / "own"), write_folder(tmp_path / "photos", 30)
    store = f"milvus:http://127.0.0.1:{port}"
    list(engine.index("mine", folder.pictures_at(photos), store=store))
    home = engine.own().home("mine")
    shelf = open_own(home, "quarters")
    wanted = ids(shelf)
    server.stop(grace=0).wait()
    db.close()
    with pytest.raises(CirError, match="gives no answer"):
        ids(shelf)
    away = open_own(home, "quarters")  # its pictures can be looked at meanwhile
    assert away.thumbnail(away.ids[0]).is_file()
    with pytest.raises(CirError, match="gives no answer"):
        ids(away)
    server, db, _ = start_server_in_thread(**where, port=port)
    try:
        assert ids(shelf) == ids(away) == wanted
    finally:
        server.stop(grace=0).wait()
        db.close()


def test_a_file_that_another_process_holds_is_named(built):
    engine, path = built
    home = engine.own().home("mine")
    _release(str(path))
    hold = (
        "import sys; from cirdemo.gallery import milvus; c = milvus.connect(sys.argv[1]); "
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        shelf = open_own(home, "quarters")
        with pytest.raises(CirError, match=r"g\.db cannot be used: another process holds it"):
            ids(shelf)
        holder.communicate(b"")
    assert len(ids(shelf)) == 10


def test_a_slow_opening_is_told(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(milvus, "TELL", 0.001)
    vectors = geometry.gallery(2000, DIM, seed=1)
    place = Place.of(str(tmp_path / "p.db"), gallery="mine", space="toy", vectors=vectors)
    with caplog.at_level(logging.INFO, "cirdemo"):
        MilvusIndex(place, vectors, dict).ready()
    assert any("opening" in r.message and "s so far" in r.message for r in caplog.records)
