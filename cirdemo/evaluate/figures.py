"""Figures of an evaluation: one style, dark ink on light paper, so that any page can show them.

Every function takes the `evaluate --json` object, or rows of it, and returns a figure; `draw`
writes those that the object has numbers for. Colours are Okabe and Ito's, which people with
colour vision deficiencies can tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from cirdemo.evaluate.errors import BLAMES

Report = Mapping[str, Any]  # the `evaluate --json` object
PAPER, INK, QUIET, FAINT = "#fafaf8", "#1d2229", "#555b64", "#c9ccd1"
BLUE, SKY, GREEN, ORANGE, RED = "#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00"
SHADES = {"R@50": "#d7e6f0", "R@10": "#a3c9e0", "R@5": "#5ba1cb", "R@1": BLUE}
STYLE: dict[Any, Any] = {
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlepad": 22,  # points; a line about the queries stands in between
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "font.size": 10,
    "legend.frameon": False,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
}
DPI = 150  # a figure 8 inches wide has 1200 pixels
BINS = 10  # of the reliability diagram, as of the expected calibration error
TOLERANCE = 5.0  # points that R@1 may differ on unseen phrasings


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
    figures: dict[str, Callable[[], Figure | None]] = {
        "recall": lambda: recall(report),
        "gap": lambda: gap(report),
        "kinds": lambda: kinds(report),
        "phrasing": lambda: phrasing(report),
        "judge": lambda: reliability(report, judged),
        "errors": lambda: blames(report),
    }
    written = []
    with mpl.rc_context(STYLE):
        for name, make in figures.items():
            if (figure := make()) is not None:
                written.append(out / f"{stem}-{name}.png")
                figure.savefig(written[-1], dpi=DPI, bbox_inches="tight", pad_inches=0.2)
    return written


def _canvas(
    report: Report, title: str, about: str, height: float, width: float = 8.0
) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, max(height, 3.0)), layout="constrained")
    axes = figure.add_subplot()
    _head(axes, report, title, f"{report['queries']} queries. {about}")
    axes.tick_params(length=0)
    return figure, axes


def _head(axes: Any, report: Report, title: str, about: str) -> None:
    """The title, and in a line under it what was measured."""
    axes.set_title(title)
    what = f"{report['dataset']}, split {report['split']}, {about}"
    place = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(what, (0, 1), (0, 7), fontsize=8.5, color=QUIET, **place)


def _beside(axes: Any, heading: str, texts: Sequence[str], colours: Sequence[str]) -> None:
    """A column of text to the right of horizontal bars."""
    place = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points", "fontsize": 8.5}
    for row, (text, colour) in enumerate(zip(texts, colours, strict=True)):
        axes.annotate(text, (1, row), (10, 0), va="center", color=colour, **place)
    axes.annotate(heading, (1, -0.85), (10, 0), va="center", color=QUIET, **place)


def _value(method: Mapping[str, Any], key: str, sign: str = "") -> str:
    """'77.2 [73.7, 80.3]', in percent."""
    low, high = method.get("interval", {}).get(key) or (None, None)
    text = f"{method[key] * 100:{sign}.1f}"
    if low is None or high is None:
        return text
    return f"{text}  [{low * 100:{sign}.1f}, {high * 100:{sign}.1f}]"


def _methods(report: Report, key: str) -> dict[str, Mapping[str, Any]]:
    """Methods with a number of a name, in the report's order."""
    return {n: m for n, m in report["methods"].items() if m.get(key) is not None}


