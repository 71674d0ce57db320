"""Commands that go over queries again or over many of them: replay, batch."""

from __future__ import annotations

import argparse
import time
from typing import Any

from cirdemo.cli.common import Answer, engine_of, tell


def replay(args: argparse.Namespace) -> Answer:
    """Show a replay bundle with no model, or recompute it with --verify."""
    from cirdemo import replay
    from cirdemo.export import search_json
    from cirdemo.intake import load_image
    from cirdemo.report import html

    found = replay.load(args.bundle)
    answer: dict[str, Any] = {"bundle": str(args.bundle), "options": dict(found.options)}
    answer |= search_json(found.result)
    status = 0
    if args.report:
        args.report.parent.mkdir(parents=True, exist_ok=True)
        page = html(
            found.result, found.gallery, found.maps, targets=found.targets, options=found.options
        )
        args.report.write_text(page, encoding="utf-8")
        answer["report"] = str(args.report)
    if args.verify:
        image = load_image(args.image) if args.image else None
        answer["verify"] = replay.verify(found, engine_of(args), image)
        status = 0 if answer["verify"]["same"] else 1
    return answer, status


def batch(args: argparse.Namespace) -> Answer:
    """Answer a file of queries, one JSON object a line."""
    from cirdemo.batch import run

    start = time.perf_counter()
    found = run(engine_of(args), args.source, args.out, reports=args.report, progress=tell)
    return {**found, "out": str(args.out), "seconds": round(time.perf_counter() - start, 1)}, 0


def show_replay(answer: dict[str, Any]) -> str:
    """A replay for people."""
    from cirdemo.cli.look import show_search

    lines = [show_search(answer)]
    if (told := answer.get("verify")) is not None:
        lines.append("recomputed: the same" if told["same"] else "recomputed: not the same")
        lines += [f"  {d['what']}: then {d['then']}, now {d['now']}" for d in told["differences"]]
        lines += [f"  option {name} is not known here" for name in told["not_repeated"]]
    return "\n".join(lines)
