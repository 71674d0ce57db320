"""The table of an evaluation and the line that says how it was measured: numbers in, HTML out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cirdemo.evaluate.opened import Opened
from cirdemo.ui.cards import esc, hidden
from cirdemo.ui.naming import SAYS, called, titled

Report = Mapping[str, Any]
PROTOCOLS = {
    "reference-excluded": "the reference image is left out of the results",
    "reference-kept": "the reference image may be among the results",
}
SPLITS = {
    "val": "for choosing and tuning",
    "test": "for reporting, not for choosing",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A metric: where it stands, what its head says, and how its cell is drawn."""

    key: str
    head: str
    says: str
    top: float = 1.0  # value of a full bar; 0 draws none
    better: int = 1  # -1 where less is better
    percent: bool = True


COLUMNS = (
    Column("R@1", "R@1", "Share of queries with a target at rank 1."),
    Column("R@5", "R@5", "Share of queries with any target among the first 5."),
    Column("R@10", "R@10", "Share of queries with any target among the first 10."),
    Column("R@50", "R@50", "Share of queries with any target among the first 50."),
    Column(
        "R_subset@1",
        "R_sub@1",
        "R@1 when only the query's subset counts: a few pictures that look alike (CIRR).",
    ),
    Column(
        "mAP@10",
        "mAP@10",
        "Mean average precision of the first 10, for queries with several targets (CIRCO).",
    ),
    Column(
        "composition_gap",
        "gap",
        "R@10 minus the better of text-only and image-only R@10: what composing both adds.",
    ),
    Column(
        "match",
        "text exact",
        "Share of written texts (description, conclusion or caption) that are the true one, word "
        "by word.",
    ),
    Column(
        "judge_AUC",
        "AUC",
        "Chance that the judge's P(Yes) is higher for a target than for another candidate.",
        percent=False,
    ),
    Column(
        "judge_ECE",
        "ECE",
        "Expected calibration error: how far P(Yes) is from the share of targets; less is better.",
        top=0,
        better=-1,
        percent=False,
    ),
    Column("each", "s / query", "Seconds a query, all that the method rests on.", 0, -1, False),
)


def value_of(numbers: Mapping[str, Any], key: str) -> float | None:
    """A method's number for a column, or None."""
    if key == "each":
        return float(numbers.get("seconds") or 0) / max(int(numbers.get("n") or 1), 1)
    if key == "match":
        key = next((k for k in numbers if k.endswith("_match")), key)
    value = numbers.get(key)
    return None if value is None else float(value)


def _shown(value: float, column: Column, sign: str = "") -> str:
    if column.percent:
        return f"{value * 100:{sign}.1f}"
    return f"{value:.3f}" if column.key != "each" else f"{value:.2f}"


def _cell(numbers: Mapping[str, Any], column: Column, best: float | None) -> str:
    value = value_of(numbers, column.key)
    if value is None:
        return '<td class="none" data-v="">–</td>'
    gap = column.key == "composition_gap"
    text = _shown(value, column, "+" if gap else "")
    ends = _ends(numbers, column.key)
    low, high = (_shown(e, column) for e in ends) if ends else ("", "")
    told = f"95 % interval {low} to {high}" if ends else ""
    small = f"<small>[{low}, {high}]</small>" if ends and column.key == "R@1" else ""
    top = value == best
    mark = f"<b>{text}</b>{hidden(' best of the column')}" if top else text
    bar = _bar(value, ends) if column.top and not gap else ""
    kind = "best" if top else ("minus" if gap and value < 0 else "")
    return (
        f'<td data-v="{value:.6f}" class="{kind}" title="{esc(told)}">'
        f"<span>{mark}{small}</span>{bar}</td>"
    )


def _ends(numbers: Mapping[str, Any], key: str) -> tuple[float, float] | None:
    """The ends of a number's interval, where both are known."""
    low, high = (numbers.get("interval") or {}).get(key) or (None, None)
    return None if low is None or high is None else (float(low), float(high))


def _bar(value: float, ends: tuple[float, float] | None) -> str:
    """A bar as long as the value, and a line over it from end to end of the interval."""
    width = f"{min(max(value, 0), 1):.1%}"
    line = ""
    if ends:
        low, high = (min(max(e, 0), 1) for e in ends)
        line = f'<u style="left:{low:.1%};width:{high - low:.1%}"></u>'
    return f'<i class="cellbar" aria-hidden="true"><em style="width:{width}"></em>{line}</i>'


