"""One search result as one self-contained HTML file: no scripts, nothing fetched.

On screen it follows the reader's light or dark theme; printed it is a case sheet of one page.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from cirdemo import asked
from cirdemo.fragments import SIDE, data_uri, map_figures, rank_flow
from cirdemo.prompts import STEPS, judge_prompt, prompt_hash, reason_prompt
from cirdemo.types import CirError, Heatmap, ImageId, Ranking, Reranked, SearchResult

STYLE = Path(__file__).resolve().parents[1] / "assets" / "report.css"
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # nothing runs or is fetched
)
SMALL = 56  # the same in the rank-flow chart
SHOWN = 10  # of each list
SYMBOLS = {"kept": "=", "dropped": "−", "added": "+", "changed": "→", "negated": "≠"}
MINE = '<span class="mine">written by you</span>'
NAMES = {"cot": "Reasoning (CIR-CoT)"}
Maps = Mapping[ImageId, Sequence[Heatmap]]  # by picture: under union, under intersection


class Pictures(Protocol):
    """Where a report finds a picture and what is known of it; every `Gallery` is one."""

    @property
    def name(self) -> str:
        """Of the gallery."""

    def image(self, image_id: ImageId) -> Image.Image:
        """The picture, or a CirError where there is none."""

    def record(self, image_id: ImageId) -> Mapping[str, object] | None:
        """What is known of it; its "caption" becomes the picture's alternative text."""


