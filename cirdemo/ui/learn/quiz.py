"""Guess a list: a random validation query, a guess at it, and the truth from a run made for it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cirdemo.types import BadInput, ImageId, SearchResult, Triplet
from cirdemo.ui.cards import Pictures, esc, hidden
from cirdemo.ui.findings import Run
from cirdemo.ui.gallery.build_views import title
from cirdemo.ui.learn.views import NAMES, SAYS, ranked
from cirdemo.ui.shelf import Library

METHODS = ("union", "intersection", "text")
ASKED = ("union", "intersection", "text", "union", "intersection")  # the text alone less often
BANDS = ((1, 1, "first"), (2, 10, "2 to 10"), (11, 50, "11 to 50"), (51, 10**9, "beyond 50"))
PICTURES = 5  # to choose from


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """What is asked, its truth (which stays on the server), and the score so far."""

    gallery: str
    triplet: Triplet
    method: str
    kind: str  # "band" or "picture"
    options: tuple[str, ...]  # bands, or picture ids
    right: int
    run: Run
    guess: int | None = None
    score: tuple[int, int] = (0, 0)  # right, asked
    wanted: str = ""  # the gallery that was chosen, where it has no such queries


def playable(library: Library, names: Sequence[str]) -> str:
    """The first of some galleries that has queries with known targets.

    Raises:
        BadInput: None has.
    """
    for name in names:
        if any(t.target_ids for t in library.queries(name)):
            return name
    raise BadInput("The quiz needs queries with known targets, and no gallery here has any.")


def ask(
    engine: Any, library: Library, gallery: str, score: tuple[int, int], rng: random.Random
) -> Question:
    """A question on a val query, answered by the engine before it is asked.

    Raises:
        BadInput: The gallery has no queries whose targets are known.
    """
    queries = [t for t in library.queries(gallery) if t.target_ids]
    if not queries:
        raise BadInput(f"The quiz needs queries with known targets; “{gallery}” has none.")
    triplet, shelf = rng.choice(queries), library.shelf(gallery)
    query = engine.make_query(
        text=triplet.modification, reference_id=triplet.reference_id, gallery=gallery
    )
    size = len(shelf.gallery.ids)
    result = SearchResult(query=query, stage="")
    for step in engine.search(
        query, gallery=gallery, methods=METHODS, rerank=0, reason=False, top=size
    ):
        result = step
    known = set(triplet.target_ids)
    run = Run(result=result, targets=known, size=size - 1, caption=shelf.alt)
    method = rng.choice(ASKED)
    kind = rng.choice(("band", "picture"))
    if kind == "band":
        options = tuple(says for _, _, says in BANDS)
        rank = run.rank(method) or size
        right = next(n for n, (low, high, _) in enumerate(BANDS) if low <= rank <= high)
    else:
        options, right = _pictures(run, method, rng)
    return Question(
        gallery=gallery,
        triplet=triplet,
        method=method,
        kind=kind,
        options=options,
        right=right,
        run=run,
        score=score,
    )


def _pictures(run: Run, method: str, rng: random.Random) -> tuple[tuple[ImageId, ...], int]:
    """The first of the method among the best of all lists and a target."""
    lists = run.result.coarse
    first = lists[method].ids[0]
    target = next((i for i in lists[method].ids if i in run.targets), first)
    near = [*(lists[m].ids[0] for m in METHODS), target, *lists[method].ids[1:]]
    others = [i for i in dict.fromkeys(near) if i != first][: PICTURES - 1]
    options = [first, *others]
    rng.shuffle(options)
    return tuple(options), options.index(first)


def guessed(question: Question | None, choice: str) -> Question:
    """The question with a guess, and the score that follows; a second guess changes nothing.

    Raises:
        BadInput: There is no question, or no such option.
    """
    if question is None:
        raise BadInput("Ask for a query first.")
    if question.guess is not None:
        return question
    if not choice.isdigit() or int(choice) >= len(question.options):
        raise BadInput("There is no such answer; choose one that is shown.")
    guess = int(choice)
    right, asked = question.score
    return replace(question, guess=guess, score=(right + (guess == question.right), asked + 1))


def tally(score: tuple[int, int]) -> str:
    """The score in words."""
    right, asked = score
    return f"{right} of {asked} right" if asked else "no answer yet"


HEAD = (
    '<p class="kick">Quiz</p><h2>Guess a method’s list</h2><p class="lead">You see a query and its '
    "target. Say where a method puts the target, or which picture it puts first; then look. "
    "Queries come from the validation split, and the models run for each one.</p>"
)


def waiting() -> str:
    """While the models answer the next query."""
    return (
        f'<article class="quiz">{HEAD}<p class="empty" role="status"><i class="spin" '
        'aria-hidden="true"></i> Drawing a query and letting the models answer it…</p></article>'
    )


def shown(question: Question | None, pictures: Pictures | None) -> str:
    """The quiz: an invitation, a question, or its answer."""
    if question is None or pictures is None:
        return (
            f'<article class="quiz">{HEAD}<p class="empty">Press “New query”. Answer with a click, '
            "with Tab and Enter, or with the keys 1 to 5.</p></article>"
        )
    triplet = question.triplet
    target = next(iter(triplet.target_ids))
    more = len(triplet.target_ids) - 1
    pair = (
        f'<div class="pair-q"><figure><img src="{esc(pictures.src(triplet.reference_id))}" '
        f'alt="reference: {esc(pictures.alt(triplet.reference_id))}" width="160" height="160">'
        f"<figcaption>reference image</figcaption></figure><q>{esc(triplet.modification)}</q>"
        f'<figure class="target"><img src="{esc(pictures.src(target))}" '
        f'alt="target: {esc(pictures.alt(target))}" width="160" height="160"><figcaption>★ target'
        f"{f', one of {more + 1}' if more else ''}</figcaption></figure></div>"
    )
    name, says = NAMES[question.method], SAYS[question.method]
    asks = (
        f"Where does <b>{esc(name)}</b> ({esc(says)}) put the best target, among "
        f"{question.run.size} pictures?"
        if question.kind == "band"
        else f"Which picture does <b>{esc(name)}</b> ({esc(says)}) put first?"
    )
    right, asked = question.score
    body = f'<p class="l-asks">{asks}</p><div class="options {question.kind}">'
    body += "".join(_option(question, n, pictures) for n in range(len(question.options)))
    body += "</div>"
    if question.guess is not None:
        body += _answer(question, pictures)
    return (
        f'<article class="quiz">{HEAD}<p class="l-tally" role="status">{tally((right, asked))} · '
        f"gallery {esc(question.gallery)}</p>"
        f"{_elsewhere(question)}{pair}{body}</article>"
    )


def _elsewhere(question: Question) -> str:
    """Why the query is not of the gallery that was chosen, where it is not."""
    if not question.wanted:
        return ""
    return (
        f'<p class="note"><b aria-hidden="true">i</b> Gallery “{esc(title(question.wanted))}” has '
        f"no queries with known targets, so this one is from “{esc(question.gallery)}”. Your "
        "choice at the top of the page stays as it is.</p>"
    )


def _option(question: Question, n: int, pictures: Pictures) -> str:
    over = question.guess is not None
    kind, word = "", ""
    if over and n == question.right:
        kind, word = " right", "✓ this one"
    elif over and n == question.guess:
        kind, word = " wrong", "✗ your guess"
    text = question.options[n]
    inner = (
        f"<span>{esc(text)}</span>"
        if question.kind == "band"
        else f'<img src="{esc(pictures.src(text))}" alt="{esc(pictures.alt(text))}" width="120" '
        'height="120">'
    )
    off = " disabled" if over else ""
    return (
        f'<button type="button" class="option{kind}" data-id="{n}"{off}><kbd>{n + 1}</kbd>{inner}'
        f"{f'<b>{word}</b>' if word else ''}</button>"
    )


def _answer(question: Question, pictures: Pictures) -> str:
    run = question.run
    ranks: Sequence[str] = [
        f"<li><span>{esc(NAMES[m])}</span><b>{run.rank(m) or '–'}</b></li>" for m in METHODS
    ]
    verdict = "Right." if question.guess == question.right else "Not this time."
    told = run.result.descriptions.get(question.method)  # type: ignore[call-overload]
    wrote = f"<p>It searched for: <q>{esc(told.text)}</q></p>" if told else ""
    return (
        f'<div class="truth" role="status"><p class="l-first">{verdict}</p>'
        f'<ul class="ranks" aria-label="Rank of the best target">{"".join(ranks)}</ul>{wrote}'
        f"{hidden('The list:')}{ranked(question.method, run, pictures)}</div>"
    )
