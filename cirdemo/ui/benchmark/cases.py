"""The failure browser's pieces: facets with counts, rows, and one query in full, as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cirdemo.describe import phrases
from cirdemo.evaluate import failures
from cirdemo.evaluate.failures import Filter
from cirdemo.evaluate.packed import SETR, Case, Cases, probability
from cirdemo.types import CirError, ImageId
from cirdemo.ui.cards import esc, hidden
from cirdemo.ui.naming import SAYS, called, code
from cirdemo.ui.shelf import Library

PAGE = 60  # rows shown at once
ORDER = ("setr", "setr_fused", "intersection", "union", "enhanced", "cot", "cot_direct", "rrf")
SHOWN = 4  # methods with a chip in a row, of `ORDER` first
FACETS = {
    "blame": (
        "Blame",
        "The stage that a miss after re-ranking is due to, asked in the order they run.",
    ),
    "band": ("Rank", "Rank of the best target under the method chosen above."),
    "versus": ("Descriptions", "Which of the two puts its best target higher."),
    "p": ("P(Yes) of target", "What the judge gave the best judged target."),
    "kind": ("Kind", "What the modification asks for."),
    "phrasing": ("Phrasing", "Unseen: a wording that only test queries have."),
}
SHORT = {
    "description dropped a needed cue": "dropped cue",
    "coarse miss": "coarse miss",
    "judge wrong": "judge wrong",
    "missed": "any miss",
    "1": "first",
}
SIGNS = {  # of the blames: by shape as well as by words
    "description dropped a needed cue": "✂",
    "coarse miss": "◌",
    "re-rank inversion": "⇅",
    "judge wrong": "✕",
    "found": "✓",
}


class Shown:
    """Pictures of a dataset that may not be here: an evaluation can come from elsewhere."""

    def __init__(self, library: Library, dataset: str) -> None:
        """Of the gallery that has the dataset's name, where there is one."""
        self.here = dataset in library.engine.galleries()
        self._shelf: Any = library.shelf(dataset) if self.here else None

    def alt(self, image_id: ImageId) -> str:
        """What a picture shows, or its id."""
        return str(self._shelf.alt(image_id)) if self.here else image_id

    def image(self, image_id: ImageId, size: int, alt: str | None = None) -> str:
        """The thumbnail; a box with the id where the picture is not here."""
        told = esc(self.alt(image_id) if alt is None else alt)
        try:
            src = self._shelf.src(image_id) if self.here else ""
        except (CirError, KeyError, OSError):
            src = ""
        if not src:
            return f'<span class="nopic" title="not on this machine">{esc(image_id)}</span>'
        return (
            f'<img src="{esc(src)}" alt="{told}" title="{told}" width="{size}" height="{size}" '
            'loading="lazy">'
        )


def ordered(cases: Cases) -> list[str]:
    """Methods in the order in which they interest: SETR, its lists, the others.

    What was measured beside the lists ranks nothing, and is left out.
    """
    methods = [m for m in cases.methods if any(c.ranks.get(m) for c in cases.cases)]
    return sorted(methods, key=lambda m: (ORDER.index(m) if m in ORDER else len(ORDER), m))


def facets(cases: Cases, asked: Filter) -> str:
    """Every choice with the number of queries it would leave."""
    table = failures.counts(cases.cases, asked)
    lines = [_methods(ordered(cases), asked.method)]
    for facet, (name, says) in FACETS.items():
        if table.get(facet):
            lines.append(_facet(facet, name, says, table[facet], getattr(asked, facet)))
    return f'<div class="facets">{"".join(lines)}</div>'


def _facet(facet: str, name: str, says: str, table: Mapping[str, int], chosen: str) -> str:
    chips = "".join(
        f'<li><button type="button" class="facet" data-action="filter" data-facet="{facet}" '
        f'data-value="{esc(value)}" aria-pressed="{str(value == chosen).lower()}" '
        f'title="{esc(value)}"{"" if count or value == chosen else " disabled"}>'
        f"{_sign(value)}{esc(SHORT.get(value, value))} <b>{count}</b></button></li>"
        for value, count in table.items()
    )
    return (
        f'<div class="line"><h3 title="{esc(says)}">{esc(name)}</h3>'
        f'<ul aria-label="{esc(name)}: {esc(says)}">{chips}</ul></div>'
    )


