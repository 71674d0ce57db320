"""The page Files as HTML: checks, scores, the rank flow of two runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cirdemo.evaluate.movement_page import MEANINGS, movers
from cirdemo.evaluate.tables import percent
from cirdemo.submission.findings import Checked
from cirdemo.submission.score import PROTOCOLS
from cirdemo.ui.cards import esc

HIGH, WIDE, BAR, GAP = 260, 460, 14, 8  # pixels of the flow chart, its bars and their distance
ONE = '<p class="empty">Open two runs of one split to see what moved between them.</p>'


def _kind(title: str, text: str, example: str) -> str:
    """A kind of file that can be opened: what it is for, how it begins."""
    return (
        f'<section class="card2"><h3>{title}</h3><p class="what">{text}</p>'
        f'<pre tabindex="0" role="region" aria-label="{title}, the form">{esc(example)}</pre>'
        "</section>"
    )


NOTHING = (
    '<p class="empty">Open JSON files of ranked lists, several at once. Nothing is stored: what '
    "was opened goes with the visit.</p>"
    '<div class="checks forms">'
    + _kind(
        "CIRR",
        "Query → picture names, best first. A file for R@K with 50 names a query, one for "
        "R_subset@K with 3; test1 for the server, val (<code>dev-…</code>) for a score here.",
        '{"version": "rc2",\n "metric": "recall",\n "12063": ["test1-359-0-img0", … 50],\n …}',
    )
    + _kind(
        "CIRCO",
        "Queries 0 to 799 (test) or 0 to 219 (val) → 50 COCO ids each, as numbers or as text.",
        '{"0": [532512, 197651, … 50],\n "1": ["243611", …],\n …}',
    )
    + _kind(
        "FashionIQ",
        "Queries by category and their number in its captions, from 0 → picture ids.",
        '{"dress-0": ["B008BHCT58", …],\n "shirt-0": […],\n "toptee-1960": […]}',
    )
    + "</div>"
    '<div class="checks forms">'
    '<section class="card2"><h3>What you get</h3><ul class="notes">'
    "<li><b>Any file</b>: everything that a test server would refuse.</li>"
    "<li><b>A split with public targets</b>: the score under every protocol in use, and the "
    "annotations to look at again, with votes.</li>"
    "<li><b>Two runs of one split</b>: rank flow, targets won and lost, the pool’s ceiling, blames "
    "and aspects.</li></ul></section>"
    '<section class="card2"><h3>Open along, where they are not on this machine</h3>'
    '<ul class="notes"><li><b>CIRR</b>: <code>cap.rc2.val.json</code>, '
    "<code>split.rc2.val.json</code></li><li><b>CIRCO</b>: <code>val.json</code> or "
    "<code>test.json</code> of its annotations</li><li><b>FashionIQ</b>: "
    "<code>cap.dress.val.json</code>, <code>split.dress.val.json</code>, those of shirt and "
    "toptee</li><li><b>Votes</b> that were saved here before.</li></ul></section></div>"
)


def reason(text: str) -> str:
    """Why something is not there."""
    return f'<p class="note" role="status"><b aria-hidden="true">!</b> {esc(text)}</p>'


def checked(files: Sequence[Checked], along: Sequence[str] = ()) -> str:
    """A card a file: accepted, or everything that is wrong; and the names of what came along."""
    beside = f'<p class="what">Opened along: {esc(", ".join(along))}.</p>' if along else ""
    if not files:
        return beside + NOTHING
    return f'<div class="checks">{"".join(map(_card, files))}</div>{beside}'


def _card(file: Checked) -> str:
    about = " · ".join(
        filter(None, (file.dataset, file.split, file.metric, f"{file.queries} queries"))
    )
    good = file.accepted
    count = len(file.faults)
    verdict = "accepted" if good else f"{count} fault{'s' if count > 1 else ''}"
    items = "".join(f"<li><b>{esc(f.kind)}</b> {esc(f.message)}</li>" for f in file.faults)
    items += "".join(f'<li class="mild"><b>warning</b> {esc(t)}</li>' for t in file.warnings)
    items += "".join(f'<li class="mild"><b>not checked</b> {esc(t)}</li>' for t in file.unchecked)
    sign = '<i aria-hidden="true">✓</i>' if good else '<i aria-hidden="true">✕</i>'
    return (
        f'<section class="card2 check {"good" if good else "bad"}"><h3>{sign} {esc(file.file)}</h3>'
        f'<p class="what"><strong>{verdict}</strong> · {esc(about)}</p>'
        + (f"<ul>{items}</ul>" if items else "")
        + "</section>"
    )


def scores(made: Sequence[Mapping[str, Any]]) -> str:
    """A table a run: a metric a row, a protocol a column; below, what the numbers rest on."""
    return f'<div class="checks">{"".join(map(_score, made))}</div>' if made else ""


def _named(metric: str) -> str:
    """A metric's name; CIRCO's aspects are words."""
    head, _, aspect = metric.partition(" ")
    return f"{head} {aspect.replace('_', ' ')}".strip()


def _score(told: Mapping[str, Any]) -> str:
    names = " and ".join(told["files"])
    if "reason" in told:
        return f'<section class="card2"><h3>{esc(names)}</h3>{reason(told["reason"])}</section>'
    protocols = told["protocols"]
    heads = "".join(f"<th scope='col'>{esc(p)}</th>" for p in protocols)
    rows = "".join(
        f"<tr><th scope='row'>{esc(_named(metric))}</th>"
        + "".join(f"<td>{100 * found[metric]:.3f}</td>" for found in protocols.values())
        + "</tr>"
        for metric in told["metrics"]
    )
    means = PROTOCOLS[told["dataset"]]
    notes = [f"<b>{esc(p)}</b>: {esc(means[p])}." for p in protocols]
    notes += [esc(f["text"]) for f in told["facts"] if f["affects"]]
    return (
        f'<section class="card2"><h3>{esc(names)}</h3><p class="what">{esc(told["dataset"])}, '
        f"split {esc(told['split'])}, {told['queries']} queries; percent</p>"
        f'<div class="wide" tabindex="0" role="region" aria-label="Scores of {esc(names)}">'
        f'<table class="plain"><thead><tr><th scope="col">metric</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
        f'<ul class="notes">{"".join(f"<li>{n}</li>" for n in notes)}</ul></section>'
    )


# --- two runs -----------------------------------------------------------------------------


def analysis(told: Mapping[str, Any]) -> str:
    """What moved from A to B."""
    lists = told["lists"]
    moved = (
        f"<li>B's first picture is A's first in <b>{percent(lists['same_first'])} %</b> of "
        f"{told['queries']} queries, and comes from beyond rank 10 in "
        f"<b>{percent(lists['first_from_beyond_10'])} %</b>.</li>"
        f"<li>Both lists hold the same pictures in <b>{lists['same_pictures']}</b> queries.</li>"
    )
    if (tau := lists["mean_kendall_tau"]) is not None:
        moved += f"<li>Kendall's tau of the pictures they share: <b>{tau:.2f}</b>.</li>"
    head = f'<section class="card2"><h3>Lists</h3><ul class="notes">{moved}</ul></section>'
    if "rows" not in told:
        return head + reason("The split has no public targets, so only the lists are compared.")
    return (
        '<div class="calibration">'
        f"{_flow(told['bands'])}{_metrics(told)}{_blames(told)}{head}</div>"
        f"{_aspects(told)}{_movers(told)}"
    )


def _flow(bands: Mapping[str, Mapping[str, int]]) -> str:
    """Ribbons from the target's rank band in A to that in B; the table behind it says the same."""
    names = list(bands)
    total = max(sum(sum(row.values()) for row in bands.values()), 1)
    scale = (HIGH - GAP * (len(names) - 1)) / total
    left = _stack({x: sum(bands[x].values()) * scale for x in names})
    right = _stack({y: sum(bands[x][y] for x in names) * scale for y in names})
    out, into = dict(left), dict(right)
    parts = []
    for x in names:
        for y in names:
            if not (count := bands[x][y]):
                continue
            thick = count * scale
            a, b = out[x], into[y]
            out[x], into[y] = a + thick, b + thick
            kind = _turn(names.index(x), names.index(y))
            x0, x1, mid = 60 + BAR, WIDE - 60 - BAR, WIDE / 2
            parts.append(
                f'<path class="{kind}" d="M{x0} {a:.1f}C{mid} {a:.1f} {mid} {b:.1f} {x1} {b:.1f}V'
                f"{b + thick:.1f}C{mid} {b + thick:.1f} {mid} {a + thick:.1f} {x0} {a + thick:.1f}Z"
                f'"><title>A {x} to B {y}: {count} queries</title></path>'
            )
    for at, stack, side in ((60, left, "end"), (WIDE - 60 - BAR, right, "start")):
        for name, top in stack.items():
            sums = bands[name].values() if side == "end" else (bands[x][name] for x in names)
            count = sum(sums)
            tall = max(count * scale, 1)
            place = at - 6 if side == "end" else at + BAR + 6
            parts.append(
                f'<rect x="{at}" y="{top:.1f}" width="{BAR}" height="{tall:.1f}"/>'
                f'<text x="{place}" y="{top + tall / 2 + 4:.1f}" text-anchor="{side}">{name}</text>'
            )
    heads = "".join(f"<th scope='col'>B {n}</th>" for n in names)
    rows = "".join(
        f"<tr><th scope='row'>A {x}</th>"
        + "".join(f"<td>{bands[x][y]}</td>" for y in names)
        + "</tr>"
        for x in names
    )
    return (
        '<section class="card2"><h3>Rank flow of the targets</h3><p class="what">From the rank in '
        "A, left, to the rank in B, right: <b class='up'>▲ risen</b>, <b class='down'>▼ fallen</b>,"
        f' level.</p><svg class="flow" viewBox="0 -8 {WIDE} {HIGH + 16}" role="img" '
        f'aria-label="Rank flow from A to B; the table below holds the numbers">{"".join(parts)}'
        '</svg><details><summary>As a table</summary><div class="wide" tabindex="0" role="region" '
        f'aria-label="Rank flow as a table"><table class="plain"><thead><tr><td></td>{heads}</tr>'
        f"</thead><tbody>{rows}</tbody></table></div></details></section>"
    )


