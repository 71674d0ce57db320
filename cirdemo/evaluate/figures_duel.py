"""The figure of two settings on the same queries: their differences, and each query's two ranks."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from cirdemo.evaluate.compare import METRICS, NAMES, Row, compare, outcome
from cirdemo.evaluate.figure_style import BLUE, FAINT, INK, ORANGE, QUIET, STYLE
from cirdemo.evaluate.figures import DPI, LOCK

MARKS = {"win": ("^", BLUE), "tie": ("o", FAINT), "loss": ("v", ORANGE)}


def figure(rows: Sequence[Row], about: Mapping[str, Any], kind: str = "png") -> bytes:
    """The figure as a file's contents.

    Args:
        rows: Of `duel`, at least one.
        about: "a" and "b" in their one-line form, "dataset", "split".
        kind: "png" or "svg"; the text of an SVG stays text.
    """
    with LOCK, mpl.rc_context(STYLE):
        made = _draw(rows, about)
        buffer = io.BytesIO()
        made.savefig(
            buffer,
            format=kind,
            dpi=DPI,
            bbox_inches="tight",
            pad_inches=0.2,
            metadata={"Date": None} if kind == "svg" else {},
        )
        return buffer.getvalue()


def _draw(rows: Sequence[Row], about: Mapping[str, Any]) -> Figure:
    found = compare(rows)
    made = Figure(figsize=(9.0, 4.2), layout="constrained")
    left, right = made.subplots(1, 2, width_ratios=(1, 1))
    made.suptitle(f"A: {about['a']}    B: {about['b']}", x=0.01, ha="left", fontsize=11)
    _differences(left, found)
    _ranks(right, rows)
    said = (
        f"{about['dataset']}, split {about['split']}, {found['queries']} queries; A wins "
        f"{found['win']}, ties {found['tie']}, loses {found['loss']}; McNemar p = "
        f"{found['mcnemar']['p']:.3f}"
    )
    made.supxlabel(said, x=0.01, ha="left", fontsize=8.5, color=QUIET)
    return made


def _differences(axes: Any, found: Mapping[str, Any]) -> None:
    """Each metric's difference with its paired interval."""
    for place, name in enumerate(METRICS):
        m = found["metrics"][name]
        value, (low, high) = m["difference"] * 100, (100 * end for end in m["interval"])
        clear = low > 0 or high < 0
        axes.plot([low, high], [place, place], color=INK, linewidth=1.2)
        axes.plot(value, place, "o", color=BLUE if clear else FAINT, markeredgecolor=INK)
        axes.annotate(
            f"{value:+.1f}  [{low:+.1f}, {high:+.1f}]",
            (value, place),
            (0, 9),
            textcoords="offset points",
            ha="center",
            fontsize=8.5,
        )
    axes.axvline(0, color=QUIET, linewidth=0.9, linestyle="--")
    axes.set_yticks(range(len(METRICS)), list(METRICS))
    axes.set_ylim(len(METRICS) - 0.5, -0.6)
    axes.set_xlabel("A minus B, points; 95 % paired bootstrap")
    axes.tick_params(length=0)
    axes.margins(x=0.25)


def _ranks(axes: Any, rows: Sequence[Row]) -> None:
    """Every query at its two ranks; one without a target in a list is left out of the plot."""
    told = [(r["a"]["rank"], r["b"]["rank"], outcome(r)) for r in rows]
    told = [t for t in told if t[0] and t[1]]
    for name, (mark, colour) in MARKS.items():
        some = [t for t in told if t[2] == name]
        label = f"{NAMES[name]} ({len(some)})"
        axes.scatter(
            [t[0] for t in some],
            [t[1] for t in some],
            marker=mark,
            s=34,
            color=colour,
            edgecolors=INK,
            linewidths=0.5,
            alpha=0.8,
            label=label,
        )
    top = max((max(a, b) for a, b, _ in told), default=1) * 1.4
    axes.plot([0.8, top], [0.8, top], color=QUIET, linewidth=0.9, linestyle="--")
    axes.set(xscale="log", yscale="log", xlim=(0.8, max(top, 10)), ylim=(0.8, max(top, 10)))
    axes.set_xlabel("rank of the best target under A")
    axes.set_ylabel("under B")
    axes.tick_params(which="both", length=0)
    axes.legend(fontsize=8.5, loc="upper left", frameon=False)
