"""Commands that measure: evaluate, compare, errors, evidence, calibrate, examples."""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import TYPE_CHECKING, Any

from cirdemo.cli import captioned
from cirdemo.cli.common import Answer, engine_of, names_of, settings_of, tell
from cirdemo.types import CirError

if TYPE_CHECKING:
    from cirdemo.engine import Engine

BLOCKS = {  # more of `evaluate`: name -> function(engine, dataset, split, limit, progress)
    "impossible": "cirdemo.evaluate.impossible:refusals",
    "explanations": "cirdemo.explain.faithfulness:explanations",
}


def evaluate(args: argparse.Namespace) -> Answer:
    """Measure methods on a dataset."""
    from cirdemo.evaluate import measure
    from cirdemo.export import fill_readme, report_json

    if args.gallery:
        return captioned.evaluate(args)
    engine = engine_of(args)
    names = names_of(args.methods)
    everything = names == ["all"]
    report = measure(
        engine,
        args.dataset,
        args.split,
        None if everything else names,
        args.limit,
        tell,
        protocol=args.protocol or "reference-excluded",
    )
    blocks, skipped = _blocks(engine, args) if everything else ({}, {})
    told = {name: block.pop("rows", []) for name, block in blocks.items()}
    gallery = len(engine.gallery(args.dataset).ids)
    answer = report_json(report, gallery=gallery, **blocks)
    answer["skipped"] |= skipped
    command = answer["command"] = "python -m cirdemo " + shlex.join(args.words)
    if args.out:
        from cirdemo.results import write

        rows = {r.method: r.rows for r in report.evaluations} | told
        files = write(args.out, answer, rows, command, report.queries)
        print("\n".join(map(str, files)), file=sys.stderr)
    if args.readme:
        fill_readme(args.readme, answer, command)
    return answer, 0


def _blocks(
    engine: Engine, args: argparse.Namespace
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """What `evaluate` measures beside the methods, and why what is missing is so."""
    from cirdemo.registry import load

    found, skipped = {}, {}
    for name, target in BLOCKS.items():
        if not hasattr(engine.dataset(args.dataset), "record"):
            skipped[name] = f"Dataset {args.dataset!r} has no records to check anything against."
            continue
        try:
            found[name] = load(target)(engine, args.dataset, args.split, args.limit, tell)
        except CirError as error:
            skipped[name] = str(error)
    return found, skipped


def compare(args: argparse.Namespace) -> Answer:
    """Compare two full settings on the same queries."""
    from cirdemo.evaluate import compare as stats
    from cirdemo.evaluate.duel import Setting, duel

    a, b = Setting.parse(args.a), Setting.parse(args.b)
    of, found = duel(engine_of(args), args.dataset, a, b, split=args.split, limit=args.limit)
    rows = []
    for row in found:
        rows.append(row)
        if len(rows) % 10 == 0 or len(rows) == of:
            tell("queries", len(rows), of)
    about = {"dataset": args.dataset, "split": args.split, "protocol": "reference-excluded"}
    summary = stats.compare(rows, seed=args.seed)
    head = {**about, "a": str(a), "b": str(b), **summary, "verdict": stats.verdict(summary)}
    told = [{**row, "outcome": stats.outcome(row)} for row in rows]
    return {**head, "rows": told}, 0


def errors(args: argparse.Namespace) -> Answer:
    """Blame one stage for each query that SETR misses."""
    from cirdemo.evaluate import measure
    from cirdemo.evaluate.errors import analyse
    from cirdemo.export import finite

    options = (args.dataset, args.split, ["setr"], args.limit, tell)
    (setr, *_) = measure(engine_of(args), *options, captions=False).evaluations
    about = {"dataset": args.dataset, "split": args.split, "protocol": setr.protocol}
    return finite(about | analyse(setr.rows)), 0


def evidence(args: argparse.Namespace) -> Answer:
    """Check the judge's reasons and the support of rationales against the records."""
    from cirdemo.evaluate.evidence import evidence
    from cirdemo.export import finite

    return finite(evidence(engine_of(args), args.dataset, args.split, args.limit, tell)), 0


def injection(args: argparse.Namespace) -> Answer:
    """Measure whether words on pictures or behind the text talk the judge into a Yes."""
    from cirdemo.evaluate.injection import injection
    from cirdemo.export import finite

    return finite(injection(engine_of(args), args.dataset, args.split, args.limit, tell)), 0


def calibrate(args: argparse.Namespace) -> Answer:
    """Fit what the judge's margins mean on the val split."""
    from cirdemo.evaluate.calibrate import calibrate

    settings = settings_of(args)
    out = args.out or settings.checkpoints / settings.profile / "judge"
    found = calibrate(engine_of(args), names_of(args.datasets), out, limit=args.limit)
    return {**found, "out": str(out)}, 0


def examples(args: argparse.Namespace) -> Answer:
    """Pick example queries from val by their outcome."""
    from cirdemo.examples import write

    found = write(engine_of(args), args.out, args.limit)
    return {"examples": found, "out": str(args.out)}, 0


def show_evaluation(answer: dict[str, Any]) -> str:
    """An evaluation for people."""
    from cirdemo.export import markdown

    if "captions" in answer:
        return captioned.show(answer)
    skipped = [f"{name} was skipped: {why}" for name, why in answer["skipped"].items()]
    return "\n".join([markdown(answer), *skipped])


def show_comparison(answer: dict[str, Any]) -> str:
    """A comparison for people."""
    lines = [
        f"A: {answer['a']}",
        f"B: {answer['b']}",
        f"{answer['queries']} queries of {answer['dataset']}, split {answer['split']}, "
        f"protocol {answer['protocol']}",
        f"A wins {answer['win']}, ties {answer['tie']}, loses {answer['loss']}",
        "",
        "          A       B     A - B  [95 % paired bootstrap]",
    ]
    for name, m in answer["metrics"].items():
        low, high = m["interval"]
        lines.append(
            f"{name:5} {m['a'] * 100:6.1f}  {m['b'] * 100:6.1f}    {m['difference'] * 100:+6.1f}"
            f"  [{low * 100:+.1f}, {high * 100:+.1f}]"
        )
    return "\n".join([*lines, "", answer["verdict"]])


def show_errors(answer: dict[str, Any]) -> str:
    """An error analysis for people."""
    from cirdemo.evaluate.errors import table

    lines = [
        f"{e['query_id']}  {e['kind']:10}  {e['blame']}: {e['modification']!r}"
        f", rank {e['rank']}, coarse {e['coarse_rank']}"
        for e in answer["errors"]
    ]
    return "\n".join([*lines, "", table(answer)])