def _stack(heights: Mapping[str, float]) -> dict[str, float]:
    """The top of each bar, one under another."""
    found, at = {}, 0.0
    for name, height in heights.items():
        found[name] = at
        at += height + GAP
    return found


def _turn(a: int, b: int) -> str:
    return "same" if a == b else "up" if b < a else "down"


def _metrics(told: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><th scope='row'>{name}</th><td>{percent(m['a'])}</td><td>{percent(m['b'])}</td>"
        f"<td>{percent(m['difference'], m['interval'], '+')}</td></tr>"
        for name, m in told["metrics"].items()
    )
    flips = "".join(
        f"<tr><th scope='row'>{cut}</th><td>{len(f['rescued'])}</td><td>{len(f['lost'])}</td>"
        f"<td>{len(f['rescued']) - len(f['lost']):+d}</td></tr>"
        for cut, f in told["flips"].items()
    )
    ceiling = told["pool"]["ceiling of A's list"]
    return (
        '<section class="card2"><h3>Targets won and lost</h3><div class="wide"><table '
        "class='plain'><thead><tr><th>metric</th><th>A</th><th>B</th><th>B - A [95 %]</th></tr>"
        f"</thead><tbody>{rows}</tbody></table></div><div class='wide'><table class='plain'><thead>"
        "<tr><th>within</th><th>rescued</th><th>lost</th><th>net</th></tr></thead>"
        f"<tbody>{flips}</tbody></table></div><p class='what'>{esc(told['verdict'])} Pool ceiling: "
        f"no order of A's lists can put a target first in more than {percent(ceiling)} %.</p>"
        "</section>"
    )