def _methods(methods: Sequence[str], chosen: str) -> str:
    chips = "".join(
        f'<li><button type="button" class="facet method" data-action="filter" data-facet="method" '
        f'data-value="{esc(m)}" aria-pressed="{str(m == chosen).lower()}" '
        f'title="{esc(", ".join(filter(None, (code(m), SAYS.get(m, "")))))}">{esc(called(m))}'
        "</button></li>"
        for m in methods
    )
    return f'<div class="line"><h3>Ranks by</h3><ul aria-label="Ranks by method">{chips}</ul></div>'


def _sign(value: str) -> str:
    return f'<i aria-hidden="true">{SIGNS[value]}</i> ' if value in SIGNS else ""


def rank_chip(method: str, rank: int | None, *, main: bool = False) -> str:
    """A method's rank of the best target: filled where it is first."""
    kind = "first" if rank == 1 else "near" if rank and rank <= 10 else "far"
    star = "★ " if rank == 1 else ""
    return (
        f'<span class="rk {kind}{" by" if main else ""}" title="rank of the best target by '
        f'{esc(called(method))}"><small>{esc(called(method))}</small> {star}{rank or "–"}</span>'
    )


def rows(
    cases: Cases, found: Sequence[Case], picked: str, page: int, asked: Filter, pictures: Shown
) -> str:
    """A page of queries, as a list to walk through."""
    if not found:
        return (
            '<p class="empty">No query fits all of these choices. Take one back: click it again.'
            "</p>"
        )
    first = page * PAGE
    items = "".join(row(c, cases, picked, asked, pictures) for c in found[first : first + PAGE])
    last = min(first + PAGE, len(found))
    return (
        f'<ol class="qlist" data-before="{int(page > 0)}" data-after="{int(last < len(found))}" '
        f'start="{first + 1}">{items}</ol><div class="pager">'
        f'<button type="button" data-action="page" data-value="{page - 1}"'
        f"{'' if page else ' disabled'}>‹ before</button>"
        f"<span>{first + 1}–{last} of {len(found)}</span>"
        f'<button type="button" data-action="page" data-value="{page + 1}"'
        f"{'' if last < len(found) else ' disabled'}>after ›</button></div>"
    )


def row(case: Case, cases: Cases, picked: str, asked: Filter, pictures: Shown) -> str:
    """One query: its text, the ranks of the best target, the blame."""
    names = ordered(cases)[:SHOWN]
    if asked.method not in names and asked.method in case.ranks:
        names = [asked.method, *names[: SHOWN - 1]]
    chips = "".join(rank_chip(m, case.ranks.get(m), main=m == asked.method) for m in names)
    blame = case.blame or ("found" if SETR in case.ranks else "")
    told = f'<span class="blame">{_sign(blame)}{esc(SHORT.get(blame, blame))}</span>'
    current = "true" if case.query_id == picked else "false"
    return (
        f'<li><button type="button" class="qrow" data-id="{esc(case.query_id)}" '
        f'aria-current="{current}">{pictures.image(case.reference_id, 46, "")}'
        f'<span class="mod"><small>{esc(case.kind)} · '
        f"{esc(case.query_id)}</small><q>{esc(case.text)}</q></span>"
        f'<span class="tail">{told if blame else ""}<span class="rks">{chips}</span></span>'
        "</button></li>"
    )


