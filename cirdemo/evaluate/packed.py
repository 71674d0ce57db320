"""Rows per query, packed small: columns in place of records, pictures by number, gzip around it.

An evaluation of 600 queries and 18 methods takes about 300 kB, so that it can lie beside its table
and every missed query can be looked at without running anything again.
"""

from __future__ import annotations

import gzip
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cirdemo.evaluate.errors import BLAMES, blame
from cirdemo.types import BadInput, ImageId, Triplet

Rows = Mapping[str, Sequence[Mapping[str, Any]]]  # by method
FORMAT = 1
PACKED = "-queries.json.gz"  # how the file's name ends
TOP = 5  # pictures kept of each list
DIGITS = 3  # of a margin
LARGEST = 64 * 2**20  # bytes that a file may unpack to
SETR = "setr"
TRUTHS = ("union", "enhanced", "intersection", "conclusion")  # true texts of a query
TEXTS = ("description", "conclusion")  # what a method has written, in a row


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One query and what every method made of it."""

    query_id: str
    kind: str
    phrasing: str  # seen, unseen, or "" where that is unknown
    reference_id: ImageId
    text: str  # the modification
    target_ids: tuple[ImageId, ...]
    subset_ids: tuple[ImageId, ...] = ()
    truths: Mapping[str, str] = field(default_factory=dict)  # true texts, by `TRUTHS`
    ranks: Mapping[str, int | None] = field(default_factory=dict)  # of the best target, by method
    tops: Mapping[str, tuple[ImageId, ...]] = field(default_factory=dict)  # first five, by method
    texts: Mapping[str, str] = field(default_factory=dict)  # what a method wrote
    margins: tuple[float, ...] = ()  # of the judged candidates, in coarse order
    right: frozenset[int] = frozenset()  # which of these are targets, from 0
    was: tuple[int, ...] = ()  # coarse ranks, from 1, of the first five of setr
    blame: str | None = None  # the stage that setr's miss is due to; None where it has none
    rank_with_truth: int | None = None  # of setr, had the true description been written

    @property
    def target_p(self) -> float | None:
        """P(Yes) of the best judged target, or None where no target was judged."""
        found = [self.margins[i] for i in self.right]
        return probability(max(found)) if found else None

    @property
    def first_p(self) -> float | None:
        """The highest P(Yes) that the judge has given."""
        return probability(max(self.margins)) if self.margins else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """All queries of one evaluation."""

    dataset: str
    split: str
    methods: tuple[str, ...]
    cases: tuple[Case, ...]
    temperature: float = 1.0  # that the margins were divided by
    prior: float | None = None  # share of targets that they were shifted to

    @property
    def judged(self) -> list[tuple[float, bool]]:
        """Margin and truth of every judged candidate."""
        return [(m, i in c.right) for c in self.cases for i, m in enumerate(c.margins)]


def probability(margin: float) -> float:
    """P(Yes) of a margin, without overflow."""
    return 1 / (1 + math.exp(-max(min(margin, 700.0), -700.0)))


def pack(report: Mapping[str, Any], queries: Sequence[Triplet], rows: Rows) -> bytes:
    """The packed file of an evaluation.

    Args:
        report: The `evaluate --json` object.
        queries: Those that were measured.
        rows: Rows per query, by method; what is of pictures and not of queries is left out.
    """
    by_id = {
        name: {row["query_id"]: row for row in found}
        for name, found in rows.items()
        if found and "query_id" in found[0]
    }
    numbers: dict[ImageId, int] = {}

    def number(image_id: ImageId) -> int:
        return numbers.setdefault(image_id, len(numbers))

    def column(name: str, value: Callable[[Mapping[str, Any]], Any]) -> list[Any]:
        return [value(by_id[name].get(q.query_id, {})) for q in queries]

    methods: dict[str, dict[str, Any]] = {}
    for name in by_id:
        found = methods[name] = {
            "rank": column(name, lambda row: row.get("rank")),
            "top": column(name, lambda row: [number(i) for i in row.get("top", ())[:TOP]]),
        }
        texts = column(name, lambda row: next((row[k] for k in TEXTS if k in row), ""))
        if any(texts):  # setr rests on the texts of intersection: they are kept once
            same = next((n for n, m in methods.items() if m.get("text") == texts), None)
            found["text"] = same or texts
    table: dict[str, Any] = {
        "format": FORMAT,
        "dataset": report["dataset"],
        "split": report["split"],
        "query": {
            "id": [q.query_id for q in queries],
            "kind": [q.kind for q in queries],
            "phrasing": _phrasings(queries, by_id),
            "text": [q.modification for q in queries],
            "reference": [number(q.reference_id) for q in queries],
            "targets": [[number(i) for i in q.target_ids] for q in queries],
            "subset": [[number(i) for i in q.subset_ids] for q in queries],
        },
        "truth": {key: [getattr(q, key) for q in queries] for key in TRUTHS},
        "methods": methods,
    }
    if SETR in by_id:
        calibration = report.get("made", {}).get("calibration", {})
        table["judge"] = {
            "temperature": calibration.get("temperature", 1.0),
            "prior": calibration.get("prior"),
            "margins": column(SETR, _margins),
            "right": column(
                SETR, lambda row: [i for i, (_, ok) in enumerate(row.get("judged", ())) if ok]
            ),
            "was": column(SETR, lambda row: list(row.get("was", ())[:TOP])),
            "blame": column(SETR, lambda row: _number(blame(row)) if row else None),
            "rank_with_truth": column(SETR, lambda row: row.get("rank_with_truth")),
        }
    table["ids"] = list(numbers)
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":"))
    return gzip.compress(text.encode("utf-8"), mtime=0)  # the same evaluation, the same bytes


def _number(found: str | None) -> int | None:
    return None if found is None else BLAMES.index(found)


def _margins(row: Mapping[str, Any]) -> list[float]:
    """The margins of a row; of an older one, from its probabilities."""
    if "margins" in row:
        return [round(float(m), DIGITS) for m in row["margins"]]
    certain = 1e-12
    clipped = [min(max(float(p), certain), 1 - certain) for p, _ in row.get("judged", ())]
    return [round(math.log(p / (1 - p)), DIGITS) for p in clipped]


def _phrasings(queries: Sequence[Triplet], by_id: Mapping[str, Mapping[str, Any]]) -> list[str]:
    some: Mapping[str, Any] = next(iter(by_id.values()), {})
    return [some.get(q.query_id, {}).get("phrasing", "") for q in queries]


def unpack(data: bytes) -> Cases:
    """The cases of a packed file.

    Raises:
        BadInput: It is no such file, is of a later version, or is cut short.
    """
    try:
        with gzip.open(io.BytesIO(data)) as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise BadInput(f"The file unpacks to more than {LARGEST >> 20} MB; it is not read.")
        table = json.loads(text)
        if table["format"] > FORMAT:
            raise BadInput("The rows are of a later version of cirdemo; update to open them.")
        return _cases(table)
    except (OSError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError) as e:
        raise BadInput(
            "These are no rows of an evaluation, or they are cut short. Take the file "
            '"…-queries.json.gz" that "evaluate --out" writes.'
        ) from e


def _cases(table: Mapping[str, Any]) -> Cases:
    ids, query, methods = table["ids"], table["query"], table["methods"]
    judge = table.get("judge") or {}
    texts = {name: _texts(methods, name) for name, m in methods.items() if "text" in m}

    def names(numbers: Sequence[int]) -> tuple[ImageId, ...]:
        return tuple(str(ids[n]) for n in numbers)

    def told(key: str, n: int, other: Any) -> Any:
        return judge[key][n] if judge else other

    cases = []
    for n, query_id in enumerate(query["id"]):
        blamed = told("blame", n, None)
        cases.append(
            Case(
                query_id=str(query_id),
                kind=str(query["kind"][n]),
                phrasing=str(query["phrasing"][n]),
                reference_id=str(ids[query["reference"][n]]),
                text=str(query["text"][n]),
                target_ids=names(query["targets"][n]),
                subset_ids=names(query["subset"][n]),
                truths={k: str(v[n]) for k, v in table["truth"].items() if v[n]},
                ranks={name: m["rank"][n] for name, m in methods.items()},
                tops={name: names(m["top"][n]) for name, m in methods.items()},
                texts={name: str(found[n]) for name, found in texts.items() if found[n]},
                margins=tuple(float(m) for m in told("margins", n, ())),
                right=frozenset(told("right", n, ())),
                was=tuple(told("was", n, ())),
                blame=None if blamed is None else BLAMES[blamed],
                rank_with_truth=told("rank_with_truth", n, None),
            )
        )
    return Cases(
        dataset=str(table["dataset"]),
        split=str(table["split"]),
        methods=tuple(methods),
        cases=tuple(cases),
        temperature=float(judge.get("temperature", 1.0)),
        prior=judge.get("prior"),
    )


def _texts(methods: Mapping[str, Any], name: str) -> Sequence[str]:
    """A method's texts, which may be another's."""
    found = methods[name]["text"]
    texts: Sequence[str] = methods[found]["text"] if isinstance(found, str) else found
    return texts
