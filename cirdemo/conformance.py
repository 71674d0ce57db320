"""`check`: does a method keep a composer's contract; `doctor`: what can run here, or why not."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cirdemo import coarse
from cirdemo.retrieve import compose_many
from cirdemo.types import CirError, Composed, Query, Ranking

if TYPE_CHECKING:
    from cirdemo.config import Settings
    from cirdemo.engine import Engine

LENGTH = 50  # pictures of a list that are looked at
QUERIES = 3  # composed twice each, one by one and in a batch: seconds, not minutes
PACKAGES = (
    "torch",
    "torchvision",
    "open_clip_torch",
    "transformers",
    "peft",
    "faiss-cpu",
    "gradio",
)


def check(engine: Engine, method: str, *, gallery: str = "fables") -> dict[str, Any]:
    """Compose a few validation queries and look at what comes back.

    Returns:
        {"method", "verdict": "passed" | "failed" | "not compatible", "checks": [{"name",
        "verdict", "detail"}]}. Not compatible: it cannot run here, or is of another space.

    Raises:
        UnknownName: The method or the gallery does not exist.
    """
    name = "intersection" if method == "setr" else method  # SETR's list is intersection's
    members = coarse.composers_of(engine.parts, name)
    shelf = engine.gallery(gallery)
    reason = engine.methods().get(method) or coarse.why_not(engine.parts, name)
    if reason is not None:
        return _verdict(method, [_line("can run", "not compatible", reason)])
    triplets = list(engine.dataset(gallery).triplets("val"))[:QUERIES]
    queries = [
        Query(
            query_id=t.query_id,
            reference=shelf.image(t.reference_id),
            modification=t.modification,
            reference_id=t.reference_id,
        )
        for t in triplets
    ]
    try:
        composers = [engine.composer(m) for m in members]
        answers = [c.compose(q) for c in composers for q in queries]
        again = [c.compose(q) for c in composers for q in queries]
        batch = [a for c in composers for a in compose_many(c, queries)]
    except CirError as error:
        return _verdict(method, [_line("can run", "not compatible", str(error))])
    if odd := next((a.space for a in answers if a.space != shelf.space), None):
        detail = f"vectors are of {odd!r}, the gallery of {shelf.space!r}"
        return _verdict(method, [_line("space", "not compatible", detail)])
    dim = shelf.vectors.shape[1]
    found = f"{answers[0].vector.shape} {answers[0].vector.dtype}" if answers else "no val queries"
    fits = bool(answers) and all(
        a.vector.shape == (dim,) and a.vector.dtype == np.float32 for a in answers
    )
    lines = [_line("shape", fits, f"must be ({dim},) float32, got {found}")]
    if not fits:
        return _verdict(method, lines)  # nothing can be searched with it
    vectors = np.stack([a.vector for a in answers])  # (Q, D)
    ranked, again_ranked = (
        [
            coarse.rank(engine.parts, shelf, name, row, LENGTH, exclude=query.reference_id)
            for query, row in zip(queries, _by_query(members, some, len(queries)), strict=True)
        ]
        for some in (answers, again)
    )
    norms = np.linalg.norm(vectors, axis=1)  # (Q,)
    lines += [
        _line("finite", bool(np.isfinite(vectors).all()), "no NaN, no infinity"),
        _line("unit norm", bool((abs(norms - 1.0) < 1e-4).all()), "within 1e-4"),
        _line("deterministic", _same(answers, again, 1e-6), "twice the same query, within 1e-6"),
        _line("batch", _same(answers, batch, 1e-3), "batch = one by one, within 1e-3"),
        _line(
            "ranking",
            all(_holds(r, q) for r, q in zip(ranked, queries, strict=True)),
            "scores that are numbers and fall, no reference and no picture twice in the list",
        ),
        _line(
            "same scores",
            all(
                np.allclose(_scores(a), _scores(b), atol=1e-5)
                for a, b in zip(ranked, again_ranked, strict=True)
            ),
            "twice the same query, within 1e-5",
        ),
    ]
    return _verdict(method, lines)


def _by_query(
    members: Sequence[str], answers: Sequence[Composed], queries: int
) -> list[dict[str, Composed]]:
    """Answers, member by member, as one table of members a query."""
    return [dict(zip(members, answers[n::queries], strict=True)) for n in range(queries)]


def _scores(ranking: Ranking) -> np.ndarray:
    return np.array([c.score for c in ranking.candidates])


def _holds(ranking: Ranking, query: Query) -> bool:
    """Whether a list is one: something in it, in order, and nothing that must not be."""
    ids, scores = ranking.ids, _scores(ranking)
    unique = len(set(ids)) == len(ids) > 0 and query.reference_id not in ids
    return unique and bool(np.isfinite(scores).all() and (np.diff(scores) <= 0).all())


def _same(some: list[Composed], others: list[Composed], tolerance: float) -> bool:
    return len(some) == len(others) and all(
        np.allclose(a.vector, b.vector, atol=tolerance) for a, b in zip(some, others, strict=True)
    )


def _line(name: str, verdict: str | bool, detail: str) -> dict[str, str]:
    if isinstance(verdict, bool):
        verdict = "passed" if verdict else "failed"
    return {"name": name, "verdict": verdict, "detail": detail}


def _verdict(method: str, lines: list[dict[str, str]]) -> dict[str, Any]:
    found = {line["verdict"] for line in lines}
    worst = next((v for v in ("failed", "not compatible") if v in found), "passed")
    return {"method": method, "verdict": worst, "checks": lines}


def doctor(settings: Settings, engine: Engine) -> dict[str, Any]:
    """Versions, machine, profile, checkpoints, galleries, and what can run; loads no model."""
    from cirdemo.config import PROFILES

    home = settings.checkpoints / settings.profile
    folders = sorted(p for p in home.iterdir() if p.is_dir()) if home.is_dir() else []
    return {
        "versions": {"python": platform.python_version(), **{p: _version(p) for p in PACKAGES}},
        "machine": {
            "cores": len(os.sched_getaffinity(0)),
            "memory_gib": _memory("MemTotal"),
            "free_gib": _memory("MemAvailable"),
            "platform": platform.platform(),
        },
        "profile": settings.profile,
        "profiles": {name: profile.purpose for name, profile in PROFILES.items()},
        "folders": {
            "assets": str(settings.assets),
            "checkpoints": str(settings.checkpoints),
            "cache": str(settings.cache),
        },
        "checkpoints": {p.name: {"mib": _mib(p)} for p in folders},
        "galleries": list(engine.galleries()),
        "methods": {
            name: {"runs": reason is None, "why_not": reason}
            for name, reason in engine.methods().items()
        },
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _memory(key: str) -> float | None:
    """A line of /proc/meminfo in GiB; None where there is no such file."""
    file = Path("/proc/meminfo")
    for line in file.read_text().splitlines() if file.exists() else ():
        if line.startswith(key + ":"):
            return round(int(line.split()[1]) / 2**20, 1)
    return None


def _mib(folder: Path) -> float:
    return round(sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 2**20, 1)
