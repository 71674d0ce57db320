"""Commands that look: search, check, doctor."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cirdemo.cli import space
from cirdemo.cli.common import Answer, engine_of, names_of, settings_of
from cirdemo.types import BadInput, CirError, SearchResult

if TYPE_CHECKING:
    from cirdemo.engine import Engine


def search(args: argparse.Namespace) -> Answer:
    """Search a gallery with a picture and a text."""
    from cirdemo.export import search_json

    *image, text = args.inputs
    if len(image) != (0 if args.reference_id else 1):
        raise BadInput('Give IMAGE and "TEXT", or "TEXT" alone with --reference-id ID.')
    engine = engine_of(args)
    query = engine.make_query(
        text=text,
        reference=Path(image[0]) if image else None,
        reference_id=args.reference_id,
        gallery=args.gallery,
        region=f"crop:{args.crop}" if args.crop else "",
    )
    options = {
        "gallery": args.gallery,
        "methods": names_of(args.methods),
        "rerank": args.rerank,
        "rerank_on": args.rerank_on,
        "fuse": args.fuse,
        "text_weight": args.text_weight,
        "reason": not args.no_reason,
        "top": args.top,
    }
    if args.where:
        options["where"] = args.where
    result = SearchResult(query=query, stage="")
    for result in engine.search(query, **options):
        print(f"{result.stage}: {sum(result.seconds.values()):.1f} s", file=sys.stderr)
    answer = search_json(result, top=args.top)
    if result.reranked:
        answer["order"] = {"of": args.rerank_on, "by": "fused" if args.fuse else "p_yes"}
    if args.heatmaps:
        answer["heatmaps"] = _write_heatmaps(engine, result, args)
    if args.report:
        from cirdemo.report import write_report

        write_report(args.report, result, engine.gallery(args.gallery), options)
        answer["report"] = str(args.report)
    if args.bundle:
        from cirdemo.replay import bundle

        data = bundle(result, engine.gallery(args.gallery), options, not args.hashes_only)
        args.bundle.parent.mkdir(parents=True, exist_ok=True)
        args.bundle.write_bytes(data)
        answer["bundle"] = str(args.bundle)
    return answer, 0


def _write_heatmaps(engine: Engine, result: SearchResult, args: argparse.Namespace) -> list[str]:
    """Overlays of the best picture under each description, for `search --heatmaps`."""
    from cirdemo.explain.overlay import overlay

    ids = [r.image_id for r in result.reranked]
    ids = ids or [c.image_id for r in result.coarse.values() for c in r.candidates]
    if not ids or not result.descriptions:
        raise CirError("There is no picture or no description to draw a heatmap of.")
    image = engine.gallery(args.gallery).image(ids[0])
    maps = engine.explain(image, [d.text for d in result.descriptions.values()], ids[0])
    args.heatmaps.mkdir(parents=True, exist_ok=True)
    written = []
    for mode, heatmap in zip(result.descriptions, maps, strict=True):
        path = args.heatmaps / f"{ids[0]}-{mode}.png"
        overlay(image, heatmap).save(path)
        written.append(str(path))
    return written


def check(args: argparse.Namespace) -> Answer:
    """Run the conformance checks of a method, or hold preprocessing against given tensors."""
    from cirdemo.conformance import check

    if args.preprocessing:
        return space.check_preprocessing(args)

    answer = check(engine_of(args), args.method, gallery=args.gallery)
    return answer, 1 if answer["verdict"] == "failed" else 0


def doctor(args: argparse.Namespace) -> Answer:
    """Say what is installed, what can run here, and why not."""
    from cirdemo.cli.limits import limits
    from cirdemo.conformance import doctor

    engine = engine_of(args)
    answer = doctor(settings_of(args), engine)
    answer["public"] = settings_of(args).public
    answer["limits"] = limits(settings_of(args))
    if not args.selftest:
        return answer, 0
    from dataclasses import asdict

    from cirdemo.selftest import selftest

    answer["selftest"] = []
    for line in selftest(engine):
        print(f"{line.state}: {line.name}, {line.seconds:.1f} s", file=sys.stderr)
        answer["selftest"].append(asdict(line))
    return answer, 1 if any(c["state"] == "failed" for c in answer["selftest"]) else 0


def show_check(answer: dict[str, Any]) -> str:
    """Checks for people: a line each, the verdict last."""
    told = [answer[k] for k in ("encoder", "preprocessing") if k in answer]
    lines = [f"{c['verdict']}: {c['name']}, {c['detail']}" for c in answer["checks"]]
    return "\n".join([*told, *lines, answer["verdict"]])


def show_search(answer: dict[str, Any]) -> str:
    """A search for people."""
    lines = [f"{mode}: {d['text']}" for mode, d in answer["descriptions"].items()]
    for name, ranking in answer["coarse"].items():
        lines.append(f"{name}: " + " ".join(c["image_id"] for c in ranking))
    for r in answer["reranked"][:10]:
        p = "  -  " if r["p_yes"] is None else f"{r['p_yes']:.3f}"
        lines.append(f"{r['rank']:3d}  was {r['coarse_rank']:3d}  P(Yes) {p}  {r['image_id']}")
    lines += [f"{key}: {text}" for key, text in (answer["rationale"] or {}).items()]
    return "\n".join(lines + answer["notices"])
