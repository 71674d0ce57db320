"""An evaluation on disk: JSON, rows per query, CSV, Markdown and figures, under one stem."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cirdemo.evaluate.packed import PACKED, pack
from cirdemo.export import blocks_markdown, finite, markdown
from cirdemo.types import Triplet

Report = Mapping[str, Any]  # the `evaluate --json` object
FORMULA = tuple("=+-@\t\r")  # a cell that begins so is computed, whatever it was
COLUMNS = ("dataset", "split", "method", "group", "metric", "value", "low", "high", "queries")


def write(
    out: Path,
    report: Report,
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    command: str,
    queries: Sequence[Triplet] = (),
) -> list[Path]:
    """Write everything that is known of an evaluation into a folder.

    Args:
        out: The folder; it is made.
        report: The `evaluate --json` object.
        rows: Rows per query, by method.
        command: What was run, for the Markdown.
        queries: Those that were measured; with them the rows are packed for the app as well.

    Returns:
        The files: `<dataset>-<split>.json`, `-rows.json`, `.csv`, `.md`, a `.png` a figure, and
        `-queries.json.gz`, the packed rows.
    """
    from cirdemo.evaluate.figures import draw  # matplotlib takes a second to import

    out.mkdir(parents=True, exist_ok=True)
    stem = f"{report['dataset']}-{report['split']}"
    figures = draw(report, rows, out, stem)
    files = [out / f"{stem}{end}" for end in (".json", "-rows.json", ".csv", ".md")]
    files[0].write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", "utf-8")
    files[1].write_text(json.dumps(finite(rows), ensure_ascii=False) + "\n", "utf-8")
    with files[2].open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(csv_lines(report))
    files[3].write_text(_page(report, command, figures), "utf-8")
    if queries:
        files.append(out / f"{stem}{PACKED}")
        files[-1].write_bytes(pack(report, queries, rows))
    return [*files, *figures]


def csv_lines(report: Report) -> Iterator[tuple[Any, ...]]:
    """Heads, then one line a number: of all queries, of each kind, of each sort of phrasing.

    A text that a spreadsheet would compute gets an apostrophe before it.
    """
    for line in _lines(report):
        yield tuple(f"'{v}" if isinstance(v, str) and v[:1] in FORMULA else v for v in line)


def _lines(report: Report) -> Iterator[tuple[Any, ...]]:
    yield COLUMNS
    about = (report["dataset"], report["split"])
    beside = ("n", "seconds")
    for name, method in report["methods"].items():
        for metric, value in method.items():
            if isinstance(value, (int, float)) and metric not in beside:
                ends = method["interval"].get(metric, ("", ""))
                yield (*about, name, "all", metric, value, *ends, method["n"])
        yield (*about, name, "all", "seconds", method["seconds"], "", "", method["n"])
        for kind, means in method["by_kind"].items():
            for metric, value in means.items():
                if metric != "queries" and value is not None:
                    yield (*about, name, kind, metric, value, "", "", means["queries"])
        if told := method["by_phrasing"]:
            for group, count in told["queries"].items():
                yield (*about, name, f"phrasing {group}", "R@1", told[group], "", "", count)


def _page(report: Report, command: str, figures: Sequence[Path]) -> str:
    """The Markdown page: the table of the README, and what is too wide for it."""
    parts = [
        f"# {report['dataset']}, split {report['split']}",
        f"```\n{command}\n```",
        markdown(report),
        blocks_markdown(report),
        "### Seconds",
        _seconds(report),
        *(f"![{path.stem}]({path.name})" for path in figures),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _seconds(report: Report) -> str:
    lines = ["| method | seconds | a query |", "|---|---|---|"]
    for name, method in report["methods"].items():
        each = method["seconds"] / max(method["n"], 1)
        lines.append(f"| {name} | {method['seconds']:.1f} | {each:.3f} |")
    return "\n".join([*lines, "", f"All of it together, shared work once: {report['seconds']} s."])
