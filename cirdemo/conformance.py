"""`check`: does a method keep a composer's contract; `doctor`: what can run here, or why not."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cirdemo.parts import named
from cirdemo.retrieve import compose_many
from cirdemo.types import CirError, Composed, Query

if TYPE_CHECKING:
    from cirdemo.config import Settings
    from cirdemo.engine import Engine

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
    name = "intersection" if method == "setr" else method  # SETR's vector is intersection's
    part = named("method", name, engine.parts.composers)
    shelf = engine.gallery(gallery)
    reason = engine.methods().get(method) or part.why_not()
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
        composer = part.get()
        answers = [composer.compose(q) for q in queries]
        again = [composer.compose(q) for q in queries]
        batch = compose_many(composer, queries)
    except CirError as error:
        return _verdict(method, [_line("can run", "not compatible", str(error))])
    if any(a.space != shelf.space for a in answers):
        detail = f"vectors are of {answers[0].space!r}, the gallery of {shelf.space!r}"
        return _verdict(method, [_line("space", "not compatible", detail)])
    dim = shelf.vectors.shape[1]

    def every(test: Callable[[Composed], bool]) -> bool:
        return bool(answers) and all(test(a) for a in answers)

    def rankings_hold() -> bool:
        for query, answer in zip(queries, answers, strict=True):
            ids = shelf.search(
                answer, 50, exclude=query.reference_id, query_id=query.query_id, method=method
            ).ids
            if query.reference_id in ids or len(set(ids)) != len(ids) or not ids:
                return False
        return True

    wanted = f"({dim},) float32"
    got = f"{answers[0].vector.shape} {answers[0].vector.dtype}" if answers else "no val queries"
    tests = [
        (
            "shape",
            every(lambda a: a.vector.shape == (dim,) and a.vector.dtype == np.float32),
            f"must be {wanted}, got {got}",
        ),
        ("finite", every(lambda a: bool(np.isfinite(a.vector).all())), "no NaN, no infinity"),
        (
            "unit norm",
            every(lambda a: abs(float(np.linalg.norm(a.vector)) - 1.0) < 1e-4),
            "within 1e-4",
        ),
        ("deterministic", _same(answers, again, 1e-6), "twice the same query, within 1e-6"),
        ("batch", _same(answers, batch, 1e-3), "batch = one by one, within 1e-3"),
        ("ranking", rankings_hold(), "no reference and no picture twice in the list"),
    ]
    return _verdict(method, [_line(n, "passed" if ok else "failed", d) for n, ok, d in tests])


def _same(some: list[Composed], others: list[Composed], tolerance: float) -> bool:
    return len(some) == len(others) and all(
        np.allclose(a.vector, b.vector, atol=tolerance) for a, b in zip(some, others, strict=True)
    )


def _line(name: str, verdict: str, detail: str) -> dict[str, str]:
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
