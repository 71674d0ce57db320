"""Requirement 15: an index file is opened only behind a manifest that names its very bytes.

Galleries of strangers cannot be brought along at all: nothing on the page or in the API takes an
index, and in public mode no folder either. A build copied from elsewhere with a manifest of its
own is trusted as its maker is; SECURITY.md says so.
"""

import ast
import json
import os
import random
from pathlib import Path

import numpy as np
import pytest

from cirdemo.gallery import fast_index, files
from cirdemo.gallery.items import Item
from cirdemo.gallery.own import Own
from cirdemo.types import CirError
from tests.safety import figures

MUTANTS = 500 if os.environ.get("CIRDEMO_NIGHTLY") else 60
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """A build with an index of short codes beside its vectors."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(400, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = fast_index.FastScanIndex(8)
    index.add(vectors)
    items = [
        Item(image_id=f"{n:03d}", sha256=f"{n:064x}", width=8, height=8, size=9, at=f"/x/{n}")
        for n in range(400)
    ]
    own = Own(tmp_path_factory.mktemp("own"))
    extra = {"signatures.bin": bytes(1600), "left_out.json": b"[]", "near.json": b"[]"}
    facts = {"kind": "fast-scan", "depth": fast_index.DEPTHS[0], "recall": 1.0, "queries": 1}
    own.home("mine").publish(
        items,
        vectors,
        {**extra, fast_index.FILE: index.dump()},
        space="s",
        preprocessing="p",
        built="now",
        index=facts,
    )
    return own.home("mine")


def test_a_good_index_is_opened(build):
    found = build.read()
    index = fast_index.opened(found.folder, found.manifest)
    scores, rows = index.search(found.vectors[:5], 10)
    assert (rows[:, 0] == np.arange(5)).all() and np.isfinite(scores).all()


def test_no_mutant_reaches_faiss(build, monkeypatch):
    folder = build.folder / "builds" / build.current()["build"]
    path, rng = folder / fast_index.FILE, random.Random(0)
    whole = path.read_bytes()
    reached = []
    monkeypatch.setattr(fast_index.faiss, "read_index", lambda *a: reached.append(a))
    try:
        for n in range(MUTANTS):
            bad = bytearray(whole)
            for _ in range(rng.randrange(1, 5)):
                at = rng.randrange(200 if n % 2 else len(bad))  # the head decides about sizes
                bad[at] ^= rng.randrange(1, 256)
            path.write_bytes(bad if n % 5 else whole[: rng.randrange(len(whole))])
            with pytest.raises(CirError, match="damaged"):
                found = build.read()
                fast_index.opened(found.folder, found.manifest)
    finally:
        path.write_bytes(whole)
    assert reached == []
    figures.tell(15, "altered index files", f"{MUTANTS} of {MUTANTS} refused before faiss saw them")


@pytest.mark.parametrize(
    "change",
    [{"depth": 0}, {"depth": 10**9}, {"depth": "1"}],
)
def test_a_manifest_may_not_ask_for_more_than_a_build_writes(build, change):
    found = build.read()
    manifest = json.loads(json.dumps(dict(found.manifest)))
    manifest["index"].update(change)
    with pytest.raises(CirError, match="index"):
        fast_index.opened(found.folder, manifest)


@pytest.mark.parametrize("change", [{"count": 399}, {"dim": 10}, {"extra": {}}])
def test_an_index_of_another_gallery_is_refused(build, change):
    found = build.read()
    with pytest.raises(CirError, match="index"):
        fast_index.opened(found.folder, {**found.manifest, **change})


def test_index_files_are_read_in_one_place():
    for path in sorted((ROOT / "cirdemo").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and "read_index" in ast.unparse(node.func):
                assert path.name == "fast_index.py", path
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.load":
                given = {k.arg: ast.unparse(k.value) for k in node.keywords}
                assert given.get("allow_pickle", "False") == "False", path
    assert files.FORMAT >= 1
