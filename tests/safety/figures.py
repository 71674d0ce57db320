"""What the long profile counted, for the README.

`CIRDEMO_FIGURES=README.md` puts it between the README's markers; a run of some of the tests
replaces their rows and keeps the others.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

from cirdemo.export import fill_between

COMMAND = (  # CIRDEMO_EXAMPLES=N before it is told by the rows, which say how many
    "CIRDEMO_NIGHTLY=1 HYPOTHESIS_PROFILE=nightly CIRDEMO_FIGURES=README.md "
    "python -m pytest tests/safety -s"
)
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
_told: dict[tuple[int, str], str] = {}
_counts: dict[tuple[int, str], Counter[str]] = {}


def tell(requirement: int, what: str, found: str) -> None:
    """One row, told at once too."""
    _told[requirement, what] = found
    print(f"{requirement} {what}: {found}")


def count(requirement: int, what: str, outcome: str) -> None:
    """One more of something, by how it ended."""
    _counts.setdefault((requirement, what), Counter())[outcome] += 1


def write() -> None:
    """Fill the README, if one is named."""
    path = os.environ.get("CIRDEMO_FIGURES", "")
    for key, found in _counts.items():
        ends = ", ".join(f"{n:,} {outcome}" for outcome, n in sorted(found.items()))
        tell(*key, f"{found.total():,}: {ends}; nothing else")
    if not path or not _told:
        return
    text = Path(path).read_text(encoding="utf-8")
    before = text.partition("<!-- safety:nightly -->")[2].partition("<!-- /safety -->")[0]
    rows = {(int(r), what): found for r, what, found in ROW.findall(before)} | _told
    table = "\n".join(
        ["| requirement | what | what came of it |", "|---|---|---|"]
        + [f"| {r} | {what} | {found} |" for (r, what), found in sorted(rows.items())]
    )
    fill_between(Path(path), "safety", "nightly", COMMAND, table)