def write_report(
    path: Path, result: SearchResult, gallery: Pictures, options: Mapping[str, Any] | None = None
) -> None:
    """Write `html` to a file, whose folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html(result, gallery, options=options), encoding="utf-8")


def html(
    result: SearchResult,
    gallery: Pictures,
    maps: Maps | None = None,
    *,
    targets: Collection[ImageId] = (),
    options: Mapping[str, Any] | None = None,
    told: Sequence[str] = (),
) -> str:
    """The page.

    Args:
        result: What to show; stages that have not run are left out.
        gallery: For the pictures; one that cannot be had is a box with its id.
        maps: Heatmaps of the pictures to show them for, under union and under intersection.
        targets: Known targets: they carry a star, and their best rank stands at the top.
        options: How the search was asked for, as in `asked.settings`.
        told: What happened, in sentences.
    """
    page = _Page(result, gallery, frozenset(targets), options or {})
    parts = [page.top(), page.told(told), page.settings(), page.describe(), page.coarse()]
    parts += [page.maps(maps or {}), page.judge(), page.reason(), page.colophon()]
    body = "".join(parts)
    title = escape(f"cirdemo: {result.query.modification}")
    style = STYLE.read_text(encoding="utf-8")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{title}</title><style>{style}</style><main>{body}</main></html>\n"
    )


class _Page:
    """The parts of one page; each is '' where its stage has not run."""

    def __init__(
        self,
        result: SearchResult,
        gallery: Pictures,
        targets: frozenset[ImageId],
        options: Mapping[str, Any],
    ) -> None:
        self.result, self.gallery, self.targets = result, gallery, targets
        self.options = options
        pair = [result.coarse[m] for m in ("union", "intersection") if m in result.coarse]
        self.shared = (
            set(pair[0].ids[:SHOWN]) & set(pair[1].ids[:SHOWN]) if len(pair) == 2 else set()
        )

    # --- pictures --------------------------------------------------------------------------

    def _alt(self, image_id: ImageId) -> str:
        try:
            record = self.gallery.record(image_id) or {}
        except (CirError, KeyError):
            record = {}
        return str(record.get("caption") or image_id)

    def _uri(self, image_id: ImageId, side: int) -> str:
        """A data URI, or '' where the picture cannot be had."""
        try:
            return data_uri(self.gallery.image(image_id), side)
        except CirError:
            return ""

    def _picture(self, image_id: ImageId) -> str:
        alt = escape(self._alt(image_id))
        if uri := self._uri(image_id, SIDE):
            return f'<img alt="{alt}" title="{escape(image_id)}" src="{uri}">'
        return f'<span class="none" role="img" aria-label="{alt}">{escape(image_id)}</span>'

    def _card(self, image_id: ImageId, rank: int, foot: str, kind: str = "") -> str:
        hit, both = image_id in self.targets, image_id in self.shared
        star = f'<span class="star">★</span>{_sr("known target")}' if hit else ""
        gem = f'<span class="gem">◆</span>{_sr("in both lists")}' if both else ""
        marks = f'<span class="marks">{star}{gem}</span>' if star or gem else ""
        return (
            f'<li class="card{" target" if hit else ""}{kind}"><span class="pic">'
            f'{self._picture(image_id)}<span class="rank">{_sr("rank ")}{rank}</span>{marks}</span>'
            f"{foot}</li>"
        )

    def _list(self, name: str, ranking: Ranking) -> str:
        shown = [ranking.candidates[n] for n in self._head(ranking.ids)]
        cards = "".join(
            self._card(c.image_id, c.rank, f'<span class="foot">{c.score:.3f}</span>')
            for c in shown
        )
        title = NAMES.get(name, name.capitalize())
        head = f"<h3>{escape(title)}</h3>"
        return f'<div class="list {escape(name)}">{head}<ol class="row">{cards}</ol></div>'

    def _head(self, ids: Sequence[ImageId]) -> list[int]:
        """Places of the first of a list, and of its best target where that is further down."""
        hits = [n for n, image_id in enumerate(ids) if image_id in self.targets]
        further = hits[:1] if hits and hits[0] >= SHOWN else []
        return [*range(min(SHOWN, len(ids))), *further]

    # --- chapters --------------------------------------------------------------------------

    def top(self) -> str:
        query = self.result.query
        given = query.reference_id
        alt = self._alt(given) if given else "an uploaded picture"
        board = "".join(
            f"<li><span>{escape(name)}</span><b>{rank or f'beyond {length}'}</b></li>"
            for name, (rank, length) in best_ranks(self.result, self.targets).items()
        )
        if board:
            board = (
                f'<ul class="board"><li><b class="star">★</b> best known target</li>{board}</ul>'
            )
        notes = "".join(f'<p class="note">{escape(n)}</p>' for n in self.result.notices)
        return (
            f'<header class="top"><figure><img alt="reference image: {escape(alt)}" '
            f'src="{data_uri(query.reference, 2 * SIDE)}"></figure><div>'
            f'<p class="kicker">cirdemo · case sheet · {escape(self.gallery.name)}</p>'
            f"<h1>“{escape(query.modification)}”</h1>"
            f'<p class="says">Reference image: {escape(alt)}'
            f"{f' ({escape(given)})' if given else ''}</p>{board}{notes}</div></header>"
        )

    def told(self, sentences: Sequence[str]) -> str:
        said = "".join(f"<p>{escape(one)}</p>" for one in sentences)
        return f"<section><h2>What happened</h2>{said}</section>" if said else ""

    def settings(self) -> str:
        rows = "".join(
            f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
            for name, value in asked.settings(self.result, self.options)
        )
        return f'<dl class="settings" aria-label="Settings">{rows}</dl>' if rows else ""

    def describe(self) -> str:
        if not self.result.descriptions:
            return ""
        panels = ""
        for mode, told in self.result.descriptions.items():
            chips = "".join(
                f'<li class="chip {c.status}"><b aria-hidden="true">{SYMBOLS[c.status]}</b>'
                f"{_sr(c.status + ': ')}{_struck(c.text, c.status)}</li>"
                for c in told.cues
            )
            mine = MINE if mode in asked.by_you(self.result) else ""
            panels += (
                f'<article class="panel {mode}"><h3>{mode.capitalize()}{mine}</h3>'
                f"<blockquote>{escape(told.text)}</blockquote>"
                f"{f'<ul class=chips>{chips}</ul>' if chips else ''}</article>"
            )
        return self._section(
            "Descriptions of the target", "describe", f'<div class="two">{panels}</div>'
        )

    def coarse(self) -> str:
        lists = {n: r for n, r in self.result.coarse.items() if n != "cot"}
        body = "".join(self._list(name, ranking) for name, ranking in lists.items())
        return self._section("Coarse retrieval", "coarse", body) if body else ""

    def maps(self, maps: Maps) -> str:
        body = ""
        for image_id, drawn in maps.items():
            try:
                image = self.gallery.image(image_id)
            except CirError:
                continue
            body += map_figures(image, drawn, self._alt(image_id))
        if not body:
            return ""
        body = f'<div class="mapsets">{body}</div>'
        return self._section("Where the similarity comes from", "", body)

    def judge(self) -> str:
        items = self.result.reranked
        if not items:
            return ""
        least = float(self.options.get("threshold", 0.0))
        cards = "".join(
            self._card(r.image_id, r.rank, _verdict(r), " low" if r.yes_probability < least else "")
            for r in (items[n] for n in self._head([r.image_id for r in items]))
        )
        chart = rank_flow(items[:SHOWN], partial(self._uri, side=SMALL), self.targets)
        body = f'<div class="verdicts">{chart}<ol class="row">{cards}</ol></div>'
        return self._section("Re-ranked by the judge", "rerank", body)

    def reason(self) -> str:
        told, body = self.result.rationale, ""
        if told is not None:
            said = {s: getattr(told, s) for s in STEPS}
            mine = asked.thought_by_you(self.options)
            body = "".join(
                f"<li><h3>{s.capitalize()}{MINE if s == mine else ''}</h3>"
                f"<blockquote>{escape(t)}</blockquote></li>"
                for s, t in said.items()
            )
            body = f'<ol class="steps">{body}</ol>'
        if "cot" in self.result.coarse:
            body += self._list("cot", self.result.coarse["cot"])
        return self._section("Reasoning", "reason", body) if body else ""

    def colophon(self) -> str:
        """Models, prompts, seconds: what it takes to do it again."""
        result, text = self.result, self.result.query.modification
        facts = [(role, name, "") for role, name in result.models.items()]
        if result.seconds:
            spent = ", ".join(asked.spent(result))
            facts.append(("took", f"{spent}; {sum(result.seconds.values()):.2f} s in all", ""))
        for mode, told in result.descriptions.items():
            facts += [(f"asked for {mode}", told.prompt, "long")] if told.prompt else []
        if result.reranked:
            wanted = result.descriptions.get("intersection")
            prompt = judge_prompt(text, *((wanted.text, wanted.caption) if wanted else ("",)))
            facts.append(("asked the judge", prompt, "long"))
        if result.rationale is not None:
            facts.append(("asked for reasons", reason_prompt(text), "long"))
        facts.append(("prompts", prompt_hash(), ""))
        items = "".join(
            f'<dt class="{kind}">{escape(role)}</dt><dd class="{kind}">{escape(name)}</dd>'
            for role, name, kind in facts
        )
        key = "★ known target, ◆ in both lists; 0.123 is a cosine similarity, P the judge's P(Yes)."
        return f"<footer><dl>{items}</dl><p>{key}</p></footer>"

    def _section(self, title: str, stage: str, body: str) -> str:
        seconds = self.result.seconds.get(stage)
        spent = "remembered" if stage in self.result.remembered else f"{seconds or 0:.2f} s"
        took = "" if seconds is None else f"<small>{spent}</small>"
        return f"<section><h2>{took}{escape(title)}</h2>{body}</section>"


def best_ranks(
    result: SearchResult, targets: Collection[ImageId]
) -> dict[str, tuple[int | None, int]]:
    """By list: the best rank of any target, None beyond its end, and its length; {} without."""
    if not targets:
        return {}
    lists: dict[str, Sequence[ImageId]] = {
        name: ranking.ids for name, ranking in result.coarse.items() if name != "cot"
    }
    if result.reranked:
        lists["re-ranked"] = [r.image_id for r in result.reranked]
    if "cot" in result.coarse:
        lists["reasoning"] = result.coarse["cot"].ids
    return {
        name: (next((n for n, i in enumerate(ids, 1) if i in targets), None), len(ids))
        for name, ids in lists.items()
    }


def _verdict(item: Reranked) -> str:
    """The foot of a re-ranked card: P(Yes) as bar and number, and how far it moved."""
    up = item.coarse_rank - item.rank
    sign = f'<b class="up">▲{up}</b>' if up > 0 else f'<b class="down">▼{-up}</b>' if up else "="
    if math.isnan(item.yes_probability):
        return f'<span class="foot">not judged, was {item.coarse_rank}</span>'
    p = item.yes_probability
    bar = f'<span class="bar" aria-hidden="true"><i style="width:{p:.1%}"></i></span>'
    return f'{bar}<span class="foot">P <b>{p:.2f}</b> was {item.coarse_rank} {sign}</span>'


def _struck(text: str, status: str) -> str:
    return (
        f"<s>{escape(text)}</s>"
        if status in ("dropped", "negated")
        else f"<span>{escape(text)}</span>"
    )


def _sr(text: str) -> str:
    """Words for screen readers only."""
    return f'<span class="sr">{escape(text)}</span>'
