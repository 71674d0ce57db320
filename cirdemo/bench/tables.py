"""What was measured, as Markdown, and its place in a README."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cirdemo.export import fill_between
from cirdemo.types import BadInput

Report = Mapping[str, Any]


def markdown(report: Report) -> str:
    """A report's table: rows, then the targets, then the machine."""
    parts = [_rows(table) for table in report.get("tables", ())]
    if report.get("targets"):
        parts.append(_targets(report["targets"]))
    parts += report.get("notes", ())
    if "machine" in report:
        parts.append(_machine(report["machine"]))
    return "\n\n".join(parts)


def write(folder: Path, report: Report) -> tuple[Path, Path]:
    """A report as `bench-NAME.json` and `bench-NAME.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"bench-{report['bench']}"
    files = folder / f"{name}.json", folder / f"{name}.md"
    files[0].write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    files[1].write_text(markdown(report) + "\n", encoding="utf-8")
    return files


def fill(path: Path, report: Report) -> None:
    """Replace what stands between a report's two markers in a README by its command and table.

    Raises:
        BadInput: The file has no such markers.
    """
    fill_between(path, "bench", report["bench"], report["command"], markdown(report))


def check(path: Path, names: Sequence[str]) -> None:
    """See that a README has markers for these reports.

    Raises:
        BadInput: It has not.
    """
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    for name in names:
        start, end = f"<!-- bench:{name} -->", "<!-- /bench -->"
        if end not in text.partition(start)[2]:
            raise BadInput(f"{path} has no lines {start} and {end}; add both where the table goes.")


def number(value: float, unit: str = "") -> str:
    """Three figures, or more where they stand before the point."""
    if value == 0:
        text = "0"
    elif abs(value) < 0.001:
        text = f"{value:.0e}"
    else:
        text = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{text} {unit}" if unit and unit != "×" else text + unit


def spread(told: Mapping[str, float], unit: str = "", scale: float = 1.0) -> str:
    """A median with the least and the most of single rounds."""
    low, high = (number(told[key] * scale) for key in ("low", "high"))
    return f"{number(told['median'] * scale, unit)} ({low}–{high})"


def _rows(table: Mapping[str, Any]) -> str:
    """A table: {"head": [...], "rows": [[...], ...]}; the first column is text."""
    head: Sequence[str] = table["head"]
    lines = [_line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    return "\n".join([*lines, *map(_line, table["rows"])])


def _targets(targets: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for t in targets:
        found = number(t["value"], t["unit"])
        if t["spread"]:
            low, high = map(number, t["spread"])
            found = f"{found} ({low}–{high})"
        sign = "≥" if t["at_least"] else "≤"
        verdict = "met" if t["met"] else "**missed**"
        rows.append([t["what"], found, f"{sign} {number(t['target'], t['unit'])}", verdict])
    return _rows({"head": ["", "measured", "target", ""], "rows": rows})


def _machine(told: Mapping[str, Any]) -> str:
    libraries = ", ".join(f"{name} {version}" for name, version in told["libraries"].items())
    return (
        f"{told['processor']}; {told['cores']} cores, {told['threads']} used; "
        f"{told['memory_gib']} GiB; load {told['load']}; {libraries}; {told['date']}."
    )


def _line(cells: Sequence[str]) -> str:
    clean = [re.sub(r"\|", "\\|", str(cell)) for cell in cells]
    return "| " + " | ".join(clean) + " |"
