"""All methods on one query as HTML: a row a method, the agreement of their lists."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from cirdemo.lineup import HEAD, Line, overlap
from cirdemo.types import ImageId
from cirdemo.ui import cards
from cirdemo.ui.cards import Marks, Pictures, esc
from cirdemo.ui.naming import SAYS, called, titled

SHOWN = 8  # pictures of a list
RANKS = 3  # ranks of targets told in words
TITLE = "Every method on this query"
LEAD = (
    "Each method turns the reference and the text into a list of the whole gallery. A dot is the "
    "rank of a known target, from 1 on the left to the last picture on the right."
)
GROUPS: dict[str, tuple[str, ...]] = {
    "One half of the query": ("text", "image"),
    "Both halves, mixed": ("sum", "product"),
    "A description of the target": ("union", "enhanced", "intersection"),
    "A pseudo-word for the picture": ("inversion", "oti"),
    "A trained fusion": ("qformer", "dpo", "dpo_published"),
    "Reasoning": ("cot", "cot_direct"),
    "Several lists": ("rrf",),
    "The judge": ("setr", "setr_fused"),
}


def order(names: Sequence[str]) -> list[str]:
    """Method names group by group; those of no group come last."""
    known = [name for group in GROUPS.values() for name in group if name in names]
    return known + [name for name in names if name not in known]


def heading(names: Sequence[str], name: str) -> str:
    """The group that begins with a method, or ''."""
    for title, members in GROUPS.items():
        if name == next((m for m in members if m in names), None):
            return title
    rest = [n for n in order(names) if not any(n in g for g in GROUPS.values())]
    return "Others" if rest and rest[0] == name else ""


def header(done: int, of: int, *, running: str = "", said: str = "") -> str:
    """Title and lead of the view, with how far the run is."""
    if running:
        status = f"{done} of {of} · {called(running)}…"
    else:
        status = said
    spin = '<i class="spin" aria-hidden="true"></i>' if running else ""
    share = f'<progress max="{of}" value="{done}" aria-label="methods done"></progress>'
    return (
        f'<header class="head"><div><h2>{TITLE}</h2><p class="lead">{LEAD}</p></div>'
        f'<p class="took" role="status">{spin}{esc(status)}</p>'
        f"{share if running else ''}</header>"
    )


def row(name: str, head: str, body: str, kind: str = "") -> str:
    """A method's row: its name, and whatever there is of it."""
    title = f'<h3 class="group">{esc(head)}</h3>' if head else ""
    says = SAYS.get(name, "")
    return (
        f'{title}<div class="line {kind}" role="group" aria-label="{esc(called(name))}">'
        f'<div class="who"><h4>{titled(name)}</h4><p>{esc(says)}</p></div>{body}</div>'
    )


def before(count: int, cannot: int) -> str:
    """In place of the rows before a run."""
    rest = f" {cannot} of them cannot run here; their rows will say why." if cannot else ""
    return cards.placeholder(
        f"Press “Run all methods”. Each of the {count} then has a row here: the ranks of the known "
        f"targets, its first pictures and the seconds. Below them: who agrees with whom."
        f"{rest}"
    )


def waiting(name: str, head: str = "") -> str:
    """A method that has not run."""
    return row(name, head, '<p class="wait" aria-hidden="true">·</p>', "idle")


def cannot(name: str, why: str, head: str = "") -> str:
    """A method that has no list, and why."""
    return row(name, head, f'<p class="why">{esc(why)}</p>', "idle")


def line(
    found: Line, pictures: Pictures, targets: Sequence[ImageId], count: int, head: str = ""
) -> str:
    """A method's list: ranks of the targets, its first pictures, what it took."""
    if found.reason:
        return cannot(found.method, found.reason, head)
    marks = Marks(frozenset(targets))
    drawn = [
        cards.card(i, pictures, marks, n, foot="", says="")
        for n, i in enumerate(found.ids[:SHOWN], 1)
    ]
    text = f'<p class="text" title="{esc(found.text)}">{esc(found.text)}</p>' if found.text else ""
    body = (
        f'<div class="where">{ranks(found, targets, count)}</div>'
        f"{cards.row(drawn, f'{called(found.method)}, best {len(drawn)}')}"
        f'<div class="did"><span class="num">{esc(cards.duration(found.seconds))}</span>'
        f'<button type="button" class="go" data-action="open" data-method="{esc(found.method)}" '
        f'aria-label="Open this query with {esc(called(found.method))} in Search">Search ›</button>'
        "</div>"
        f"{text}"
    )
    return row(found.method, head, body)


