"""Commands on two or more runs' files: analyse, doubts."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cirdemo.cli.common import Answer, root_of
from cirdemo.types import BadInput

if TYPE_CHECKING:
    from cirdemo.data.benchmark import Benchmark
    from cirdemo.submission.files import Submission


def analyse(args: argparse.Namespace) -> Answer:
    """Hold two runs' files against each other: rank flow, flips, pool, blame, aspects."""
    from cirdemo.evaluate.movement_page import page
    from cirdemo.evaluate.runs import analyse_files
    from cirdemo.export import finite

    files, benchmarks = _read(args, [args.a, args.b])
    answer = finite(analyse_files(files[0], files[1], benchmarks))
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        told = json.dumps(answer, ensure_ascii=False, indent=1)
        (args.out / "analysis.json").write_text(told + "\n", encoding="utf-8")
        (args.out / "analysis.md").write_text(page(answer), encoding="utf-8")
    return answer, 0


def doubts(args: argparse.Namespace) -> Answer:
    """List annotations to look at again: pictures that runs put above the target."""
    from cirdemo.evaluate.doubts import export, votes_of
    from cirdemo.evaluate.runs import doubts_of

    files, benchmarks = _read(args, args.files)
    about = {"dataset": files[0].dataset, "split": files[0].split}
    votes = {}
    if args.votes:
        try:
            votes = votes_of(json.loads(args.votes.read_text(encoding="utf-8")), **about)
        except (OSError, ValueError) as fault:
            raise BadInput(f"The votes in '{args.votes}' cannot be read ({fault}).") from fault
    found = doubts_of(files, benchmarks)
    answer = export(found[: args.limit], votes, **about)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        told = json.dumps(answer, ensure_ascii=False, indent=1)
        args.out.write_text(told + "\n", encoding="utf-8")
    return {**answer, "runs": [f.name for f in files], "found": len(found)}, 0


def _read(
    args: argparse.Namespace, paths: Sequence[Path]
) -> tuple[list[Submission], list[Benchmark]]:
    """The files, of one dataset and split, and its annotations."""
    from cirdemo.data.find import find
    from cirdemo.submission.files import read

    files = [read(p, dataset=args.dataset or "", split=args.split or "") for p in paths]
    first = files[0]
    if not first.dataset or not first.split:
        raise BadInput(
            f"It cannot be told which dataset and split {first.name} is for. Name them with "
            "--dataset and --split."
        )
    return files, find(first.dataset, first.split, root_of(args))


def show_analysis(answer: dict[str, Any]) -> str:
    """An analysis for people."""
    from cirdemo.evaluate.movement_page import page

    return page(answer).rstrip()


def show_doubts(answer: dict[str, Any]) -> str:
    """A queue for people."""
    lines = [
        f"{answer['found']} queries of {answer['dataset']}, split {answer['split']}, have another "
        "picture above the target; the most doubtful annotations first.",
        "",
    ]
    for d in answer["doubts"]:
        place = d["target_rank"] or "beyond"
        label = "" if d["label"] is None else f", soft label {d['label']}"
        vote = f", voted {d['vote']}" if d["vote"] else ""
        lines.append(
            f"{d['query_id']}  {d['reference_id']} + {d['modification']!r}: {d['candidate_id']} at "
            f"{d['rank']} in {d['runs']} runs, target {d['target_id']} at {place}{label}{vote}"
        )
    return "\n".join(lines)
