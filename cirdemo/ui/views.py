"""What the page shows of a SearchResult: pure functions from records to HTML or JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cirdemo.types import ImageId, Mode, Ranking, Rationale, Reranked, SearchResult
from cirdemo.ui import cards
from cirdemo.ui.cards import Marks, Pictures, esc

MODES: tuple[Mode, Mode] = ("union", "intersection")
SHOWN = 10  # cards of a coarse list
TITLES = {
    1: "What should the target show?",
    2: "Coarse retrieval",
    3: "Where does the similarity come from?",
    4: "The judge: is this it?",
    5: "The reasoning (CIR-CoT)",
}
LEADS = {
    1: "A model writes the target down twice: with everything the reference shows, and with only "
    "what the edit is about.",
    2: "Each description is compared with every picture of the gallery at once. Fast, but it "
    "cannot look twice.",
    3: "The same picture under both descriptions: warm areas carry the similarity.",
    4: "A model looks at each candidate beside the reference and answers Yes or No; its "
    "probability of Yes sets the new order.",
    5: "Another way: think first. The model captions, reasons and concludes, then searches with "
    "its own vector.",
}
WAITING = {
    1: "Here you will see two descriptions, word by word: what is kept, dropped, added, changed.",
    2: "Here you will see the ten best pictures under each description, side by side.",
    3: "Here you will see which parts of a picture match each description. Click any result to "
    "pick it.",
    4: "Here you will see the candidates in a new order, each with its probability of Yes and "
    "how far it moved.",
    5: "Here you will read caption, reasoning and conclusion, and see what they find.",
}
BUSY = {1: "writing…", 2: "searching…", 3: "comes last", 4: "judging…", 5: "thinking…"}
MODE_SAYS = {
    "union": "everything in the reference, plus the edit",
    "intersection": "only what the edit is about",
}


def waiting(number: int, *, busy: bool = False) -> str:
    """A chapter that has not run."""
    body = cards.placeholder(WAITING[number])
    status = BUSY[number] if busy else ""
    return cards.chapter(number, TITLES[number], LEADS[number], body, status=status)


def skipped(number: int, why: str) -> str:
    """A chapter that was not asked for or could not run."""
    return cards.chapter(number, TITLES[number], LEADS[number], cards.placeholder(why))


def marks_of(result: SearchResult, targets: Iterable[ImageId] = (), picked: str = "") -> Marks:
    """Known targets, and the pictures among the shown ones of both coarse lists."""
    lists = [set(result.coarse[m].ids[:SHOWN]) for m in MODES if m in result.coarse]
    shared = frozenset(lists[0] & lists[1]) if len(lists) == 2 else frozenset()
    return Marks(frozenset(targets), shared, picked)


def describe(result: SearchResult) -> str:
    """Chapter 1: both descriptions as cue chips with their text."""
    panels = []
    for mode in MODES:
        found = result.descriptions.get(mode)
        if found is None:
            continue
        panels.append(
            f'<article class="panel {mode}"><h3>{mode.capitalize()}</h3>'
            f'<p class="what">{esc(MODE_SAYS[mode])}</p>{cards.chips(found.cues)}'
            f'<blockquote id="text-{mode}">{esc(found.text)}</blockquote></article>'
        )
    body = f'<div class="two">{"".join(panels)}</div>{cards.legend()}'
    seconds = result.seconds.get("describe")
    return cards.chapter(1, TITLES[1], LEADS[1], body, seconds=seconds)


def coarse_row(ranking: Ranking, pictures: Pictures, marks: Marks) -> str:
    """The best candidates of one method."""
    items = [
        cards.card(
            c.image_id,
            pictures,
            marks,
            c.rank,
            foot=f'<span class="score">{c.score:.3f}</span>',
            says=f"cosine {c.score:.3f}",
        )
        for c in ranking.candidates[:SHOWN]
    ]
    return cards.row(items, f"{ranking.method}, best {len(items)}")


def coarse(result: SearchResult, pictures: Pictures, marks: Marks) -> str:
    """Chapter 2: one row of cards for each description."""
    body = ""
    for mode in MODES:
        if mode in result.coarse:
            body += (
                f'<div class="list {mode}"><h3>{mode.capitalize()}</h3>'
                f"{coarse_row(result.coarse[mode], pictures, marks)}</div>"
            )
    key = '<li><b class="gem">◆</b> in both lists</li><li>0.123 is the cosine similarity</li>'
    if marks.targets:
        key = '<li><b class="star">★</b> known target</li>' + key
    body += f'<ul class="legend">{key}<li>click a picture for its heatmaps</li></ul>'
    seconds = result.seconds.get("coarse")
    return cards.chapter(2, TITLES[2], LEADS[2], body, seconds=seconds)


def heatmaps(
    image_id: ImageId,
    pictures: Pictures,
    figures: Sequence[tuple[str, str, str]],
    bar: str,
    value_range: tuple[float, float],
    where: str,
    seconds: float | None = None,
) -> str:
    """Chapter 3: `figures` are (title, data URI, what it says); `where` places the picture."""
    alt = pictures.alt(image_id)
    drawn = "".join(
        f'<figure><img src="{src}" alt="{esc(title)} heatmap of: {esc(alt)}">'
        f"<figcaption><b>{esc(title)}</b><span>{esc(says)}</span></figcaption></figure>"
        for title, src, says in figures
    )
    low, high = value_range
    scale = (
        f'<div class="scale"><span class="num">{low:.2f}</span>'
        f'<img src="{bar}" alt="Colour bar from {low:.2f} to {high:.2f}">'
        f'<span class="num">{high:.2f}</span>'
        f"<span>similarity, one scale for both maps</span></div>"
        if bar
        else ""
    )
    body = (
        f'<p class="picked">Picked: <b>{esc(alt or image_id)}</b> <span>{esc(where)}</span></p>'
        f'<div class="maps">{drawn}</div>{scale}'
    )
    return cards.chapter(3, TITLES[3], LEADS[3], body, seconds=seconds)


def placed(result: SearchResult, image_id: ImageId) -> str:
    """Where a picture stands: 'union 1 · intersection 4 · re-ranked 2'."""
    ranks: list[tuple[str, int | None]] = [
        (m, result.coarse[m].rank_of(image_id)) for m in MODES if m in result.coarse
    ]
    new = next((r.rank for r in result.reranked if r.image_id == image_id), None)
    ranks.append(("re-ranked", new))
    if "cot" in result.coarse:
        ranks.append(("reasoning", result.coarse["cot"].rank_of(image_id)))
    return " · ".join(f"{name} {rank}" for name, rank in ranks if rank)


def in_progress(result: SearchResult, rerank_on: str) -> tuple[Reranked, ...]:
    """The verdicts so far in order of P(Yes), before the engine has the full list."""
    ranking = result.coarse.get(rerank_on)
    by_id = {c.image_id: c for c in ranking.candidates} if ranking else {}
    found = [j for j in result.judgements.values() if j.image_id in by_id]
    found.sort(key=lambda j: (-j.margin, by_id[j.image_id].rank))
    return tuple(
        Reranked(
            image_id=j.image_id,
            rank=i,
            coarse_rank=by_id[j.image_id].rank,
            score=by_id[j.image_id].score,
            yes_probability=j.yes_probability,
            margin=j.margin,
        )
        for i, j in enumerate(found, 1)
    )


def judge(
    result: SearchResult, pictures: Pictures, marks: Marks, *, rerank_on: str, depth: int
) -> str:
    """Chapter 4: the re-ranked cards and the rank-flow chart; partial while judging."""
    done = bool(result.reranked)
    items = result.reranked or in_progress(result, rerank_on)
    if not items:
        return waiting(4, busy=True)
    drawn = "".join(cards.judged_card(i, pictures, marks, moves=done) for i in items)
    if done:
        chart = (
            f"<figure>{cards.rank_flow(items, pictures, marks)}<figcaption>From {esc(rerank_on)} "
            f"rank to new rank, best {min(12, len(items))}.</figcaption></figure>"
        )
        status = ""
    else:
        depth = min(depth, len(result.coarse[rerank_on].candidates))
        chart = cards.placeholder("The rank-flow chart follows when all candidates are judged.")
        status = f"{len(items)} of {depth} judged…"
    body = (
        f'<div class="verdicts"><div class="flowbox">{chart}</div>'
        f'<div class="grid" role="group" aria-label="Re-ranked candidates">{drawn}</div></div>'
    )
    seconds = result.seconds.get("rerank") if done else None
    return cards.chapter(4, TITLES[4], LEADS[4], body, seconds=seconds, status=status)


def steps(rationale: Rationale) -> str:
    """Caption, reasoning, conclusion as three steps."""
    told = (
        ("Caption", "what the reference shows", rationale.caption),
        ("Reasoning", "what the edit asks for", rationale.reasoning),
        ("Conclusion", "what to look for", rationale.conclusion),
    )
    items = "".join(
        f"<li><h3>{name}</h3><p class='what'>{what}</p><blockquote>{esc(text)}</blockquote></li>"
        for name, what, text in told
    )
    return f'<ol class="steps">{items}</ol>'


def reason(result: SearchResult, pictures: Pictures, marks: Marks) -> str:
    """Chapter 5: the rationale and the list its vector finds."""
    body = steps(result.rationale) if result.rationale else ""
    if "cot" in result.coarse:
        drawn = coarse_row(result.coarse["cot"], pictures, marks)
        body += f'<div class="list cot"><h3>Found by reasoning</h3>{drawn}</div>'
    seconds = result.seconds.get("reason")
    return cards.chapter(5, TITLES[5], LEADS[5], body, seconds=seconds)


def target_ranks(result: SearchResult, targets: Iterable[ImageId]) -> dict[str, int | None]:
    """The best rank of any known target, by list."""
    known = set(targets)
    lists = {m: result.coarse[m].ids for m in (*MODES, "cot") if m in result.coarse}
    if result.reranked:
        lists["judge"] = tuple(r.image_id for r in result.reranked)
    order = ("union", "intersection", "judge", "cot")
    return {
        name: next((i for i, image_id in enumerate(lists[name], 1) if image_id in known), None)
        for name in order
        if name in lists
    }


def notice(result: SearchResult | None, targets: Iterable[ImageId] = (), extra: str = "") -> str:
    """The line above the chapters: where the known target stands, and plain warnings."""
    targets = tuple(targets)
    said = [extra] if extra else []
    body = ""
    if result is not None:
        said += result.notices
        if result.unknown_words and not result.notices:
            words = ", ".join(f"“{w}”" for w in result.unknown_words)
            said.append(f"These words were never seen in training and may be ignored: {words}.")
        if targets and result.coarse:
            names = {"judge": "re-ranked", "cot": "reasoning"}
            cells = "".join(
                f"<li><span>{names.get(name, name)}</span><b>{rank or 'below the list'}</b></li>"
                for name, rank in target_ranks(result, targets).items()
            )
            body = (
                f'<div class="board"><p><b class="star">★</b> The target is known. Its rank by:</p>'
                f"<ul>{cells}</ul></div>"
            )
    lines = "".join(f"<p class='note'><b aria-hidden='true'>i</b> {esc(s)}</p>" for s in said)
    return f'<div role="status">{lines}{body}</div>' if lines or body else ""