def _rows(axes: Any, names: Sequence[str]) -> np.ndarray:
    """Labels of horizontal bars, first on top; their places."""
    places = np.arange(len(names))
    axes.set_yticks(places, names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    return places


def _ends(method: Mapping[str, Any], key: str) -> tuple[float, float]:
    """How far the interval reaches below and above the value, in points."""
    low, high = method.get("interval", {}).get(key) or (None, None)
    if low is None or high is None:
        return 0.0, 0.0
    value = method[key]
    return max(value - low, 0.0) * 100, max(high - value, 0.0) * 100


def recall(report: Report) -> Figure | None:
    """Recall@K of every method: bars in one another, with 95 % intervals."""
    methods = _methods(report, "R@1")
    if not methods:
        return None
    about = "Lines: 95 % bootstrap intervals."
    figure, axes = _canvas(report, "Recall@K by method", about, 1.3 + 0.34 * len(methods))
    places = _rows(axes, list(methods))
    for key, shade in SHADES.items():
        values = [m[key] * 100 for m in methods.values()]
        errors = np.array([_ends(m, key) for m in methods.values()]).T  # (2, methods)
        axes.barh(places, values, height=0.72, color=shade, label=key)
        axes.errorbar(
            values, places, xerr=errors, fmt="none", ecolor=INK, elinewidth=0.9, alpha=0.75
        )
    _beside(axes, "R@1", [_value(m, "R@1") for m in methods.values()], [INK] * len(methods))
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
    methods = _methods(report, "composition_gap")
    if not methods:
        return None
    about = "R@10 minus the better R@10 of text alone and image alone."
    figure, axes = _canvas(report, "Composition gap", about, 1.3 + 0.3 * len(methods))
    places = _rows(axes, list(methods))
    values = np.array([m["composition_gap"] * 100 for m in methods.values()])
    errors = np.array([_ends(m, "composition_gap") for m in methods.values()]).T
    axes.barh(places, values, height=0.62, color=[BLUE if v > 0 else ORANGE for v in values])
    axes.errorbar(values, places, xerr=errors, fmt="none", ecolor=INK, elinewidth=1.0)
    axes.axvline(0, color=INK, linewidth=0.9)
    told = [_value(m, "composition_gap", "+") for m in methods.values()]
    _beside(axes, "gap", told, [INK] * len(methods))
    axes.set_xlabel("points")
    axes.grid(axis="x")
    return figure


def kinds(report: Report) -> Figure | None:
    """R@1 of every method on every kind of modification, as a table of shades."""
    methods = {n: m for n, m in _methods(report, "R@1").items() if m.get("by_kind")}
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
    figure, axes = _canvas(report, "R@1 by kind of modification, %", "", *size)
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
    figure, axes = _canvas(report, title, about, 1.3 + 0.32 * len(methods))
    places = _rows(axes, list(methods))
    for place, t in zip(places, told.values(), strict=True):
        seen, unseen = t["seen"] * 100, t["unseen"] * 100
        axes.plot([seen, unseen], [place, place], color=FAINT, linewidth=3, zorder=1)
    for key, colour, marker in (("seen", BLUE, "o"), ("unseen", ORANGE, "D")):
        values = [t[key] * 100 for t in told.values()]
        axes.scatter(values, places, s=40, color=colour, marker=marker, label=key, zorder=2)
    changes = [{**t, "interval": {"difference": t["interval"]}} for t in told.values()]
    texts = [_value(t, "difference", "+") for t in changes]
    colours = [INK if t["difference"] * 100 >= -TOLERANCE else RED for t in told.values()]
    _beside(axes, f"difference (red: below -{TOLERANCE:.0f})", texts, colours)
    axes.set_xlim(-2, 102)
    axes.set_xlabel("R@1, %")
    axes.grid(axis="x")
    figure.legend(ncols=2, loc="outside lower center", handletextpad=0.2)
    return figure


def reliability(report: Report, judged: Sequence[tuple[float, bool]]) -> Figure | None:
    """How often a target is one among candidates of the same P(Yes)."""
    if not judged:
        return None
    p, y = np.array(judged, dtype=np.float64).T  # (pairs,) each
    cell = np.minimum((p * BINS).astype(int), BINS - 1)
    counts = np.bincount(cell, minlength=BINS)
    used = counts > 0
    said = np.bincount(cell, p, BINS)[used] / counts[used]
    true = np.bincount(cell, y, BINS)[used] / counts[used]
    low, high = _wilson(true, counts[used])
    means = report["methods"]["setr"]
    figure = Figure(figsize=(5.6, 6.2), layout="constrained")
    top, below = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    _head(top, report, "Reliability of the judge", f"{len(p)} judged candidates.")
    top.plot([0, 1], [0, 1], color=FAINT, linewidth=1.5, linestyle="--")
    spread = np.array([true - low, high - true])  # (2, bins)
    top.errorbar(said, true, yerr=spread, fmt="o-", color=BLUE, ecolor=INK, elinewidth=0.9)
    numbers = [("AUC", means.get("judge_AUC")), ("ECE", means.get("judge_ECE"))]
    text = "\n".join(f"{name} {value:.3f}" for name, value in numbers if value is not None)
    top.text(0.05, 0.93, text, transform=top.transAxes, va="top", fontsize=11, fontweight="bold")
    top.set_ylabel("share of targets")
    top.set_ylim(-0.03, 1.03)
    top.grid()
    below.bar((np.arange(BINS) + 0.5) / BINS, counts, width=0.9 / BINS, color=SKY)
    below.set_yscale("log")
    below.set_ylim(0.8, counts.max() * 3)
    below.set_ylabel("candidates")
    below.set_xlabel("P(Yes)")
    below.set_xlim(-0.02, 1.02)
    for axes in (top, below):
        axes.tick_params(length=0)
        axes.tick_params(which="minor", length=0)
    return figure


def _wilson(rates: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % intervals of rates (bins,), after Wilson (1927): never outside [0, 1]."""
    z = 1.96
    centre = (rates + z * z / (2 * counts)) / (1 + z * z / counts)
    half = z * np.sqrt(rates * (1 - rates) / counts + z * z / (4 * counts**2))
    half /= 1 + z * z / counts
    return np.minimum(centre - half, rates), np.maximum(centre + half, rates)


def blames(report: Report) -> Figure | None:
    """Queries that SETR misses, by kind and by the stage to blame."""
    found = report.get("errors") or {}
    missed = {k: c for k, c in found.get("by_kind", {}).items() if c.get("missed")}
    if not missed:
        return None
    about = f"{found['missed']} queries without a target at rank 1."
    figure, axes = _canvas(report, "What SETR's misses are due to", about, 1.5 + 0.36 * len(missed))
    names = sorted(missed, key=lambda k: -missed[k]["missed"] / missed[k]["queries"])
    places = _rows(axes, [f"{k}  ({missed[k]['queries']})" for k in names])
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