def _blames(told: Mapping[str, Any]) -> str:
    most = max(*told["blame"].values(), 1)
    items = "".join(
        f"<li title='{esc(MEANINGS[name])}'><span>{esc(name)}</span><i class='cellbar' "
        f"aria-hidden='true'><em style='width:{count / most:.1%}'></em></i><b>{count}</b></li>"
        for name, count in told["blame"].items()
    )
    meanings = "".join(f"<li><b>{n}</b>: {esc(m)}</li>" for n, m in MEANINGS.items())
    return (
        '<section class="card2"><h3>Misses of B at rank 1</h3>'
        f'<ul class="sofar blames">{items}</ul><ul class="notes">{meanings}</ul></section>'
    )


def _aspects(told: Mapping[str, Any]) -> str:
    found = told["aspects"]
    names = [m for m in ("R@1", "R@10", "mAP@10") if any(m in v for v in found.values())]
    heads = "".join(
        f"<th scope='col'>{m} A</th><th scope='col'>B</th><th>B - A</th>" for m in names
    )
    rows = "".join(
        f"<tr><th scope='row'>{esc(aspect.replace('_', ' '))}</th><td>{v['queries']}</td>"
        + "".join(_aspect(v.get(m)) for m in names)
        + "</tr>"
        for aspect, v in found.items()
    )
    return (
        f'<section class="card2"><h3>Aspects</h3><p class="what">{esc(told["aspects_from"])}; in '
        'brackets the 95 % paired bootstrap interval</p><div class="wide" tabindex="0" '
        'role="region" aria-label="Aspects"><table class="plain"><thead><tr><th>aspect</th>'
        f"<th>queries</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _aspect(value: Mapping[str, Any] | None) -> str:
    if value is None:
        return "<td>-</td>" * 3
    gain = percent(value["difference"], value["interval"], "+")
    return f"<td>{percent(value['a'])}</td><td>{percent(value['b'])}</td><td>{gain}</td>"


def _movers(told: Mapping[str, Any]) -> str:
    risen, fallen = movers(told["rows"])
    halves = "".join(
        f"<div><h3>Furthest {name}</h3><ol class='movers'>{_moved(rows)}</ol></div>"
        for name, rows in (("risen", risen), ("fallen", fallen))
    )
    return f'<section class="card2 pair">{halves}</section>'


def _moved(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(
        f"<li><small>{esc(r['query_id'])}</small> <q>{esc(r['modification'])}</q> "
        f"<b>{r['a']['rank'] or 'absent'} → {r['b']['rank'] or 'absent'}</b></li>"
        for r in rows
    )
