"""`evaluate DATASET --gallery captions`: a benchmark measured with no pictures."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cirdemo.cli.common import Answer, engine_of, names_of, root_of, tell
from cirdemo.types import BadInput, Encoder

if TYPE_CHECKING:
    from cirdemo.data.benchmark import Benchmark
    from cirdemo.evaluate.caption_search import Captioned

COLUMNS = ("R@1", "R@5", "R@10", "R@50", "R_subset@1", "R_subset@2", "R_subset@3", "mAP@10")


def data_of(args: argparse.Namespace) -> tuple[Benchmark, Captioned, str]:
    """The benchmark that is asked for, its captioned part, and the file the captions are from.

    Raises:
        CirError: Annotations or captions are not to be had.
    """
    from cirdemo.data.captioned import find_captions, read_captions
    from cirdemo.data.find import find
    from cirdemo.evaluate.caption_search import Captioned

    if args.gallery != "captions":
        raise BadInput(f"--gallery takes 'captions', not {args.gallery!r}.")
    kind = args.dataset.partition("-")[0]
    root = root_of(args)
    benchmarks = find(kind, args.split, root)
    found = [b for b in benchmarks if b.name == args.dataset]
    if not found:
        names = ", ".join(b.name for b in benchmarks)
        raise BadInput(f"Name one of {names}; captions are searched one gallery at a time.")
    path = args.captions or find_captions(kind, args.split, root)
    return found[0], Captioned.of(found[0], read_captions(path)), str(path)


def evaluate(args: argparse.Namespace) -> Answer:
    """Measure methods on a benchmark's captions."""
    from dataclasses import asdict

    from cirdemo.data.facts import facts
    from cirdemo.evaluate.caption_search import METHODS
    from cirdemo.evaluate.captioned import measure
    from cirdemo.export import report_json

    benchmark, data, path = data_of(args)
    if args.limit is not None and args.limit < 1:
        raise BadInput(f"limit must be at least 1, got {args.limit}.")
    names = names_of(args.methods)
    everything = names == ["all"]

    def encoder() -> Encoder:
        made: Encoder = engine_of(args).parts.encoder.get()
        return made

    report, beside = measure(
        data.first(args.limit),
        [n for n in METHODS if n != "dense"] if everything else names,
        protocol=args.protocol or protocol_of(benchmark.name),
        encoder=encoder,
        progress=tell,
    )
    told = {
        "file": path,
        "pictures": len(data.ids),
        "without": list(data.without),
        "queries_left_out": list(data.lost),
    }
    answer = report_json(
        report, gallery=len(data.ids), captions=told, facts=[asdict(f) for f in facts(benchmark)]
    )
    for name, found in beside.items():
        answer["methods"][name] |= found
    if everything:
        answer["skipped"] |= {"dense": "It needs a text encoder: name it with --methods."}
    command = answer["command"] = "python -m cirdemo " + shlex.join(args.words)
    if args.out:
        from cirdemo.results import write

        rows = {r.method: r.rows for r in report.evaluations}
        files = write(args.out, answer, rows, command, report.queries)
        print("\n".join(map(str, files)), file=sys.stderr)
    return answer, 0


def protocol_of(name: str) -> str:
    """What a benchmark's own code does with the reference."""
    return "reference-excluded" if name == "cirr" else "reference-kept"


def show(answer: Mapping[str, Any]) -> str:
    """An evaluation on captions for people: every recall, and what it rests on."""
    from cirdemo.evaluate.caption_search import METHODS
    from cirdemo.evaluate.tables import percent, tied

    methods: Mapping[str, Mapping[str, Any]] = answer["methods"]
    used = [c for c in COLUMNS if any(m.get(c) is not None for m in methods.values())]
    lines = [
        "| method | " + " | ".join(used) + " | gap |",
        "|---" * (len(used) + 2) + "|",
    ]
    for name, found in methods.items():
        cells = [f"{100 * found[c]:.2f}" if found.get(c) is not None else "-" for c in used]
        cells[0] = f"{cells[0]} {_ends(found, used[0])}"
        gap = percent(found["composition_gap"], found["interval"]["composition_gap"], "+")
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {gap} |")
    captions = answer["captions"]
    lines += [
        "",
        f"{answer['queries']} queries of {answer['dataset']}, split {answer['split']}; "
        f"{captions['pictures']} pictures with captions, {len(captions['without'])} without, and "
        f"{len(captions['queries_left_out'])} queries left out with them. Protocol "
        f"{answer['protocol']}, hard targets, ties at their mean rank. Percent; in brackets the "
        "95 % bootstrap interval over queries. Gap: R@10 minus the better of text and caption.",
        "",
        *(f"{name}: {METHODS[name]}." for name in methods),
    ]
    for name, found in methods.items():
        if found.get("weights"):
            told = ", ".join(f"{half} {w}" for half, w in found["weights"].items())
            lines.append(f"{name}, weight of the captions: {told}.")
        if soft := found.get("soft"):
            told = ", ".join(f"{k} {100 * v:.2f}" for k, v in soft.items())
            lines.append(f"{name}, soft labels: {told}.")
    lines += ["", tied(methods)]
    lines += [fact["text"] for fact in answer["facts"] if fact["affects"]]
    lines += [f"{name} was left out: {why}" for name, why in answer["skipped"].items()]
    return "\n".join(lines)


def _ends(found: Mapping[str, Any], metric: str) -> str:
    low, high = found["interval"][metric]
    return f"[{100 * low:.1f}, {100 * high:.1f}]"
