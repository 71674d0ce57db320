"""The tour as HTML: steps, lesson, proof. Pure functions; every text is escaped."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cirdemo import asked
from cirdemo.selftest import Check
from cirdemo.types import ImageId
from cirdemo.ui import cards
from cirdemo.ui.cards import Marks, Pictures, esc
from cirdemo.ui.findings import Finding, Run
from cirdemo.ui.learn.lessons import LESSONS, Lesson
from cirdemo.ui.search import judge_views, reason_views
from cirdemo.ui.shelf import Example
from cirdemo.ui.view import View

SHOWN = 7  # cards of a list; the target follows where it stands further down
NAMES = {
    "union": "Union",
    "intersection": "Intersection",
    "judge": "Re-ranked by the judge",
    "cot": "Reasoning",
    "cot_direct": "No reasoning",
    "dpo_published": "Retrieval-DPO as its code does it",
    "dpo": "Retrieval-DPO as its text means it",
    "text": "Text only",
}
SAYS = {
    "union": "all of the reference, changed",
    "intersection": "only what the text is about",
    "judge": "the first 50 of the intersection, by P(Yes)",
    "cot": "the vector behind a written rationale",
    "cot_direct": "the same model, concluding at once",
    "text": "no picture, no description",
}
EXTRA = (("quiz", "Guess a method’s list"), ("test", "Test the program"))
SIGNS = {"quiz": "?", "test": "✓"}  # in place of a chapter's number


def steps(current: str) -> str:
    """The way through the tour: five chapters, the quiz, the self-test."""
    items = [(lesson.key, lesson.title) for lesson in LESSONS] + list(EXTRA)
    drawn = "".join(
        f'<li><button type="button" data-id="{key}"'
        f"{' aria-current=step' if key == current else ''}>"
        f'<b aria-hidden="true">{SIGNS.get(key, n)}</b>{esc(title)}</button></li>'
        for n, (key, title) in enumerate(items, 1)
    )
    return (
        '<header class="tour"><h2>How composed image retrieval works, and where it fails</h2>'
        "<p>Ten minutes: five chapters, then a quiz if you like. Nothing is canned: each button "
        "runs the models here and now, and the sentence below it is written from what came "
        "out.</p></header>"
        f'<nav aria-label="Chapters of the tour"><ol class="steps-nav">{drawn}</ol></nav>'
    )


def lesson(told: Lesson, examples: Sequence[Example], chosen: int, pictures: Pictures) -> str:
    """What a chapter says, and the query that it is shown on."""
    number = next(n for n, other in enumerate(LESSONS, 1) if other.key == told.key)
    words = "".join(f"<p>{esc(p)}</p>" for p in told.text)
    source = esc(told.source)
    if told.address:
        source = f'<a href="{esc(told.address)}" target="_blank" rel="noopener">{source}</a>'
    return (
        f'<article class="lesson"><div class="l-words"><p class="kick">Chapter {number} of '
        f"{len(LESSONS)}</p><h2>{esc(told.title)}</h2>{words}"
        f'<p class="source">Source: {source}</p></div>{_cases(examples, chosen, pictures)}'
        "</article>"
    )


def _cases(examples: Sequence[Example], chosen: int, pictures: Pictures) -> str:
    if not examples:
        return '<aside class="l-cases"><p>This gallery has no example query.</p></aside>'
    items = "".join(
        f'<li><button type="button" class="l-case" data-id="{n}" aria-pressed='
        f'"{"true" if n == chosen else "false"}"><img src="{esc(pictures.src(e.reference_id))}" '
        f'alt="{esc(pictures.alt(e.reference_id))}" width="88" height="88"><span>'
        f"<q>{esc(e.modification)}</q><small>{esc(e.label)}</small></span></button></li>"
        for n, e in enumerate(examples)
    )
    title = "The query" if len(examples) == 1 else "Choose a query"
    title += f", from the gallery {esc(examples[0].gallery)}"
    return f'<aside class="l-cases"><h3>{title}</h3><ul>{items}</ul></aside>'


def waiting(told: Lesson) -> str:
    """Before the run."""
    return cards.placeholder(
        "Press “Run it”: the models search now, and this place shows "
        + ", ".join(NAMES[name].lower() for name in told.show)
        + " with the known targets marked ★."
    )


def busy(stage: str) -> str:
    """While it runs."""
    spin = '<i class="spin" aria-hidden="true"></i>'
    return f'<p class="empty" role="status">{spin} {esc(stage)}…</p>'


def proof(told: Lesson, run: Run, pictures: Pictures) -> str:
    """What came out: the finding first, then the lists that show it, then the question."""
    found = told.finding(run)
    body = finding(found)
    result = run.result
    if set(told.show) == {"union", "intersection"}:
        body += descriptions(run)
    if result.rationale is not None and "cot" in told.show:
        body += reason_views.steps(result.rationale, View(), (), editable=False)
    lists = "".join(ranked(name, run, pictures) for name in told.show)
    if "judge" in told.show and result.reranked:
        chart = judge_views.flow(
            result.reranked, pictures, Marks(frozenset(run.targets)), "intersection"
        )
        lists = f'<div class="beside">{chart}<div>{lists}</div></div>'
    body += lists
    spent = " · ".join(asked.spent(result))
    return (
        f'<section class="proof">{body}<p class="spent">{esc(spent)}</p>'
        f'<details class="l-ask"><summary>{esc(told.question)}</summary>'
        f"<p>{esc(told.reveal)}</p></details></section>"
    )


def finding(found: Finding) -> str:
    """The sentences of a run, and whether it shows what the chapter says."""
    badge = (
        '<span class="badge yes-it">✓ this run shows it</span>'
        if found.holds
        else '<span class="badge not-it">○ not in this run</span>'
    )
    first, *rest = found.sentences
    more = "".join(f"<p>{esc(s)}</p>" for s in rest)
    return (
        f'<div class="finding" role="status">{badge}<p class="l-first">{esc(first)}</p>{more}</div>'
    )


def descriptions(run: Run) -> str:
    """Both descriptions as chips."""
    panels = "".join(
        f'<article class="panel {mode}"><h3>{NAMES[mode]}</h3><blockquote>{esc(d.text)}'
        f"</blockquote>{cards.chips(d.cues)}</article>"
        for mode, d in run.result.descriptions.items()
        if mode in ("union", "intersection")
    )
    return f'<div class="two">{panels}</div>'


def ranked(name: str, run: Run, pictures: Pictures) -> str:
    """The head of a list, and the best target where it is not in it."""
    result, rank = run.result, run.rank(name)
    rows: list[tuple[ImageId, str]] = (
        [(r.image_id, f"P(Yes) {r.yes_probability:.2f}") for r in result.reranked]
        if name == "judge"
        else [(c.image_id, f"{c.score:.3f}") for c in result.coarse[name].candidates]
        if name in result.coarse
        else []
    )
    drawn = strip(rows[:SHOWN], pictures, run.targets)
    if rank and rank > SHOWN:
        gap = f'<li class="gap" aria-hidden="true">… {rank - SHOWN - 1} more …</li>'
        gap = gap if rank > SHOWN + 1 else ""
        drawn += gap + strip([rows[rank - 1]], pictures, run.targets, start=rank)
    where = f"best target at <b>{rank}</b>" if rank else "no target in the list"
    says = f"<small>{esc(SAYS[name])}</small>" if name in SAYS else ""
    return (
        f'<div class="llist {name}"><h3>{esc(NAMES[name])} {says}<span>{where}</span></h3>'
        f'<ol class="lrow">{drawn}</ol></div>'
    )


def strip(
    rows: Sequence[tuple[ImageId, str]],
    pictures: Pictures,
    targets: Collection[ImageId],
    start: int = 1,
) -> str:
    """Cards of a list as items, the targets marked by a star, a frame and a word."""
    drawn = ""
    for rank, (image_id, foot) in enumerate(rows, start):
        hit = image_id in targets
        mark = f'<span class="marks"><span class="star">★</span></span>{cards.hidden("target")}'
        drawn += (
            f'<li class="lcard{" target" if hit else ""}"><span class="pic">'
            f'<img src="{esc(pictures.src(image_id))}" alt="{esc(pictures.alt(image_id))}" '
            f'title="{esc(pictures.alt(image_id))}" width="120" height="120" loading="lazy">'
            f'<span class="rank">{rank}</span>{mark if hit else ""}</span>'
            f'<span class="score">{esc(foot)}</span></li>'
        )
    return drawn


def checks(rows: Sequence[Check], *, running: bool = False) -> str:
    """The self-test as a list: what was checked, seconds, what failed."""
    sign = {"passed": "✓", "failed": "✗", "left out": "–"}
    items = "".join(
        f'<li class="{r.state.replace(" ", "-")}"><b aria-hidden="true">{sign[r.state]}</b>'
        f"{cards.hidden(r.state + ': ')}<span>{esc(r.name)}</span><span>{esc(r.detail)}</span>"
        f'<span class="num">{cards.duration(r.seconds) if r.seconds else ""}</span></li>'
        for r in rows
    )
    failed = sum(r.state == "failed" for r in rows)
    total = sum(r.seconds for r in rows)
    told = f"{failed} failed" if failed else "Everything works"
    end = f'<p class="l-first">{told}; {total:.1f} s in all.</p>' if rows and not running else ""
    if running:
        items += '<li><i class="spin" aria-hidden="true"></i><span>checking…</span></li>'
    return f'<div role="status">{end}<ul class="checks">{items}</ul></div>'
