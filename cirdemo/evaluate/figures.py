"""Figures of an evaluation, as PNG or SVG: one function a figure, and `draw` for all of them.

Every function takes the `evaluate --json` object and returns a figure, or None where the object
has no numbers for it.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from cirdemo.evaluate.errors import BLAMES
from cirdemo.evaluate.figure_style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    RED,
    SKY,
    STYLE,
    Report,
    beside,
    canvas,
    ends,
    methods_with,
    rows_of,
    shown,
)
from cirdemo.evaluate.figures_judge import reliability, thresholds

SHADES = {"R@50": "#d7e6f0", "R@10": "#a3c9e0", "R@5": "#5ba1cb", "R@1": BLUE}
DPI = 150  # a figure 8 inches wide has 1200 pixels
TOLERANCE = 5.0  # points that R@1 may differ on unseen phrasings
LOCK = threading.Lock()  # matplotlib's settings are of the whole process


def figure(
    name: str, report: Report, judged: Sequence[tuple[float, bool]], kind: str = "png"
) -> bytes | None:
    """One figure as a file's contents, or None where the numbers do not allow it.

    Args:
        name: Of `FIGURES`.
        report: The `evaluate --json` object.
        judged: P(Yes) of the judged candidates, and whether each is a target.
        kind: "png" or "svg"; the text of an SVG stays text.
    """
    with LOCK, mpl.rc_context(STYLE):
        made = FIGURES[name](report, judged)
        if made is None:
            return None
        buffer = io.BytesIO()
        about = {"Date": None} if kind == "svg" else {}
        made.savefig(
            buffer, format=kind, dpi=DPI, bbox_inches="tight", pad_inches=0.2, metadata=about
        )
        return buffer.getvalue()


def draw(
    report: Report, rows: Mapping[str, Sequence[Mapping[str, Any]]], out: Path, stem: str
) -> list[Path]:
    """Write a PNG for each figure that the numbers allow.

    Args:
        report: The `evaluate --json` object.
        rows: Rows per query, by method.
        out: An existing folder.
        stem: How the files' names begin.

    Returns:
        The files.
    """
    judged = [pair for row in rows.get("setr", ()) for pair in row.get("judged", ())]
    written = []
    for name in FIGURES:
        if (data := figure(name, report, judged)) is not None:
            written.append(out / f"{stem}-{name}.png")
            written[-1].write_bytes(data)
    return written


def recall(report: Report) -> Figure | None:
    """Recall@K of every method: bars in one another, with 95 % intervals."""
    methods = methods_with(report, "R@1")
    if not methods:
        return None
    about = "Lines: 95 % bootstrap intervals."
    figure, axes = canvas(report, "Recall@K by method", about, 1.3 + 0.34 * len(methods))
    places = rows_of(axes, list(methods))
    for key, shade in SHADES.items():
        values = [m[key] * 100 for m in methods.values()]
        errors = np.array([ends(m, key) for m in methods.values()]).T  # (2, methods)
        axes.barh(places, values, height=0.72, color=shade, label=key)
        axes.errorbar(
            values, places, xerr=errors, fmt="none", ecolor=INK, elinewidth=0.9, alpha=0.75
        )
    beside(axes, "R@1", [shown(m, "R@1") for m in methods.values()], [INK] * len(methods))
    axes.set_xlim(0, 101)
    axes.set_xlabel("queries with a target among the first K, %")
    axes.grid(axis="x")
    handles, labels = axes.get_legend_handles_labels()
    order = [labels.index(k) for k in reversed(SHADES)]
    figure.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        ncols=4,
        loc="outside lower center",
        handlelength=1.2,
    )
    return figure


def gap(report: Report) -> Figure | None:
    """How much each method adds to the better of text alone and image alone."""
    methods = methods_with(report, "composition_gap")
    if not methods:
        return None
    about = "R@10 minus the better R@10 of text alone and image alone."
    figure, axes = canvas(report, "Composition gap", about, 1.3 + 0.3 * len(methods))
    places = rows_of(axes, list(methods))
    values = np.array([m["composition_gap"] * 100 for m in methods.values()])
    errors = np.array([ends(m, "composition_gap") for m in methods.values()]).T
    axes.barh(places, values, height=0.62, color=[BLUE if v > 0 else ORANGE for v in values])
    axes.errorbar(values, places, xerr=errors, fmt="none", ecolor=INK, elinewidth=1.0)
    axes.axvline(0, color=INK, linewidth=0.9)
    told = [shown(m, "composition_gap", "+") for m in methods.values()]
    beside(axes, "gap", told, [INK] * len(methods))
    axes.set_xlabel("points")
    axes.grid(axis="x")
    return figure


def kinds(report: Report) -> Figure | None:
    """R@1 of every method on every kind of modification, as a table of shades."""
    methods = {n: m for n, m in methods_with(report, "R@1").items() if m.get("by_kind")}
    names = list(dict.fromkeys(k for m in methods.values() for k in m["by_kind"]))
    if not names:
        return None
    table = np.array(
        [
            [m["by_kind"].get(k, {}).get("R@1", np.nan) * 100 for k in names]
            for m in methods.values()
        ]
    )  # (methods, kinds)
    size = (0.9 + 0.32 * len(methods), 2.2 + 0.68 * len(names))
    figure, axes = canvas(report, "R@1 by kind of modification, %", "", *size)
    axes.imshow(table, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    axes.set_yticks(range(len(methods)), list(methods))
    some = next(iter(methods.values()))["by_kind"]
    labels = [f"{k}\n{some.get(k, {}).get('queries', 0)}" for k in names]
    axes.set_xticks(range(len(names)), labels, fontsize=8)
    axes.spines[:].set_visible(False)
    for (row, column), value in np.ndenumerate(table):
        if not np.isnan(value):
            colour = "white" if value > 55 else INK
            axes.text(
                column, row, f"{value:.0f}", ha="center", va="center", color=colour, fontsize=9
            )
    axes.set_xlabel("kind, and how many queries it has")
    return figure


def phrasing(report: Report) -> Figure | None:
    """R@1 on phrasings that train has, and on those that only test has."""
    methods = {n: m for n, m in report["methods"].items() if m.get("by_phrasing")}
    if not methods:
        return None
    told = {n: m["by_phrasing"] for n, m in methods.items()}
    count = next(iter(told.values()))["queries"]
    about = f"{count['seen']} queries in phrasings of every split, {count['unseen']} in test's own."
    title = "R@1 on phrasings seen and never seen in training"
    figure, axes = canvas(report, title, about, 1.3 + 0.32 * len(methods))
    places = rows_of(axes, list(methods))
    for place, t in zip(places, told.values(), strict=True):
        seen, unseen = t["seen"] * 100, t["unseen"] * 100
        axes.plot([seen, unseen], [place, place], color=FAINT, linewidth=3, zorder=1)
    for key, colour, marker in (("seen", BLUE, "o"), ("unseen", ORANGE, "D")):
        values = [t[key] * 100 for t in told.values()]
        axes.scatter(values, places, s=40, color=colour, marker=marker, label=key, zorder=2)
    changes = [{**t, "interval": {"difference": t["interval"]}} for t in told.values()]
    texts = [shown(t, "difference", "+") for t in changes]
    colours = [INK if t["difference"] * 100 >= -TOLERANCE else RED for t in told.values()]
    beside(axes, f"difference (red: below -{TOLERANCE:.0f})", texts, colours)
    axes.set_xlim(-2, 102)
    axes.set_xlabel("R@1, %")
    axes.grid(axis="x")
    figure.legend(ncols=2, loc="outside lower center", handletextpad=0.2)
    return figure


def blames(report: Report) -> Figure | None:
    """Queries that SETR misses, by kind and by the stage to blame."""
    found = report.get("errors") or {}
    missed = {k: c for k, c in found.get("by_kind", {}).items() if c.get("missed")}
    if not missed:
        return None
    about = f"{found['missed']} queries without a target at rank 1."
    figure, axes = canvas(report, "What SETR's misses are due to", about, 1.5 + 0.36 * len(missed))
    names = sorted(missed, key=lambda k: -missed[k]["missed"] / missed[k]["queries"])
    places = rows_of(axes, [f"{k}  ({missed[k]['queries']})" for k in names])
    start = np.zeros(len(names))
    for blame, colour in zip(BLAMES, (ORANGE, SKY, GREEN, BLUE), strict=True):
        share = [100 * missed[k].get(blame, 0) / missed[k]["queries"] for k in names]
        label = f"{blame} ({found['counts'].get(blame, 0)})"
        axes.barh(places, share, left=start, height=0.66, color=colour, label=label)
        start += np.array(share)
    axes.set_xlabel("share of the kind's queries that are missed, %")
    axes.grid(axis="x")
    figure.legend(ncols=2, loc="outside lower center")
    return figure


FIGURES: dict[str, Callable[[Report, Sequence[tuple[float, bool]]], Figure | None]] = {
    "recall": lambda report, judged: recall(report),
    "gap": lambda report, judged: gap(report),
    "kinds": lambda report, judged: kinds(report),
    "phrasing": lambda report, judged: phrasing(report),
    "judge": reliability,
    "thresholds": thresholds,
    "errors": lambda report, judged: blames(report),
}
