"""The calibration page: how far P(Yes) can be trusted, drawn as SVG in the page's own colours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cirdemo.evaluate import reliability
from cirdemo.evaluate.reliability import Bin, Judged, Scores, Verdict
from cirdemo.ui.cards import esc

AS_JUDGED, RAW, FITTED = "as judged", "raw margins", "fitted here"
ASKED, AROUND, FEW = 0.8, 0.05, 20  # P(Yes) asked about, how far from it counts, too few to tell
NAMES = {"precision": "― precision", "recall": "- - recall", "f1": "·-· F1"}
SIDE, LEFT, LOW = 300, 42, 34  # pixels of a chart's square, and of the room for its numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A temperature by name, and what the probabilities are worth under it."""

    name: str
    temperature: float
    scores: Scores


def settings(found: Judged) -> list[Setting]:
    """As judged, without a temperature, and with the one that fits these candidates best."""
    temperatures = {AS_JUDGED: found.temperature, RAW: 1.0}
    if (calibration := reliability.fit(found)) is not None:
        temperatures[FITTED] = calibration.temperature
    return [
        Setting(
            name=name,
            temperature=t,
            scores=reliability.scores(found.probabilities(t), found.right),
        )
        for name, t in temperatures.items()
    ]


def _x(value: float) -> float:
    return LEFT + value * SIDE


def _y(value: float) -> float:
    return 10 + (1 - value) * SIDE


def _frame(title: str, across: str, up: str, inside: str) -> str:
    """A square chart from 0 to 1 both ways, with grid and names."""
    ticks = "".join(
        f'<line class="grid" x1="{_x(t):.1f}" x2="{_x(t):.1f}" y1="{_y(0):.1f}" y2="{_y(1):.1f}"/>'
        f'<line class="grid" y1="{_y(t):.1f}" y2="{_y(t):.1f}" x1="{_x(0):.1f}" x2="{_x(1):.1f}"/>'
        f'<text x="{_x(t):.1f}" y="{_y(0) + 15:.1f}" text-anchor="middle">{t:g}</text>'
        f'<text x="{LEFT - 6}" y="{_y(t) + 4:.1f}" text-anchor="end">{t:g}</text>'
        for t in (0, 0.25, 0.5, 0.75, 1)
    )
    width, height = LEFT + SIDE + 14, SIDE + LOW + 12
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{esc(title)}">'
        f'{ticks}{inside}<text class="name" x="{_x(0.5):.1f}" y="{height - 3}" '
        f'text-anchor="middle">{esc(across)}</text><text class="name" transform="rotate(-90)" '
        f'x="{-_y(0.5):.1f}" y="11" text-anchor="middle">{esc(up)}</text></svg>'
    )


def curve(found: Sequence[Bin]) -> str:
    """Share of targets against P(Yes): on the diagonal is right; below it promises too much."""
    dots = "".join(
        f'<g><title>{esc(_told(b))}</title><line class="spread" x1="{_x(b.said):.1f}" '
        f'x2="{_x(b.said):.1f}" y1="{_y(b.low):.1f}" y2="{_y(b.high):.1f}"/>'
        f'<circle cx="{_x(b.said):.1f}" cy="{_y(b.true):.1f}" r="{_size(b.count):.1f}"/></g>'
        for b in found
    )
    path = " ".join(f"{_x(b.said):.1f},{_y(b.true):.1f}" for b in found)
    told = "; ".join(_told(b) for b in found)
    inside = (
        f'<line class="ideal" x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}"/>'
        f'<polyline class="line" points="{path}"/>{dots}'
    )
    return _frame(f"Reliability curve. {told}", "P(Yes)", "share of targets", inside)


def answer(p: np.ndarray, right: np.ndarray, ece: float) -> str:
    """Whether the share of targets among candidates at about 0.8 is 80 in 100, and by what."""
    near = np.abs(p - ASKED) <= AROUND
    count = int(near.sum())
    band = f"judged at {ASKED - AROUND:.2f} to {ASKED + AROUND:.2f}"
    if count < FEW:
        return f"<b>It cannot be told:</b> too few candidates, {count}, are {band}."
    said, true = float(p[near].mean()), float(right[near].mean())
    (low,), (high,) = reliability.wilson(np.array([true]), np.array([count]))
    counted = (
        f"of the {count} candidates {band}, {true * 100:.0f} in 100 are targets (95 % interval: "
        f"{low * 100:.0f} to {high * 100:.0f})"
    )
    if low <= said <= high:
        return f"<b>Yes, as far as can be told:</b> {counted}."
    much = "more" if said > true else "less"
    text = f"<b>No:</b> {counted}. The judge promises {much} than it keeps there."
    lowest = float((p < 1 / reliability.BINS).mean())
    if lowest > 0.5:
        text += (
            f" ECE is {_n(ece, 4)} all the same, because it is a mean over all candidates, and "
            f"{lowest * 100:.0f} in 100 of them are judged below {1 / reliability.BINS:g}."
        )
    return text


