"""What a visitor has open in the Benchmark tab, and what the tab hands out as files."""

from __future__ import annotations

import csv
import functools
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cirdemo.evaluate import opened as evaluations
from cirdemo.evaluate import reliability
from cirdemo.evaluate.failures import Filter
from cirdemo.evaluate.opened import Opened
from cirdemo.evaluate.packed import PACKED
from cirdemo.results import csv_lines
from cirdemo.types import BadInput, UnknownName

STORED, RUN, UPLOADED = "stored", "run", "uploaded"  # where an evaluation comes from
KEPT = 8  # evaluations that one visitor may have made or opened; the oldest goes first
FIGURES = {  # name -> what it shows
    "recall": "Recall",
    "gap": "Composition gap",
    "kinds": "Kinds",
    "phrasing": "Phrasing",
    "judge": "Reliability",
    "thresholds": "Thresholds",
    "errors": "Blames",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is looked at in the failure browser."""

    asked: Filter = field(default_factory=Filter)
    picked: str = ""  # a query id
    page: int = 0

    def changed(self, **changes: Any) -> Look:
        """With something else; a new filter starts at its first page."""
        return replace(self, **changes)


@dataclass(eq=False)
class Desk:
    """One visitor's own evaluations, by key, newest last."""

    made: dict[str, tuple[str, Opened]] = field(default_factory=dict)  # key -> label, evaluation
    job: Any = None  # a `benchmark_run.Job` while one runs
    count: int = 0

    def add(self, origin: str, found: Opened) -> str:
        """Keep an evaluation; its key."""
        self.count += 1
        key = f"{origin}:{self.count}"
        self.made[key] = (label(found, f"{origin} {self.count}"), found)
        while len(self.made) > KEPT:
            self.made.pop(next(iter(self.made)))
        return key


def label(found: Opened, origin: str) -> str:
    """'fables · test · 600 queries (stored)'."""
    report = found.report
    count = f"{report['queries']} queries"
    if found.partial:
        count = f"{report['queries']} of {report['planned']} queries"
    return f"{report['dataset']} · {report['split']} · {count} ({origin})"


@functools.lru_cache(maxsize=16)
def _load(path: Path, written: float) -> Opened:
    return evaluations.load(path)


@dataclass(frozen=True)
class Stored:
    """The evaluations of a folder, and a visitor's own beside them."""

    folder: Path

    def choices(self, desk: Desk | None) -> list[tuple[str, str]]:
        """Label and key of each; a stored file that cannot be read is left out."""
        found = []
        for name in evaluations.stored(self.folder):
            try:
                found.append((label(self.get(desk, name), STORED), name))
            except BadInput:
                continue
        own = desk.made.items() if desk else ()
        return [*found, *((text, key) for key, (text, _) in own)]

    def get(self, desk: Desk | None, key: str | None) -> Opened:
        """An evaluation by its key.

        Raises:
            UnknownName: It is not there, or not any more.
        """
        if desk and key in desk.made:
            return desk.made[key][1]
        paths = evaluations.stored(self.folder)
        if not key or key not in paths:
            raise UnknownName("That evaluation is not open any more; pick another one.")
        return _load(paths[key], paths[key].stat().st_mtime)


def judged_of(found: Opened) -> list[tuple[float, bool]]:
    """P(Yes) as judged, and truth, of every judged candidate."""
    pairs = reliability.judged(found.cases) if found.cases else None
    if pairs is None:
        return []
    p = pairs.probabilities(pairs.temperature)
    return list(zip(p.tolist(), pairs.right.tolist(), strict=True))


def picture(found: Opened, name: str, kind: str) -> bytes:
    """A figure as a file's contents.

    Raises:
        BadInput: The evaluation has no numbers for it.
    """
    from cirdemo.evaluate.figures import figure  # matplotlib takes a second to import

    judged = judged_of(found) if name in ("judge", "thresholds") else []
    data = figure(name, found.report, judged, kind)
    if data is None:
        raise BadInput(f"This evaluation has no numbers for the figure “{FIGURES[name]}”.")
    return data


def contents(found: Opened, kind: str, name: str = "recall") -> tuple[str, bytes]:
    """The name and the contents of a file to download: json, csv, zip, png, svg, temperature."""
    stem = found.stem
    if kind in ("png", "svg"):
        return f"{stem}-{name}.{kind}", picture(found, name, kind)
    if kind == "csv":
        return f"{stem}.csv", _csv(found.report)
    if kind == "json":
        return f"{stem}.json", _json(found.report)
    if kind == "temperature":
        return "calibration.json", _json(temperature(found))
    if kind != "zip":
        raise BadInput(f"There is no file of kind {kind!r}.")
    files = {f"{stem}.json": _json(found.report), f"{stem}.csv": _csv(found.report)}
    if found.packed:
        files[stem + PACKED] = found.packed
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return f"{stem}.zip", buffer.getvalue()


def temperature(found: Opened) -> Mapping[str, Any]:
    """The temperature fitted on an evaluation's candidates, in the form of the judge's own file.

    Raises:
        BadInput: Nothing was judged, or there is nothing to tell apart.
    """
    pairs = reliability.judged(found.cases) if found.cases else None
    fitted = reliability.fit(pairs) if pairs else None
    if pairs is None or fitted is None:
        raise BadInput("A temperature needs judged candidates: targets, and others.")
    before = reliability.scores(pairs.probabilities(1.0), pairs.right)
    after = reliability.scores(pairs.probabilities(fitted.temperature), pairs.right)
    return {
        "temperature": fitted.temperature,
        "prior_temperature": fitted.prior_temperature,
        "rate": fitted.rate,
        "split": found.report["split"],
        "datasets": [found.report["dataset"]],
        "protocol": found.report["protocol"],
        "candidates": before.count,
        "targets": before.targets,
        "ece_before": before.ece,
        "ece": after.ece,
        "brier_before": before.brier,
        "brier": after.brier,
    }


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode("utf-8")


def _csv(report: Mapping[str, Any]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows(csv_lines(report))
    return buffer.getvalue().encode("utf-8")
