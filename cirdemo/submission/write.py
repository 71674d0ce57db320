"""Writing the files of a test server: query by query, so that a run that is stopped goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from cirdemo.submission.files import LENGTH, RECALL, SUBSET, VERSION
from cirdemo.types import BadInput, Triplet


class Listed(Protocol):
    """One query's lists, best first."""

    @property
    def query_id(self) -> str:
        """Whose."""

    @property
    def top(self) -> tuple[str, ...]:
        """Of the whole gallery."""

    @property
    def group(self) -> tuple[str, ...]:
        """Of the look-alikes, without the reference."""


class Journal:
    """Answers on disk, a line a query, of one method on one split."""

    def __init__(self, path: Path, about: Mapping[str, Any], triplets: Sequence[Triplet]) -> None:
        """Open or begin it; half a line at the end is cut off.

        Raises:
            BadInput: The file is of another method, split, gallery or other queries.
        """
        ids = "\n".join(t.query_id for t in triplets)
        self._head = {**about, "queries": hashlib.sha256(ids.encode()).hexdigest()[:16]}
        self.path = path
        self.rows: list[dict[str, Any]] = []
        if path.is_file():
            self._load()

    def add(self, answers: Iterable[Listed]) -> Iterator[int]:
        """Keep answers as they come; yields how many there are. The first one makes the file."""
        for answer in answers:
            row = {"query": answer.query_id, "top": answer.top, "group": answer.group}
            self._append(row)
            self.rows.append(row)
            yield len(self.rows)

    def _append(self, row: Mapping[str, Any]) -> None:
        """A line, on disk when this returns: lists take far longer to make than to write."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            if not file.tell():
                file.write(json.dumps(self._head) + "\n")
            file.write(json.dumps(row) + "\n")

    def _load(self) -> None:
        *lines, _cut = self.path.read_bytes().split(b"\n")
        if not lines:  # stopped within its first line
            self.path.unlink()
            return
        try:
            head, *rows = (json.loads(line) for line in lines)
        except ValueError:
            head, rows = None, []
        if head != json.loads(json.dumps(self._head)):
            raise BadInput(
                f"'{self.path}' holds answers of another run. Finish that one, name another --out, "
                "or remove the file."
            )
        self.rows = rows
        whole = b"".join(line + b"\n" for line in lines)
        if self.path.stat().st_size != len(whole):
            self.path.write_bytes(whole)


def write(out: Path, stem: str, dataset: str, rows: Iterable[Mapping[str, Any]]) -> list[Path]:
    """The files of a run, each under a name of its own.

    Args:
        out: The folder.
        stem: How their names begin.
        dataset: cirr gets two files, recall and recall_subset; others one.
        rows: {"query", "top", "group"} of every query.
    """
    rows = list(rows)
    if dataset != "cirr":
        number = int if dataset == "circo" else str
        lists = {r["query"]: [number(i) for i in r["top"][: LENGTH[""]]] for r in rows}
        return [_put(out / f"{stem}.json", lists)]
    made = []
    for metric, key in ((RECALL, "top"), (SUBSET, "group")):
        cut = {r["query"]: list(r[key][: LENGTH[metric]]) for r in rows}
        told = {"version": VERSION, "metric": metric, **cut}
        made.append(_put(out / f"{stem}-{metric}.json", told))
    return made


def _put(path: Path, value: Mapping[str, Any]) -> Path:
    """Written beside and moved into place, so that a file is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(value), encoding="utf-8")
    beside.replace(path)
    return path