def _told(b: Bin) -> str:
    return (
        f"mean P(Yes) {b.said:.2f}: {b.true:.2f} are targets [{b.low:.2f}, {b.high:.2f}], "
        f"n = {b.count}"
    )


def _size(count: int) -> float:
    return 2.5 + 1.1 * math.log10(count)


def _points(swept: Sequence[Verdict], name: str) -> str:
    pairs = ((v.threshold, getattr(v, name)) for v in swept)
    return " ".join(f"{_x(t):.1f},{_y(v):.1f}" for t, v in pairs if not math.isnan(v))


def thresholds(swept: Sequence[Verdict], now: Verdict) -> str:
    """Precision, recall and F1 for every threshold, the chosen one marked."""
    lines = "".join(
        f'<polyline class="line {name}" points="{_points(swept, name)}"/>'
        for name in ("precision", "recall", "f1")
    )
    mark = f'<line class="now" x1="{_x(now.threshold):.1f}" x2="{_x(now.threshold):.1f}" '
    mark += f'y1="{_y(0)}" y2="{_y(1)}"/>'
    for name in ("precision", "recall", "f1"):
        value = getattr(now, name)
        if not math.isnan(value):
            mark += (
                f'<circle class="{name}" cx="{_x(now.threshold):.1f}" cy="{_y(value):.1f}" r="4"/>'
            )
    title = f"Precision, recall and F1 by threshold; at {now.threshold:.2f}: {verdict_text(now)}"
    return _frame(title, "threshold of P(Yes)", "", lines + mark)


def verdict_text(v: Verdict) -> str:
    """'precision 0.81, recall 0.64, F1 0.72'."""
    return f"precision {_n(v.precision)}, recall {_n(v.recall)}, F1 {_n(v.f1)}"


def _n(value: float, digits: int = 3) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def page(found: Judged, chosen: str, threshold: float, about: str, facts: Mapping[str, Any]) -> str:
    """Both charts, the settings, and the kinds.

    Args:
        found: The judged candidates.
        chosen: The name of a setting.
        threshold: From which P(Yes) on a candidate counts as found.
        about: Where the numbers come from.
        facts: The judge's calibration file.
    """
    table = settings(found)
    setting = next((s for s in table if s.name == chosen), table[0])
    p = found.probabilities(setting.temperature)
    swept, now = reliability.sweep(p, found.right), reliability.at(p, found.right, threshold)
    top = reliability.best(swept)
    counted = f"{len(p)} judged candidates, {int(found.right.sum())} of them targets. {about}"
    return (
        '<div class="calibration"><section class="card2"><h3>Is 0.8 really 80 in 100?</h3>'
        f'<p class="answer">{answer(p, found.right, setting.scores.ece)}</p>'
        "<p class='what'>Candidates by P(Yes) in ten bins: where the dots lie on the dashed line, "
        "P(Yes) is the share of targets. Lines: 95 % intervals (Wilson); dots grow with their "
        f"number.</p>{curve(reliability.bins(p, found.right))}{_bins(p, found)}</section>"
        '<section class="card2"><h3>Yes from which P(Yes) on?</h3>'
        "<p class='what'>Precision: share of the yeses that are targets. Recall: share of the "
        "judged targets that get a yes. F1: their harmonic mean.</p>"
        f"{thresholds(swept, now)}{_verdict(now, top)}</section>"
        f'<section class="card2"><h3>What a temperature does</h3>{_settings(table, setting)}'
        "<p class='what'>A temperature divides the margin (log-odds); it changes no order. ECE: "
        "mean distance of P(Yes) from the share of targets over ten bins. Brier: mean squared "
        f"error. Log loss in nats. Less is better in all three.</p>{shipped(facts)}</section>"
        f'<section class="card2"><h3>By kind of modification</h3>'
        f"{_kinds(found, setting.temperature, threshold)}</section>"
        f"<p class='protocol'>{esc(counted)}</p></div>"
    )