def detail(case: Case, cases: Cases, pictures: Shown, place: str) -> str:
    """One query in full."""
    targets = "".join(
        f"<li>{pictures.image(i, 120)}<small>★ target</small></li>" for i in case.target_ids
    )
    lists = "".join(_list(m, case, pictures) for m in ordered(cases) if case.tops.get(m))
    blame = case.blame or ("found" if SETR in case.ranks else "")
    name = f"{_sign(blame)}{esc(blame)}" if blame else "not measured"
    return (
        f'<article class="one" data-query="{esc(case.query_id)}"><header><small>{esc(place)} · '
        f"{esc(case.kind or 'no kind')}"
        + (f" · phrasing {esc(case.phrasing)}" if case.phrasing else "")
        + f" · {esc(case.query_id)}</small><h2><q>{esc(case.text)}</q></h2></header>"
        f'<div class="head"><div class="from"><figure>{pictures.image(case.reference_id, 180)}'
        f"<figcaption>reference</figcaption></figure><span class='arrow' aria-hidden='true'>→"
        f'</span><ul class="targets" aria-label="All targets">{targets}</ul></div>'
        f'<p class="verdict"><b>{name}</b> {esc(failures.why(case))}</p></div>'
        f"{_texts(case)}"
        f'<h3>First five by method</h3><div class="lists">{lists}</div>'
        f'<p class="what">★ target · ▣ hard negative of the query\'s subset · number behind the '
        f"method: rank of its best target. {esc(_of(cases))}</p></article>"
    )


def _of(cases: Cases) -> str:
    return f"Query of {cases.dataset}, split {cases.split}."


def _list(method: str, case: Case, pictures: Shown) -> str:
    right, group = set(case.target_ids), set(case.subset_ids)
    items = []
    for n, image_id in enumerate(case.tops[method]):
        star = "★" if image_id in right else "▣" if image_id in group else ""
        said = {"★": "target, ", "▣": "hard negative, "}.get(star, "")
        alt = f"rank {n + 1}, {said}{pictures.alt(image_id)}"
        p = _p(method, n, case)
        foot = f'<span class="num">{p:.2f}</span>' if p is not None else ""
        items.append(
            f'<li class="{"hit" if star == "★" else ""}">{pictures.image(image_id, 72, alt)}'
            f'<b class="at" aria-hidden="true">{n + 1}{f" {star}" if star else ""}</b>{foot}</li>'
        )
    note = " P(Yes) below" if method == SETR and case.was else ""
    return (
        f'<div class="top5"><h4>{rank_chip(method, case.ranks.get(method))}'
        f'<small>{note}</small></h4><ol aria-label="First five of {esc(called(method))}">'
        f"{''.join(items)}</ol></div>"
    )


def _p(method: str, n: int, case: Case) -> float | None:
    """P(Yes) of the n-th picture, where it was judged."""
    if method == SETR and n < len(case.was) and case.was[n] <= len(case.margins):
        return probability(case.margins[case.was[n] - 1])
    return None


def _texts(case: Case) -> str:
    """What was written beside what is true: missing phrases struck, added ones marked."""
    lines = []
    for method, text in case.texts.items():
        if method in ("setr", "setr_fused") and case.texts.get("intersection") == text:
            continue
        mode = "conclusion" if method.startswith("cot") else method
        if method in ("setr", "setr_fused"):
            mode = "intersection"
        truth = case.truths.get(mode, "") or (
            case.truths.get("intersection", "") if mode == "conclusion" else ""
        )
        lines.append(f"<div><dt>{esc(called(method))}</dt><dd>{_compared(text, truth)}</dd></div>")
    return f'<dl class="texts">{"".join(lines)}</dl>' if lines else ""


def _compared(text: str, truth: str) -> str:
    if not truth:
        return f"<p>{esc(text)}</p>"
    if text.strip() == truth.strip():
        return f'<p>{esc(text)} <span class="ok">✓ as the true one</span></p>'
    missing, extra = _differences(text, truth), _differences(truth, text)
    told = "".join(
        f'<li class="chip dropped"><b aria-hidden="true">−</b>{hidden("missing: ")}<s>{esc(p)}</s>'
        "</li>"
        for p in missing
    ) + "".join(
        f'<li class="chip added"><b aria-hidden="true">+</b>{hidden("not in the true one: ")}'
        f"<span>{esc(p)}</span></li>"
        for p in extra
    )
    chips = f'<ul class="chips" aria-label="Written against true">{told}</ul>' if told else ""
    return f"<p>{esc(text)}</p><p class='true'><small>true</small> {esc(truth)}</p>{chips}"


def _differences(text: str, truth: str) -> list[str]:
    """Phrases of the second that the first does not have."""
    have = phrases(text)
    return [p for p in phrases(truth) if p not in have]
