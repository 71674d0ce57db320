"""An `evaluate --json` object as Markdown: the narrow table, and what stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from cirdemo.evaluate import errors

Report = Mapping[str, Any]  # the `evaluate --json` object
COLUMNS = {  # metric -> heading
    "R@1": "R@1",
    "R@5": "R@5",
    "R@10": "R@10",
    "R@50": "R@50",
    "R_subset@1": "R_subset@1",
    "mAP@10": "mAP@10",
    "composition_gap": "gap",
    "match": "text exact",  # description_match, conclusion_match or caption_match
    "judge_AUC": "judge AUC / ECE",
}


def markdown(report: Report) -> str:
    """Methods by metric; rates in percent, interval of R@1."""
    used = [c for c in COLUMNS if any(_value(m, c) is not None for m in report["methods"].values())]
    lines = _table(
        ["method", *(COLUMNS[c] for c in used)],
        ([name, *(_cell(m, c) for c in used)] for name, m in report["methods"].items()),
    )
    other = "caption-only" if "captions" in report else "image-only"
    return (
        f"{lines}\n\n{report['queries']} queries of split `{report['split']}`, {report['gallery']} "
        f"pictures, protocol `{report['protocol']}`. Rates in percent; in brackets the 95 % "
        "bootstrap interval over queries. A query counts as found when any of its targets is. Gap: "
        f"R@10 minus the better of text-only and {other} R@10."
        + (f" {ties}" if (ties := tied(report["methods"])) else "")
    )


def tied(methods: Mapping[str, Mapping[str, Any]]) -> str:
    """Which methods give targets the score of other pictures, and what R@1 could be; or ""."""
    told = []
    for name, found in methods.items():
        ties = found.get("ties")
        if ties and ties["queries"]:
            low, high = (f"{100 * ties[f'R@1 {end}']:.1f}" for end in ("lowest", "highest"))
            told.append(f"{name} {int(ties['queries'])} (R@1 {low} to {high})")
    return f"Targets that tie with other pictures: {', '.join(told)}." if told else ""


def blocks_markdown(report: Report) -> str:
    """What has been measured beside the methods' lists, a heading each; "" where nothing has."""
    sections: dict[str, Callable[[Report], str]] = {
        "R@1 by phrasing, in percent": _phrasings,
        "True statements of the rationale, in percent": _statements,
        "Misses of SETR at rank 1, and the stage to blame": _errors,
        "Impossible edits that are refused, in percent": _impossible,
        "Hottest cell of the heatmaps inside the box, in percent": _explanations,
        "Left out": _skipped,
    }
    made = {heading: make(report) for heading, make in sections.items()}
    return "\n\n".join(f"### {heading}\n\n{text}" for heading, text in made.items() if text)


def _table(heads: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _value(means: Mapping[str, Any], column: str) -> float | None:
    if column == "match":
        column = next((k for k in means if k.endswith("_match")), column)
    value = means.get(column)
    return None if value is None else float(value)


def _cell(means: Mapping[str, Any], column: str) -> str:
    value = _value(means, column)
    if value is None:
        return "-"
    if column == "judge_AUC":
        ece = _value(means, "judge_ECE")
        return f"{value:.3f} / " + ("-" if ece is None else f"{ece:.3f}")
    return percent(value, means.get("interval", {}).get(column) if column == "R@1" else None)


def percent(value: float | None, ends: Sequence[float | None] | None = None, sign: str = "") -> str:
    """'77.2 [73.7, 80.3]'; '-' where there is no value."""
    if value is None:
        return "-"
    text = f"{value * 100:{sign}.1f}"
    if not ends or None in ends:
        return text
    low, high = (f"{float(str(v)) * 100:{sign}.1f}" for v in ends)
    return f"{text} [{low}, {high}]"


def _phrasings(report: Report) -> str:
    methods = report["methods"].items()
    told = {n: m["by_phrasing"] for n, m in methods if m.get("by_phrasing")}
    if not told:
        return ""
    rows = (
        [n, percent(t["seen"]), percent(t["unseen"]), percent(t["difference"], t["interval"], "+")]
        for n, t in told.items()
    )
    count = next(iter(told.values()))["queries"]
    return (
        f"{_table(['method', 'seen', 'unseen', 'difference'], rows)}\n\n{count['seen']} queries in "
        f"phrasings of every split, {count['unseen']} in those that only test has."
    )


def _statements(report: Report) -> str:
    methods = report["methods"].items()
    lines = [
        f"- `{name}`: {percent(m['sentence_truth'], m['interval'].get('sentence_truth'))}"
        for name, m in methods
        if m.get("sentence_truth") is not None
    ]
    return "\n".join(lines)


def _errors(report: Report) -> str:
    found = report.get("errors")
    return errors.table({"queries": report["queries"], **found}) if found else ""


def _impossible(report: Report) -> str:
    found = report.get("impossible")
    if not found:
        return ""
    kinds = ", ".join(f"{kind} {percent(share)}" for kind, share in found["by_kind"].items())
    return (
        f"{percent(found['refused'], found['interval'])} of {found['queries']}: no candidate has a "
        f"P(Yes) of 0.5 or more. By kind: {kinds}."
    )


def _explanations(report: Report) -> str:
    """The pointing game by text, region and picture, and the areas under the curves."""
    found = report.get("explanations")
    if not found:
        return ""
    cells = {
        (region, picture): texts
        for region, pictures in found["pointing"].items()
        for picture, texts in pictures.items()
        if picture != "contrast"
    }
    heads = list(dict.fromkeys(text for texts in cells.values() for text in texts))

    def shown(value: Mapping[str, Any] | None) -> str:
        return "-" if value is None else percent(value["mean"], value["interval"])

    rows = (
        [region, picture, *(shown(texts.get(h)) for h in heads)]
        for (region, picture), texts in cells.items()
    )
    parts = [_table(["hottest cell in", "picture", *heads], rows)]
    for region, pictures in found["pointing"].items():
        if contrast := pictures.get("contrast"):
            told = ", ".join(f"{name} {shown(value)}" for name, value in contrast.items())
            parts.append(f"Contrast, {region}: {told}.")
    for curve in ("deletion", "insertion"):
        areas = (found.get("curves") or {}).get(curve) or {}
        told = ", ".join(f"{name} {value['mean']:.3f}" for name, value in areas.items())
        if told:
            parts.append(f"Area under the {curve} curve: {told}.")
    return "\n\n".join(parts)


def _skipped(report: Report) -> str:
    return "\n".join(f"- `{name}`: {why}" for name, why in report.get("skipped", {}).items())
