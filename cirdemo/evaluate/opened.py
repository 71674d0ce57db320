"""Evaluations that can be looked at: stored ones, uploaded ones, and those just made."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cirdemo.evaluate.measurement import Report
from cirdemo.evaluate.packed import LARGEST, PACKED, Cases, pack, unpack
from cirdemo.types import BadInput

NEEDED = {"dataset": str, "split": str, "protocol": str, "queries": int, "methods": dict}
FILES = 50  # in an archive; one evaluation has about a dozen
HOW = 'Take the ".json" that "evaluate --out" writes, and the "…-queries.json.gz" beside it.'


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Opened:
    """An evaluation: the `evaluate --json` object, and its queries where they are kept."""

    report: Mapping[str, Any]
    cases: Cases | None = None
    packed: bytes = b""  # the file that the queries came from

    @property
    def stem(self) -> str:
        """How its files are called."""
        return f"{self.report['dataset']}-{self.report['split']}"

    @property
    def partial(self) -> bool:
        """Whether it was stopped before all planned queries were measured."""
        return int(self.report.get("planned") or 0) > int(self.report["queries"])


def stored(folder: Path) -> dict[str, Path]:
    """The evaluations of a folder, by name."""
    return {
        p.stem: p
        for p in sorted(folder.glob("*.json"), key=lambda p: p.stem)
        if not p.stem.endswith("-rows")
    }


def load(path: Path) -> Opened:
    """A stored evaluation, with its queries where their file lies beside it.

    Raises:
        BadInput: A file cannot be read.
    """
    beside = path.with_name(path.stem + PACKED)
    files = {path.name: path.read_bytes()}
    if beside.is_file():
        files[beside.name] = beside.read_bytes()
    return of_files(files)


def of_paths(paths: Iterable[Path]) -> Opened:
    """An evaluation from uploaded files: the JSON, the queries, or a zip of both.

    Raises:
        BadInput: They are no evaluation, or too large.
    """
    files: dict[str, bytes] = {}
    for path in paths:
        if path.stat().st_size > LARGEST:
            raise BadInput(f"{path.name} is larger than {LARGEST >> 20} MB; it is not read.")
        if path.suffix == ".zip":
            files |= _unzip(path)
        else:
            files[path.name] = path.read_bytes()
    return of_files(files)


def _unzip(path: Path) -> dict[str, bytes]:
    """What an archive holds of an evaluation; nothing is written."""
    try:
        with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
            names = [i for i in archive.infolist() if i.filename.endswith((".json", PACKED))]
            if len(names) > FILES or sum(i.file_size for i in names) > LARGEST:
                raise BadInput(f"{path.name} unpacks to too much; it is not read.")
            return {i.filename: archive.read(i) for i in names}
    except BadInput:
        raise
    except Exception as error:  # zipfile and its decoders raise nearly anything
        raise BadInput(f"{path.name} is no zip archive that can be read. {HOW}") from error


def of_files(files: Mapping[str, bytes]) -> Opened:
    """An evaluation from the contents of its files.

    Raises:
        BadInput: There is not exactly one evaluation among them, or the two files do not fit.
    """
    reports = [n for n in files if n.endswith(".json") and not n.endswith("-rows.json")]
    packed = [n for n in files if n.endswith(".gz")]
    if len(reports) != 1 or len(packed) > 1:
        raise BadInput(f"Give one evaluation at a time, got {len(reports)}. {HOW}")
    report = _report(reports[0], files[reports[0]])
    cases = unpack(files[packed[0]]) if packed else None
    if cases is not None:
        about = (report["dataset"], report["split"], report["queries"])
        if about != (cases.dataset, cases.split, len(cases.cases)):
            raise BadInput(f"{packed[0]} holds the queries of another evaluation. {HOW}")
    return Opened(report=report, cases=cases, packed=files[packed[0]] if packed else b"")


def _report(name: str, data: bytes) -> Mapping[str, Any]:
    try:
        report = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name} is not JSON. {HOW}") from error
    if not isinstance(report, dict):
        raise BadInput(f"{name} is no evaluation. {HOW}")
    for key, kind in NEEDED.items():
        if not isinstance(report.get(key), kind):
            raise BadInput(f"{name} is no evaluation: it lacks {key!r}. {HOW}")
    for method, numbers in report["methods"].items():
        _check(name, method, numbers)
    return report


def _check(name: str, method: str, numbers: Any) -> None:
    """Whether a method's entry can be shown: numbers are numbers, tables are tables."""
    tables = ("interval", "by_kind", "by_phrasing", "soft", "ties", "weights")
    good = isinstance(numbers, dict) and all(
        isinstance(value, dict) if key in tables else isinstance(value, (int, float, type(None)))
        for key, value in numbers.items()
    )
    ends = numbers.get("interval", {}).values() if good else ()
    if not good or not all(isinstance(pair, Sequence) and len(pair) == 2 for pair in ends):
        raise BadInput(f"{name} is no evaluation: method {method!r} has no table of numbers. {HOW}")


def of_report(answer: Mapping[str, Any], report: Report) -> Opened:
    """An evaluation just made: its JSON object, and what it was made of."""
    rows = {e.method: e.rows for e in report.evaluations}
    packed = pack(answer, report.queries, rows)
    return Opened(report=answer, cases=unpack(packed), packed=packed)