def table(report: Report) -> str:
    """Methods by metric, sortable; best of each column in bold."""
    methods: Mapping[str, Any] = report["methods"]
    used = [c for c in COLUMNS if any(value_of(m, c.key) is not None for m in methods.values())]
    heads = "".join(
        f'<th scope="col" aria-sort="none"><button type="button" data-says="{esc(_says(c))}" '
        f'title="{esc(c.says)}">{esc(c.head)}<i aria-hidden="true"></i></button></th>'
        for c in used
    )
    best: dict[str, float | None] = {}
    for c in used:
        found = [v for m in methods.values() if (v := value_of(m, c.key)) is not None]
        best[c.key] = (max(found) if c.better > 0 else min(found)) if len(found) > 1 else None
        if c.key == "each":
            best[c.key] = None  # being quick and wrong is no merit
    rows = "".join(
        f'<tr><th scope="row" data-v="{esc(called(name))}">{titled(name)}'
        f"<small>{esc(SAYS.get(name, ''))}</small></th>"
        + "".join(_cell(m, c, best[c.key]) for c in used)
        + "</tr>"
        for name, m in methods.items()
    )
    first = (
        '<th scope="col" aria-sort="none"><button type="button" data-says="Method: its name, in '
        'small its name in files and commands, and what it does.">method'
        '<i aria-hidden="true"></i></button></th>'
    )
    return (
        '<div class="sheet"><p class="says" role="status">Point at or tap a column head to read '
        'what it means; a click sorts.</p><p class="more" aria-hidden="true">More columns: scroll '
        'sideways →</p><div class="wide" tabindex="0" role="region" '
        f'aria-label="Methods by metric; scrolls sideways"><table class="methods">'
        f"<thead><tr>{first}{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
        f'<p class="caption">{_caption(report)}</p></div>'
    )


def _says(column: Column) -> str:
    unit = " In percent." if column.percent else ""
    return f"{column.head}: {column.says}{unit}"


def _caption(report: Report) -> str:
    return esc(
        f"{measured(report)}. Rates in percent; thin lines and brackets are 95 % bootstrap "
        "intervals over queries."
    )


def measured(report: Report) -> str:
    """'600 queries of fables, split test · 2000 pictures · reference-excluded'."""
    planned = int(report.get("planned") or report["queries"])
    count = f"{report['queries']} queries"
    if planned > int(report["queries"]):
        count = f"first {report['queries']} of {planned} planned queries"
    pictures = f" · {report['gallery']} pictures" if report.get("gallery") else ""
    return (
        f"{count} of {report['dataset']}, split {report['split']}{pictures} · {report['protocol']}"
    )


def header(opened: Opened, origin: str) -> str:
    """What was measured, how, with what, by which command."""
    report = opened.report
    made = report.get("made") or {}
    protocol = str(report["protocol"])
    facts = [
        ("split", str(report["split"]), SPLITS.get(str(report["split"]), "")),
        ("pictures", str(report.get("gallery", "?")), "searched for every query"),
        ("protocol", protocol, PROTOCOLS.get(protocol, "")),
        ("made", str(made.get("date") or "date not stored"), origin),
    ]
    cells = "".join(
        f"<div><dt>{esc(name)}</dt><dd>{esc(value)}"
        + (f"<small>{esc(says)}</small>" if says else "")
        + "</dd></div>"
        for name, value, says in facts
    )
    notes = []
    if opened.partial:
        notes.append(
            f"Stopped early: the first {report['queries']} of {report['planned']} planned queries."
        )
    if opened.cases is None:
        notes.append(
            "The rows per query are not stored with it, so failures and calibration have nothing "
            "to show. Run it again on the page “Run”, or with “evaluate --out”."
        )
    for name, why in (report.get("skipped") or {}).items():
        notes.append(f"{called(name)} is left out: {why}")
    told = "".join(f'<p class="note"><b aria-hidden="true">i</b> {esc(n)}</p>' for n in notes)
    return (
        f'<div class="measured"><div class="count"><b>{esc(report["queries"])}</b>'
        f"<span>queries of <strong>{esc(report['dataset'])}</strong></span></div>"
        f"<dl>{cells}</dl></div>{told}{_provenance(report, made)}"
    )


def _provenance(report: Report, made: Mapping[str, Any]) -> str:
    models = made.get("models") or {}
    rows = "".join(
        f"<tr><th scope='row'>{esc(role)}</th><td>{esc(identity)}</td></tr>"
        for role, identity in models.items()
    )
    listed = (
        f"<table class='models'>{rows}</table>"
        if rows
        else "<p class='what'>The models' identities are not stored with this evaluation.</p>"
    )
    command = str(report.get("command") or "")
    line = (
        f'<div class="command"><code>{esc(command)}</code><button type="button" data-copy="'
        f'{esc(command)}">Copy</button></div>'
        if command
        else ""
    )
    return (
        '<details class="made"><summary>The command and the models that made these numbers'
        f"</summary>{line}{listed}</details>"
    )
