"""The one style of all figures: dark ink on light paper, so that any page can show them.

Colours are Okabe and Ito's, which people with colour vision deficiencies can tell apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

Report = Mapping[str, Any]  # the `evaluate --json` object
PAPER, INK, QUIET, FAINT = "#fafaf8", "#1d2229", "#555b64", "#c9ccd1"
BLUE, SKY, GREEN, ORANGE, RED = "#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00"
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
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "cirdemo",  # the same figure, the same file
}


def canvas(
    report: Report, title: str, about: str, height: float, width: float = 8.0
) -> tuple[Figure, Any]:
    """A figure with one pair of axes under a title, and in a line what was measured."""
    figure = Figure(figsize=(width, max(height, 3.0)), layout="constrained")
    axes = figure.add_subplot()
    head(axes, report, title, f"{report['queries']} queries. {about}")
    axes.tick_params(length=0)
    return figure, axes


def head(axes: Any, report: Report, title: str, about: str) -> None:
    """The title, and in a line under it what was measured."""
    axes.set_title(title)
    what = f"{report['dataset']}, split {report['split']}, {about}"
    place = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(what, (0, 1), (0, 7), fontsize=8.5, color=QUIET, **place)


def beside(axes: Any, heading: str, texts: Sequence[str], colours: Sequence[str]) -> None:
    """A column of text to the right of horizontal bars."""
    place = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points", "fontsize": 8.5}
    for row, (text, colour) in enumerate(zip(texts, colours, strict=True)):
        axes.annotate(text, (1, row), (10, 0), va="center", color=colour, **place)
    axes.annotate(heading, (1, -0.85), (10, 0), va="center", color=QUIET, **place)


def shown(method: Mapping[str, Any], key: str, sign: str = "") -> str:
    """'77.2 [73.7, 80.3]', in percent."""
    low, high = method.get("interval", {}).get(key) or (None, None)
    text = f"{method[key] * 100:{sign}.1f}"
    if low is None or high is None:
        return text
    return f"{text}  [{low * 100:{sign}.1f}, {high * 100:{sign}.1f}]"


def methods_with(report: Report, key: str) -> dict[str, Mapping[str, Any]]:
    """Methods with a number of a name, in the report's order."""
    return {n: m for n, m in report["methods"].items() if m.get(key) is not None}


def rows_of(axes: Any, names: Sequence[str]) -> np.ndarray:
    """Labels of horizontal bars, first on top; their places."""
    places = np.arange(len(names))
    axes.set_yticks(places, names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    return places


def ends(method: Mapping[str, Any], key: str) -> tuple[float, float]:
    """How far the interval reaches below and above the value, in points."""
    low, high = method.get("interval", {}).get(key) or (None, None)
    if low is None or high is None:
        return 0.0, 0.0
    value = method[key]
    return max(value - low, 0.0) * 100, max(high - value, 0.0) * 100