def ranks(found: Line, targets: Sequence[ImageId], count: int) -> str:
    """The ranks of the known targets: the best in large, all of them on a logarithmic line."""
    told = sorted(r for t in targets if (r := found.rank_of(t)))
    if not told:
        return '<p class="none">no known target</p>'
    rest = [str(r) for r in told[1:RANKS]] + (["…"] if len(told) > RANKS else [])
    others = f"<small>{' · '.join(rest)}</small>" if rest else ""
    return f'<p class="best"><b class="star">★</b> <b>{told[0]}</b>{others}</p>{strip(told, count)}'


def strip(told: Sequence[int], count: int) -> str:
    """Ranks as dots between 1 and the gallery's size, on a logarithmic scale."""

    def at(rank: int) -> float:
        return 5 + 130 * math.log(rank) / math.log(max(count, 2))

    ticks = [1]
    while ticks[-1] * 10 < count:
        ticks.append(ticks[-1] * 10)
    marks = "".join(f'<path d="M{at(t):.1f} 3V15"/>' for t in ticks)
    dots = "".join(
        f'<circle cx="{at(r):.1f}" cy="9" r="{4.2 if n == 0 else 3}" '
        f'class="{"first" if n == 0 else "rest"}"/>'
        for n, r in reversed(list(enumerate(told)))
    )
    said = ", ".join(map(str, told))
    return (
        f'<svg class="strip-of" viewBox="0 0 140 18" role="img" '
        f'aria-label="ranks of known targets: {said}">{marks}{dots}</svg>'
    )


def summary(lines: Sequence[Line], targets: Sequence[ImageId], seconds: float) -> str:
    """One sentence: who finds a target, and who does not."""
    ran = [x for x in lines if x.ids]
    took = f"{len(ran)} methods in {seconds:.1f} s."
    if not targets or not ran:
        return took
    best = {x.method: x.best(targets) or 10**9 for x in ran}
    first = [m for m, r in best.items() if r == 1]
    ten = sum(1 for r in best.values() if r <= HEAD)
    worst = max(best, key=lambda m: best[m])
    head = f"{len(first)} put a target first, {ten} among the first ten"
    return f"{took} {head}; {called(worst)} has its best at {best[worst]}."


def agreement(lines: Sequence[Line]) -> str:
    """How many of their first pictures two methods share, as a table of shades."""
    ran = [x for x in lines if x.ids]
    if len(ran) < 2:
        return ""
    cells = {
        (a.method, b.method): overlap(a.ids, b.ids) for n, a in enumerate(ran) for b in ran[:n]
    }
    top = "".join(f'<th scope="col"><span>{esc(called(x.method))}</span></th>' for x in ran[:-1])
    body = ""
    for n, a in enumerate(ran[1:], 1):
        shades = "".join(_shade(cells[a.method, b.method], a, b) for b in ran[:n])
        empty = "<td></td>" * (len(ran) - 1 - n)
        body += f'<tr><th scope="row">{esc(called(a.method))}</th>{shades}{empty}</tr>'
    return (
        '<section class="agree" aria-labelledby="agree-title"><div class="say">'
        '<h3 id="agree-title">Who agrees with whom</h3>'
        f"<p>Overlap@{HEAD}: how many of their first {HEAD} pictures two methods share; the order "
        f"does not count. {HEAD} is the same ten, 0 is none in common.</p>{_extremes(cells)}</div>"
        '<div class="slide" tabindex="0" role="group" aria-label="Agreement of methods"><table>'
        f"<thead><tr><td></td>{top}</tr></thead><tbody>{body}</tbody></table></div></section>"
    )


def _shade(share: float, a: Line, b: Line) -> str:
    """A cell: the count, on a ground that is darker the more is shared."""
    count = round(share * HEAD)
    said = f"{called(a.method)} and {called(b.method)} share {count} of {HEAD}"
    return f'<td style="--share:{share * 42:.0f}%" title="{esc(said)}">{count}</td>'


def _extremes(cells: Mapping[tuple[str, str], float]) -> str:
    """The pair that agrees most and, of the methods that agree with any, the loner."""
    (a, b), most = max(cells.items(), key=lambda item: item[1])
    names = sorted({name for pair in cells for name in pair})
    mean = {
        name: sum(v for pair, v in cells.items() if name in pair) / (len(names) - 1)
        for name in names
    }
    loner = min(mean, key=lambda name: mean[name])
    one, other, alone = (f"<b>{esc(called(name))}</b>" for name in (a, b, loner))
    return (
        f"<p>{one} and {other} are nearest: {round(most * HEAD)} of {HEAD} in common. {alone} goes "
        f"its own way: {mean[loner] * HEAD:.1f} on average.</p>"
    )
