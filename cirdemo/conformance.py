"""`check`: does a method, or an encoder's preprocessing, keep its word; `doctor`: what can run."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cirdemo import coarse
from cirdemo.fitness import fitness, memory
from cirdemo.intake import SUFFIXES, load_image
from cirdemo.retrieve import compose_many
from cirdemo.types import BadInput, CirError, Composed, Query, Ranking

if TYPE_CHECKING:
    from cirdemo.config import Settings
    from cirdemo.engine import Engine
    from cirdemo.models.preprocessing import Preprocessing

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


def check_tensors(
    preprocessing: Preprocessing,
    tensors: np.ndarray,
    folder: Path,
    names: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Hold the tensors that an encoder's preprocessing makes of pictures against given ones.

    Args:
        preprocessing: Of the encoder.
        tensors: (N, 3, H, W) what somebody else's code made of the pictures.
        folder: With the pictures; each is opened as everywhere here, upright and RGB.
        names: Of the pictures, with or without their suffix, in the tensors' order; all pictures
            of the folder, by name, unless given.

    Returns:
        {"encoder", "preprocessing", "verdict": "passed" | "failed", "checks": [{"name",
        "verdict", "detail", "equal", "most"}]}; `equal` is the share of values that are equal to
        the bit, `most` the greatest difference.

    Raises:
        BadInput: Pictures and tensors do not fit each other, or a picture cannot be read.
    """
    files = _picture_files(folder, names)
    if len(files) != len(tensors):
        raise BadInput(
            f"There are {len(tensors)} tensors and {len(files)} pictures in '{folder}'. Give a "
            "folder with these pictures alone, or put their names, in order, into the .npz file "
            "as the array 'names'."
        )
    lines = []
    for file, wanted in zip(files, tensors, strict=True):
        made = preprocessing.pixels([load_image(file)])[0]  # (3, H, W)
        if made.shape != wanted.shape:
            detail = f"the shape is {made.shape}, the tensor's {wanted.shape}"
            lines.append(_line(file.name, False, detail) | {"equal": 0.0, "most": None})
            continue
        equal = float((made == wanted).mean())
        most = float(np.abs(made.astype(np.float64) - wanted).max())
        detail = f"equal to the bit: {made.size} values"
        if equal < 1:
            detail = f"{100 * (1 - equal):.2f} % of the values differ, by up to {most:.3g}"
        lines.append(_line(file.name, equal == 1, detail) | {"equal": equal, "most": most})
    failed = any(line["verdict"] == "failed" for line in lines)
    return {
        "encoder": preprocessing.source,
        "preprocessing": preprocessing.about,
        "verdict": "failed" if failed else "passed",
        "checks": lines,
    }


def _picture_files(folder: Path, names: Sequence[str] | None) -> list[Path]:
    """The pictures of a folder by name, or those of the names in their order."""
    if not folder.is_dir():
        raise BadInput(f"There is no folder '{folder}'.")
    there = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    if names is None:
        return there
    by_name = {p.stem: p for p in there} | {p.name: p for p in there}
    if lost := [n for n in names if n not in by_name]:
        raise BadInput(f"'{folder}' has no picture '{lost[0]}' ({len(lost)} of them are absent).")
    return [by_name[name] for name in names]


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


def _line(name: str, verdict: str | bool, detail: str) -> dict[str, Any]:
    if isinstance(verdict, bool):
        verdict = "passed" if verdict else "failed"
    return {"name": name, "verdict": verdict, "detail": detail}


def _verdict(method: str, lines: list[dict[str, Any]]) -> dict[str, Any]:
    found = {line["verdict"] for line in lines}
    worst = next((v for v in ("failed", "not compatible") if v in found), "passed")
    return {"method": method, "verdict": worst, "checks": lines}


def doctor(settings: Settings, engine: Engine) -> dict[str, Any]:
    """Versions, machine, profile, checkpoints, galleries, and what can run; loads no model."""
    home = settings.checkpoints / settings.profile
    folders = sorted(p for p in home.iterdir() if p.is_dir()) if home.is_dir() else []
    return {
        "versions": {"python": platform.python_version(), **{p: _version(p) for p in PACKAGES}},
        "machine": {
            "cores": len(os.sched_getaffinity(0)),
            "memory_gib": memory("MemTotal"),
            "free_gib": memory("MemAvailable"),
            "platform": platform.platform(),
        },
        "profile": settings.profile,
        "profiles": fitness(settings),
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


def _mib(folder: Path) -> float:
    return round(sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 2**20, 1)
