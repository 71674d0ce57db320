"""What the page shows of a SearchResult: pure functions from records to HTML or JSON."""

from __future__ import annotations

from collections.abc import Iterable

from cirdemo.types import Candidate, Description, ImageId, Mode, Ranking, SearchResult
from cirdemo.ui import cards
from cirdemo.ui.cards import Marks, Pictures, esc
from cirdemo.ui.view import View

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
    1: "A model writes the target down twice: with everything the reference shows, and without "
    "the surroundings that the edit does not speak of.",
    2: "Each description is compared with every picture of the gallery at once. Fast, but it "
    "cannot look twice.",
    3: "The same picture under both descriptions: warm areas carry the similarity.",
    4: "A model looks at each candidate beside the reference and answers Yes or No; its "
    "probability of Yes sets the new order.",
    5: "Another way: think first. The model captions, reasons and concludes, then searches with "
    "its own vector. The sentences are the model's own words, and can be wrong.",
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
    "union": "all that the reference shows, changed as the edit says",
    "enhanced": "what the edit is about, and the place or the look",
    "intersection": "the subject, changed as the edit says; its surroundings left out",
}
DIAL = (("intersection", "Intersection"), ("enhanced", "Between"), ("union", "Union"))
LIST_SAYS = {  # on hover of the button that shows the list
    "image": "what looks like the reference; the text is not read",
    "text": "what the modification text alone finds; the reference is not seen",
    "sum": "the vectors of reference and text, added",
    "qformer": "a small trained model that reads the text together with the reference's patches",
    "rrf": "union, intersection and reasoning merged by rank (reciprocal rank fusion)",
}
LISTS = {
    "union": "Union",
    "enhanced": "Enhanced",
    "intersection": "Intersection",
    "image": "Image only",
    "text": "Text only",
    "sum": "Sum of both",
    "qformer": "Q-Former",
    "rrf": "Rank fusion",
    "cot_direct": "No reasoning",
}


def waiting(number: int, *, busy: bool = False) -> str:
    """A chapter that has not run."""
    body = cards.placeholder(WAITING[number])
    status = BUSY[number] if busy else ""
    return cards.chapter(number, TITLES[number], LEADS[number], body, status=status)


def skipped(number: int, why: str) -> str:
    """A chapter that was not asked for or could not run."""
    return cards.chapter(number, TITLES[number], LEADS[number], cards.placeholder(why))


def marks_of(
    result: SearchResult,
    view: View,
    targets: Iterable[ImageId] = (),
    subset: Iterable[ImageId] = (),
) -> Marks:
    """Known targets, named hard negatives, pictures in both shown lists, and what was liked."""
    lists = [set(result.coarse[m].ids[:SHOWN]) for m in MODES if m in result.coarse]
    shared = frozenset(lists[0] & lists[1]) if len(lists) == 2 else frozenset()
    return Marks(
        targets=frozenset(targets),
        shared=shared,
        picked=view.picked,
        subset=frozenset(subset) - frozenset(targets),
        liked=frozenset(view.more),
        disliked=frozenset(view.less),
    )


def describe(result: SearchResult, view: View) -> str:
    """Chapter 1: the descriptions as cue chips, their text to edit, and the dial between them."""
    modes = [m for m in (*MODES[:1], "enhanced", *MODES[1:]) if m in result.descriptions]
    panels = "".join(_panel(result.descriptions[m], view) for m in modes)  # type: ignore[index]
    steps = "".join(
        f'<button type="button" data-event="input" data-action="dial" data-mode="{mode}" '
        f'aria-pressed="{str(view.rerank_on == mode).lower()}" title="{esc(MODE_SAYS[mode])}">'
        f"{said}</button>"
        for mode, said in DIAL
    )
    dial = (
        '<div class="dial" role="group" aria-label="How much of the reference the search keeps">'
        f"<span>Go on with</span>{steps}<small>the list that is judged below</small></div>"
    )
    body = f'<div class="panels n{len(modes)}">{panels}</div>{dial}{cards.legend()}'
    seconds = result.seconds.get("describe")
    known = "describe" in result.remembered
    return cards.chapter(1, TITLES[1], LEADS[1], body, seconds=seconds, known=known)


