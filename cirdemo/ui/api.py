"""The documented API, by gradio_client and as MCP tools: search, describe, rerank, and so on.

One engine answers the page, the command line and these. The docstrings below are what a client
reads: they become the descriptions of the endpoints, of the tools and of their parameters.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from cirdemo.export import finite, report_json, search_json
from cirdemo.types import BadInput, Query, SearchResult
from cirdemo.ui.context import Context
from cirdemo.ui.wiring import MODEL, guarded, stay

ENDPOINTS = ("search", "describe", "rerank", "explain", "evaluate")
MOST = {"top": 100, "rerank": 100, "pictures": 100, "texts": 20}
PUBLIC_QUERIES = 50  # of an evaluation on a page that strangers visit: about a minute of two cores


@dataclass(frozen=True)
class ApiHandlers:
    """The endpoints; plain values in, JSON objects out."""

    engine: Any
    public: bool = False

    @guarded
    def search(
        self,
        modification: str,
        reference_id: str = "",
        reference: str | None = None,
        gallery: str = "fables",
        methods: str = "union, intersection",
        rerank: float = 50,
        rerank_on: str = "intersection",
        fuse: bool = False,
        reason: bool = True,
        top: float = 10,
    ) -> dict[str, Any]:
        """Find the pictures of a gallery that show a reference image with a modification done.

        Args:
            modification: What should change, such as "hugging instead of standing".
            reference_id: The id of a gallery picture as the reference image, such as fables-0042.
            reference: A picture file as the reference image, in place of reference_id.
            gallery: The gallery to search, fables or wardrobe.
            methods: Coarse methods, with commas between: union, intersection, text, image, sum...
            rerank: How many candidates the judge looks at, 0 for none.
            rerank_on: The method whose list the judge re-ranks.
            fuse: Order by the judge and the coarse score together.
            reason: Whether to run CIR-CoT, which writes a rationale and finds its own list.
            top: How many pictures of each list to return.

        Returns:
            The object of the command `search --json`: descriptions, coarse lists, re-ranked list
            with P(Yes), rationale, seconds and models.
        """
        query = self._query(modification, reference_id, reference, gallery)
        top = _count("top", top, 1)
        result = SearchResult(query=query, stage="")
        for step in self.engine.search(
            query,
            gallery=gallery,
            methods=_names(methods),
            rerank=_count("rerank", rerank, 0),
            rerank_on=rerank_on,
            fuse=bool(fuse),
            reason=bool(reason),
            top=top,
        ):
            result = step
            stay()
        return search_json(result, top=top)

    @guarded
    def describe(
        self,
        modification: str,
        reference_id: str = "",
        reference: str | None = None,
        gallery: str = "fables",
        modes: str = "union, intersection",
    ) -> dict[str, Any]:
        """Write what the target should show, with what is kept, dropped, added and changed.

        Args:
            modification: What should change, such as "hugging instead of standing".
            reference_id: The id of a gallery picture as the reference image, such as fables-0042.
            reference: A picture file as the reference image, in place of reference_id.
            gallery: The gallery that reference_id is in.
            modes: Kinds of description, with commas between: union, enhanced, intersection.

        Returns:
            The descriptions by mode, with their cues.
        """
        query = self._query(modification, reference_id, reference, gallery)
        names = _names(modes)
        if odd := [n for n in names if n not in ("union", "enhanced", "intersection")]:
            raise BadInput(f"There is no mode {odd[0]!r}; use union, enhanced or intersection.")
        stages = self.engine.search(query, gallery=gallery, methods=names, rerank=0, reason=False)
        told = search_json(next(iter(stages)))
        kept = ("query", "descriptions", "seconds", "models", "unknown_words", "notices")
        return {key: told[key] for key in kept}

    @guarded
    def rerank(
        self,
        modification: str,
        image_ids: str,
        reference_id: str = "",
        reference: str | None = None,
        gallery: str = "fables",
        wanted: str = "",
    ) -> dict[str, Any]:
        """Ask the judge of named pictures whether each shows the target, and order them.

        Args:
            modification: What should change, such as "hugging instead of standing".
            image_ids: Ids of gallery pictures to judge, with commas between.
            reference_id: The id of a gallery picture as the reference image, such as fables-0042.
            reference: A picture file as the reference image, in place of reference_id.
            gallery: The gallery that the pictures are in.
            wanted: A description of the target for the judge; empty lets the model write it.

        Returns:
            The pictures by P(Yes), with rank, the rank they were named in, and margin.
        """
        query = self._query(modification, reference_id, reference, gallery)
        ids = _names(image_ids, "pictures")
        found = []
        for verdict in self.engine.judge(query, ids, gallery=gallery, wanted=wanted or ""):
            found.append(verdict)
            stay()
        told = [n for n in range(len(found)) if not found[n].failed]
        order = sorted(told, key=lambda n: (-found[n].margin, n))
        for n in range(len(found)):
            if found[n].failed:
                order.insert(n, n)  # no verdict moves a picture nowhere
        rows = [
            {
                "image_id": found[n].image_id,
                "rank": rank,
                "coarse_rank": n + 1,
                "p_yes": found[n].yes_probability,
                "margin": found[n].margin,
                **({"failed": found[n].failed} if found[n].failed else {}),
            }
            for rank, n in enumerate(order, 1)
        ]
        return finite({"reranked": rows})  # type: ignore[no-any-return]

    @guarded
    def explain(
        self, texts: str, image_id: str = "", image: str | None = None, gallery: str = "fables"
    ) -> dict[str, Any]:
        """Say where a picture carries its similarity to texts: one heatmap a text, on one scale.

        Args:
            texts: What to look for, one text a line; a single word is a text too.
            image_id: The id of a gallery picture, such as fables-0042.
            image: A picture file, in place of image_id.
            gallery: The gallery that image_id is in.

        Returns:
            For each text a grid of values in 0 to 1, rows from the top, with the range of the raw
            similarities that 0 and 1 stand for.
        """
        lines = [line.strip() for line in (texts or "").splitlines() if line.strip()]
        if not lines or len(lines) > MOST["texts"]:
            raise BadInput(f"Give 1 to {MOST['texts']} texts, one a line; got {len(lines)}.")
        picture = self._query(lines[0], image_id, image, gallery).reference
        maps = self.engine.explain(picture, lines, image_id)
        return {
            "image_id": image_id or None,
            "maps": [
                {
                    "text": m.text,
                    "kind": m.kind,
                    "values": np.round(np.asarray(m.values, float), 4).tolist(),
                    "range": [round(float(v), 5) for v in m.value_range],
                }
                for m in maps
            ],
        }

    @guarded
    def evaluate(
        self,
        dataset: str,
        split: str = "val",
        methods: str = "text, union, intersection",
        limit: float = 20,
        protocol: str = "reference-excluded",
    ) -> dict[str, Any]:
        """Measure methods on a dataset's queries: recall at K, with 95 % intervals.

        Args:
            dataset: fables or wardrobe.
            split: val or test.
            methods: Names with commas between, such as text, union, intersection, setr, cot.
            limit: Only the first so many queries; 0 for all of them.
            protocol: reference-excluded or reference-kept.

        Returns:
            The object of the command `evaluate --json`: rates by method, their intervals, and the
            number of queries and pictures.
        """
        from cirdemo.evaluate import measure

        count: int | None = _whole("limit", limit)
        if self.public and not 0 < (count or 0) <= PUBLIC_QUERIES:
            raise BadInput(
                f"This page is public and measures 1 to {PUBLIC_QUERIES} queries at a time; "
                "run cirdemo on your machine for more."
            )
        names = _names(methods)
        options: dict[str, Any] = {"protocol": protocol, "captions": False}
        report = measure(self.engine, dataset, split, names, count or None, stay, **options)
        return report_json(report, gallery=len(self.engine.gallery(dataset).ids))

    def _query(self, text: str, reference_id: str, reference: str | None, gallery: str) -> Query:
        if bool(reference_id) is bool(reference):
            raise BadInput("Give one picture: the id of a gallery picture, or a file.")
        found: Query
        if reference_id:
            found = self.engine.make_query(text=text, reference_id=reference_id, gallery=gallery)
        else:
            found = self.engine.make_query(text=text, reference=Path(str(reference)))
        return found


def _names(text: str, most: str = "") -> list[str]:
    names = list(dict.fromkeys(n.strip() for n in (text or "").split(",") if n.strip()))
    if not names:
        raise BadInput("Give at least one name; several stand with commas between.")
    if most and len(names) > MOST[most]:
        raise BadInput(f"Give at most {MOST[most]} {most}, got {len(names)}.")
    return names


def _whole(name: str, value: float | None) -> int:
    try:
        whole = int(value)  # type: ignore[arg-type]  # anything may come over the network
        right = whole == value and whole >= 0
    except (TypeError, ValueError, OverflowError):
        right = False
    if not right:
        raise BadInput(f"{name} must be a whole number of at least 0, got {value!r:.40}.")
    return whole


def _count(name: str, value: float | None, least: int) -> int:
    count = _whole(name, value)
    if not least <= count <= MOST[name]:
        raise BadInput(f"{name} must lie between {least} and {MOST[name]}, got {count}.")
    return count


def offer(context: Context) -> None:
    """Put the endpoints into the page, which shows nothing of them."""
    handlers = ApiHandlers(context.engine, context.public)
    kinds: dict[str, Callable[..., Any]] = {
        "str": gr.Textbox,
        "str | None": functools.partial(gr.Image, type="filepath"),
        "float": gr.Number,
        "bool": gr.Checkbox,
    }
    with gr.Row(visible=False):
        for name in ENDPOINTS:
            fn = getattr(handlers, name)
            asked = inspect.signature(fn).parameters.values()
            inputs = [
                kinds[p.annotation](
                    **({} if p.default in (p.empty, None) else {"value": p.default}), label=p.name
                )
                for p in asked
            ]
            gr.Button(name).click(fn, inputs, gr.JSON(), api_name=name, **MODEL)