def _bins(p: np.ndarray, found: Judged) -> str:
    counts = np.histogram(p, reliability.BINS, (0, 1))[0]
    top = math.log10(max(int(counts.max()), 1) + 1)
    bars = "".join(
        f'<li title="P(Yes) {n / 10:.1f} to {(n + 1) / 10:.1f}: {count}"><i style="height:'
        f'{math.log10(count + 1) / top:.0%}"></i><small>{count}</small></li>'
        for n, count in enumerate(counts.tolist())
    )
    label = "Candidates in each bin, heights on a log scale"
    return f'<ol class="counts" aria-label="{label}">{bars}</ol><p class="what">{label}.</p>'


def _verdict(now: Verdict, top: Verdict) -> str:
    cells = "".join(
        f'<li class="{name}"><small>{label}</small><b>{_n(getattr(now, name))}</b></li>'
        for name, label in (
            ("precision", "― precision"),
            ("recall", "- - recall"),
            ("f1", "·-· F1"),
        )
    )
    return (
        f'<ul class="trio">{cells}</ul><p class="what">From P(Yes) {now.threshold:.2f} on, '
        f"{now.yes} candidates get a yes and {now.hits} of them are targets. F1 is highest, "
        f"{_n(top.f1)}, from {top.threshold:.2f} on.</p>"
    )


def _plain(
    heads: Sequence[str], rows: Sequence[Sequence[object]], label: str, now: str = ""
) -> str:
    """A table; the first of each row names it."""
    top = "".join(f'<th scope="col">{esc(h)}</th>' for h in heads)
    body = "".join(
        f'<tr{" class=now" if name == now else ""}><th scope="row">{esc(name)}</th>'
        + "".join(f"<td>{esc(cell)}</td>" for cell in cells)
        + "</tr>"
        for name, *cells in rows
    )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{esc(label)}"><table '
        f'class="plain"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _settings(table: Sequence[Setting], chosen: Setting) -> str:
    heads = ("P(Yes)", "temperature", "ECE", "Brier", "log loss", "AUC")
    rows = [
        (
            s.name,
            f"{s.temperature:.3f}",
            _n(s.scores.ece, 4),
            _n(s.scores.brier, 4),
            _n(s.scores.log_loss, 4),
            _n(s.scores.auc),
        )
        for s in table
    ]
    return _plain(heads, rows, "Temperatures and what they give", chosen.name)


def _kinds(found: Judged, temperature: float, threshold: float) -> str:
    heads = ("kind", "candidates", "targets", "ECE", "Brier", "AUC", "precision", "recall")
    rows = []
    for kind in sorted({k for k in found.kinds.tolist() if k}):
        some = found.of(kind)
        p = some.probabilities(temperature)
        s, v = reliability.scores(p, some.right), reliability.at(p, some.right, threshold)
        numbers = (_n(s.ece, 4), _n(s.brier, 4), _n(s.auc), _n(v.precision), _n(v.recall))
        rows.append((kind, s.count, s.targets, *numbers))
    if not rows:
        return "<p class='what'>The queries of this dataset have no kinds.</p>"
    note = f"<p class='what'>Precision and recall from P(Yes) {threshold:.2f} on.</p>"
    return _plain(heads, rows, "Calibration by kind") + note


def shipped(facts: Mapping[str, Any]) -> str:
    """What the judge's own calibration file says: its temperature, before and after."""
    if not facts:
        return ""
    where = ", ".join(map(str, facts.get("datasets", ())))
    return (
        f"<p class='what'>The judge ships with temperature {float(facts['temperature']):.3f}, "
        f"fitted on split {esc(facts.get('split', '?'))} of {esc(where)} "
        f"({esc(facts.get('candidates', '?'))} candidates, {esc(facts.get('targets', '?'))} "
        f"targets): ECE {_n(float(facts.get('ece_before', math.nan)), 4)} before, "
        f"{_n(float(facts.get('ece', math.nan)), 4)} after, "
        f"{_n(float(facts.get('ece_with_prior', math.nan)), 4)} with the true share of targets "
        "told. Fit on val, report on test: a temperature chosen on the queries it is reported on "
        "flatters itself.</p>"
    )
