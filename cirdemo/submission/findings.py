"""What a check of a file finds: faults, warnings, and what could not be looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

SHOWN = 5  # examples in a sentence; `queries` has all


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of fault in a file."""

    kind: str
    message: str  # a sentence with the count and the first examples
    count: int = 1
    queries: tuple[str, ...] = ()  # all that have it


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What the check of a file has found."""

    file: str
    dataset: str = ""
    split: str = ""
    metric: str = ""
    queries: int = 0
    size: int = 0
    faults: tuple[Fault, ...] = ()
    warnings: tuple[str, ...] = ()  # no server refuses it, and still it may be a mistake
    unchecked: tuple[str, ...] = ()  # what could not be looked at, and why

    @property
    def accepted(self) -> bool:
        """Whether no fault was found."""
        return not self.faults

    def json(self) -> dict[str, Any]:
        """The object of `preflight --json`."""
        about = ("file", "dataset", "split", "metric", "queries", "size", "accepted")
        return {
            **{key: getattr(self, key) for key in about},
            "faults": [
                {"fault": f.kind, "message": f.message, "count": f.count, "queries": [*f.queries]}
                for f in self.faults
            ],
            "warnings": list(self.warnings),
            "not_checked": list(self.unchecked),
        }


@dataclass(slots=True)
class Notes:
    """Faults while they are found."""

    faults: list[Fault] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def add(self, kind: str, message: str) -> None:
        """A fault of the whole file."""
        self.faults.append(Fault(kind=kind, message=message))

    def of(
        self, kind: str, queries: Iterable[str], said: str, examples: Sequence[str] = ()
    ) -> None:
        """A fault of some queries, if there are any: 'SAID, in 3 queries: ...'."""
        if found := tuple(queries):
            noun = "query" if len(found) == 1 else "queries"
            shown = ", ".join(examples[:SHOWN] or found[:SHOWN])
            more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            text = f"{said}, in {len(found)} {noun}: {shown}{more}."
            self.faults.append(Fault(kind=kind, message=text, count=len(found), queries=found))