def _panel(found: Description, view: View) -> str:
    """One description: chips, and the text with a button to run from it."""
    mode = found.mode
    by_hand = bool(getattr(view, mode))
    own = f'data-event="input" data-action="write" data-mode="{mode}"'
    back = (
        f'<button type="button" class="quiet" {own} data-text="">back to the model\'s</button>'
        if by_hand
        else ""
    )
    mine = '<span class="mine">edited by you</span>' if by_hand else ""
    return (
        f'<article class="panel {mode}"><h3>{mode.capitalize()} {mine}</h3>'
        f'<p class="what">{esc(MODE_SAYS[mode])}</p>{cards.chips(found.cues, mode)}'
        f'<div class="write" data-form><textarea rows="2" maxlength="300" id="text-{mode}" '
        f'aria-label="{mode.capitalize()} description, editable">{esc(found.text)}</textarea>'
        f'<div><button type="button" class="run" {own}>Run from here</button>{back}</div></div>'
        f"</article>"
    )


def coarse_row(
    ranking: Ranking,
    pictures: Pictures,
    marks: Marks,
    shown: int = SHOWN,
    *,
    before: Ranking | None = None,
) -> str:
    """The best candidates of one method; with the list before, how far a change moved them."""
    if before is not None and before.ids[:shown] == ranking.ids[:shown]:
        before = None  # nothing moved
    items = [
        cards.card(
            c.image_id,
            pictures,
            marks,
            c.rank,
            foot=f'<span class="score">{c.score:.3f}</span>{_moved(c, before)}',
            says=f"score {c.score:.3f}",
        )
        for c in ranking.candidates[:shown]
    ]
    return cards.row(items, f"{ranking.method}, best {len(items)}")


def _moved(found: Candidate, before: Ranking | None) -> str:
    """Where a candidate stood in the list before the change."""
    if before is None:
        return ""
    was = before.rank_of(found.image_id)
    if was is None:
        return '<span class="move">was below the list</span>'
    return f'<span class="move">was {was} {cards.moved(was, found.rank)}</span>'


def coarse(
    result: SearchResult,
    pictures: Pictures,
    marks: Marks,
    view: View,
    offered: Iterable[str] = (),
    before: SearchResult | None = None,
) -> str:
    """Chapter 2: a row of cards for each list, and the lists that are one click away.

    Args:
        result: With coarse lists.
        pictures: Thumbnails.
        marks: Which pictures are marked.
        view: Which lists are shown.
        offered: Methods that are one click away.
        before: What the page shows of the same query, to tell what a change has moved.
    """
    earlier = before.coarse if before and before.query.query_id == result.query.query_id else {}
    names = [m for m in ("union", "enhanced", "intersection") if m in result.coarse]
    names += [m for m in view.columns if m in result.coarse and m not in (*names, "cot_direct")]
    body = "".join(
        f'<div class="list {name}"><h3>{esc(LISTS.get(name, name))}</h3>'
        f"{coarse_row(result.coarse[name], pictures, marks, before=earlier.get(name))}</div>"
        for name in names
    )
    more = "".join(
        f'<button type="button" class="toggle" data-event="input" data-action="column" '
        f'data-value="{esc(name)}" aria-pressed="{str(name in view.columns).lower()}" '
        f'title="{esc(LIST_SAYS.get(name, ""))}">'
        f"{esc(LISTS.get(name, name))}</button>"
        for name in offered
    )
    if more:
        body += f'<div class="tools columns"><span>More lists</span>{more}</div>'
    key = "".join(
        f'<li><b class="{kind}">{symbol}</b> {said}</li>'
        for kind, symbol, said, where in cards.BADGES
        if getattr(marks, where)
    )
    key += "<li>the number is the similarity (cosine; of a fusion, its own score)</li>"
    body += f'<ul class="legend">{key}<li>click a picture to look closer</li></ul>'
    return cards.chapter(2, TITLES[2], LEADS[2], body, seconds=result.seconds.get("coarse"))


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
