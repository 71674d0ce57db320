"""`bench search`: the index that a gallery gets, against the ways vectors are usually searched.

Single queries on one thread: figures of batches and of many threads say little about a person who
waits. Larger galleries than are at hand are made up of vectors of CLIP-like geometry.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch

from cirdemo.bench import geometry
from cirdemo.bench.clock import Target, Times, interleaved, machine
from cirdemo.bench.tables import number, spread
from cirdemo.gallery import fast_index
from cirdemo.gallery.faiss_index import FlatIndex
from cirdemo.gallery.fast_index import FastScanIndex
from cirdemo.types import VectorIndex

DIM = 512
K = 50
QUERIES = 100  # composed, of which none chose or measured the index's depth
A_ROUND = 10  # single queries a round and variant
SIZES = (10_000, 50_000, 200_000)
MILLION = 1_000_000
TARGETS = {200_000: (20.0, 12.0), MILLION: (0.0, 10.0)}  # over torch, over FAISS flat
BYTES = 1_200  # a vector


class _Texts:
    """As much of an encoder as choosing an index needs."""

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        return geometry.texts(len(texts), DIM)


def bench(
    sizes: Sequence[int] = SIZES,
    *,
    rounds: int = 5,
    coarse: Callable[[int], dict[str, Times]] | None = None,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, Any]:
    """Every size in turn; at each, every way in turn.

    Args:
        sizes: Pictures of a gallery.
        rounds: Timed rounds of `A_ROUND` single queries each.
        coarse: Times the engine's coarse stage against encoding and search alone.
        tell: Called with (sizes done, sizes in all).
    """
    faiss.omp_set_num_threads(1)
    rows: list[dict[str, Any]] = []
    goals: list[Target] = []
    for done, size in enumerate(sizes):
        tell(done, len(sizes))
        found, times = _size(size, rounds)
        rows += found
        goals += targets(size, found, times)
    tell(len(sizes), len(sizes))
    report: dict[str, Any] = {
        "bench": "search",
        "k": K,
        "dim": DIM,
        "rounds": rounds,
        "machine": machine(1),
        "rows": rows,
    }
    if coarse is not None:
        times = coarse(rounds)
        ratio = times["stage"].over(times["alone"])
        goals.append(
            Target.of("coarse stage / encoding and search alone", ratio, 1.3, at_least=False)
        )
        report["coarse"] = {name: t.told() for name, t in times.items()}
    report["targets"] = [t.told() for t in goals]
    return report | {"tables": [_table(rows)], "notes": [_note(rounds)]}


def targets(size: int, rows: Sequence[dict[str, Any]], times: dict[str, Times]) -> Iterator[Target]:
    """What the figures of one size are held against."""
    chosen = next(row for row in rows if row["default"])
    name = f"{size:,}"
    yield Target(f"{name}: recall@{K}", chosen["recall@50"], fast_index.LEAST_RECALL, unit="")
    over_torch, over_flat = TARGETS.get(size, (0.0, 0.0))
    for other, least in (("torch", over_torch), ("flat", over_flat)):
        if least:
            yield Target.of(
                f"{name}: {WAYS[other]} / default", times[other].over(times["default"]), least
            )
    if chosen["kind"] != "flat":
        what = f"{name}: bytes a vector"
        yield Target(what, chosen["bytes_per_vector"], BYTES, at_least=False, unit="")


WAYS = {
    "torch": "torch matmul and topk",
    "flat": "FAISS flat",
    "default": "default",
}


def _size(size: int, rounds: int) -> tuple[list[dict[str, Any]], dict[str, Times]]:
    """The rows of one size, and the times behind them."""
    vectors = geometry.gallery(size, DIM)
    queries = fast_index.composed(vectors, geometry.texts(200, DIM, seed=7), QUERIES, seed=11)
    truth = fast_index.nearest(vectors, queries, K)
    start = time.perf_counter()
    flat = FlatIndex(DIM)
    flat.add(vectors)
    flat_seconds = time.perf_counter() - start
    start = time.perf_counter()
    index, facts = fast_index.fitted(vectors, _Texts())  # type: ignore[arg-type]
    seconds = time.perf_counter() - start if index is not None else flat_seconds
    default: VectorIndex = flat if index is None else index
    table = torch.from_numpy(vectors)

    def by_torch(rows: np.ndarray) -> np.ndarray:
        return np.stack([torch.topk(table @ torch.from_numpy(q), K).indices.numpy() for q in rows])

    def by(which: VectorIndex) -> Callable[[np.ndarray], np.ndarray]:
        return lambda rows: np.concatenate([which.search(q[None], K)[1] for q in rows])

    ways = {"torch": by_torch, "flat": by(flat), "default": by(default)}
    turns = {name: iter(range(10**6)) for name in ways}

    def some(name: str) -> np.ndarray:
        at = next(turns[name]) * A_ROUND % QUERIES
        return queries[at : at + A_ROUND]

    runs = {name: (lambda n=name, w=way: w(some(n))) for name, way in ways.items()}
    times = interleaved(runs, rounds)
    recalls = {name: fast_index.shared(way(queries), truth) for name, way in ways.items()}
    found = []
    for name, text in WAYS.items():
        kind = facts.kind if name == "default" else name
        told = times[name].told()
        found.append(
            {
                "kind": kind,
                "way": text,
                "default": name == "default",
                "n": size,
                "dim": DIM,
                "recall@50": recalls[name],
                "ms": 1000 * told["median"] / A_ROUND,
                "ms_spread": {key: 1000 * value / A_ROUND for key, value in told.items()},
                "build_seconds": {"default": seconds, "flat": flat_seconds}.get(name),
                "bytes_per_vector": _bytes(index, size) if name == "default" else 4.0 * DIM,
            }
        )
    found[-1] |= {"depth": facts.depth, "recall_at_build": facts.recall}
    found[-1]["open_seconds"] = _opened(index) if index is not None else None
    return found, times


def _bytes(index: FastScanIndex | None, size: int) -> float:
    return 4.0 * DIM if index is None else len(index.dump()) / size


def _opened(index: FastScanIndex) -> float:
    """Seconds until an index that lies on disk can be searched."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / fast_index.FILE
        path.write_bytes(index.dump())
        start = time.perf_counter()
        FastScanIndex.open(path, index.depth)
        return time.perf_counter() - start


def _table(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    head = [f"{DIM} wide, top {K}", "a query", "recall@50", "bytes a vector", "built in"]
    lines = []
    for row in rows:
        way = f"**default: {row['kind']}**" if row["default"] else row["way"]
        built = row["build_seconds"]
        lines.append(
            [
                f"{row['n']:,} pictures, {way}",
                spread(row["ms_spread"], "ms"),
                f"{row['recall@50']:.4f}",
                f"{row['bytes_per_vector']:,.0f}",
                number(built, "s") if built else "",
            ]
        )
    return {"head": head, "rows": lines}


def _note(rounds: int) -> str:
    return (
        f"Processor time of single queries on one thread, medians of {rounds} rounds of {A_ROUND} "
        f"(least–most). Recall on {QUERIES} composed queries that neither chose nor measured the "
        "index's depth at build."
    )
