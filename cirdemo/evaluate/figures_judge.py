"""Figures of the judge: how often it is right at what P(Yes), and what a threshold gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from cirdemo.evaluate.figure_style import BLUE, FAINT, GREEN, INK, ORANGE, SKY, Report, canvas, head
from cirdemo.evaluate.reliability import BINS, best, bins, sweep


def reliability(report: Report, judged: Sequence[tuple[float, bool]]) -> Figure | None:
    """How often a target is one among candidates of the same P(Yes)."""
    if not judged:
        return None
    p, y = np.array(judged, dtype=np.float64).T  # (pairs,) each
    curve = bins(p, y)
    said, true = np.array([[b.said, b.true] for b in curve]).T
    low, high = np.array([[b.low, b.high] for b in curve]).T
    counts = np.histogram(p, BINS, (0, 1))[0]
    means = report["methods"]["setr"]
    figure = Figure(figsize=(5.6, 6.2), layout="constrained")
    top, below = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    head(top, report, "Reliability of the judge", f"{len(p)} judged candidates.")
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


def thresholds(report: Report, judged: Sequence[tuple[float, bool]]) -> Figure | None:
    """Precision, recall and F1 of "yes from this P(Yes) on", over all judged candidates."""
    p, right = np.array(judged, dtype=np.float64).T if judged else (np.zeros(0), np.zeros(0))
    if not right.any():
        return None
    swept = sweep(p, right.astype(bool))
    top = best(swept)
    about = f"{len(p)} judged candidates, {int(right.sum())} of them targets."
    figure, axes = canvas(report, "Yes from which P(Yes) on", about, 4.6, 7.0)
    ends = [v.threshold for v in swept]
    for name, colour, dash in (
        ("precision", BLUE, "-"),
        ("recall", ORANGE, "--"),
        ("f1", GREEN, "-."),
    ):
        values = [getattr(v, name) for v in swept]
        label = name.replace("f1", "F1")
        axes.plot(ends, values, color=colour, linestyle=dash, linewidth=1.8, label=label)
    axes.axvline(top.threshold, color=INK, linewidth=0.9, linestyle=":")
    told = f"best F1 {top.f1:.2f} from {top.threshold:.2f} on"
    axes.annotate(told, (top.threshold, 0.03), (6, 0), textcoords="offset points", fontsize=9)
    axes.set_xlabel("threshold of P(Yes)")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.grid()
    figure.legend(ncols=3, loc="outside lower center")
    return figure
