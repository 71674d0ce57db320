"""Commands on files of ranked lists: preflight, score, submit."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cirdemo.cli.common import Answer, engine_of, root_of, tell
from cirdemo.types import BadInput

if TYPE_CHECKING:
    from cirdemo.data.benchmark import Benchmark
    from cirdemo.evaluate.lists import Answer as Answered


def preflight(args: argparse.Namespace) -> Answer:
    """Check files for the test servers of CIRR and CIRCO; exit status 1 if anything is wrong."""
    from cirdemo.data.find import find
    from cirdemo.submission.preflight import check_files

    root = root_of(args)

    def annotations(dataset: str, split: str) -> Sequence[Benchmark]:
        return find(dataset, split, root)

    sources = {_name(path, args.files): path for path in args.files}
    found = check_files(sources, annotations, dataset=args.dataset or "", split=args.split or "")
    accepted = all(f.accepted for f in found)
    return {"accepted": accepted, "files": [f.json() for f in found]}, 0 if accepted else 1


def score(args: argparse.Namespace) -> Answer:
    """Score submission or run files of a split that has targets."""
    from cirdemo.data.find import KINDS, find
    from cirdemo.evaluate.runs import facts_of
    from cirdemo.submission.files import read
    from cirdemo.submission.score import score

    named = args.inputs[0] if args.inputs[0] in KINDS else ""
    paths = [Path(text) for text in args.inputs[1 if named else 0 :]]
    if not paths:
        raise BadInput("Name the file to score: score [DATASET] FILE.")
    files = [read(path, dataset=named, split=args.split or "") for path in paths]
    first = files[0]
    if not first.dataset or not first.split:
        raise BadInput(
            f"It cannot be told which dataset and split {first.name} is for. Write them: "
            "score cirr|circo|fashioniq FILE --split NAME."
        )
    benchmarks = find(first.dataset, first.split, root_of(args))
    made = score(files, benchmarks, args.protocol or "")
    return {"files": [f.name for f in files], **made, "facts": facts_of(benchmarks)}, 0


def submit(args: argparse.Namespace) -> Answer:
    """Write test-server files of any method; what was answered before a stop is kept."""
    import hashlib
    import itertools

    from cirdemo.data.captioned import find_captions, read_captions
    from cirdemo.data.find import SPLITS, find
    from cirdemo.evaluate import lists
    from cirdemo.evaluate.duel import Setting
    from cirdemo.submission.preflight import check_files
    from cirdemo.submission.write import Journal, write

    root = root_of(args)
    split = args.split or SPLITS[args.dataset][1]  # the one that the server scores
    (benchmark,) = find(args.dataset, split, root)
    gallery = args.gallery or args.dataset
    about = {"dataset": args.dataset, "split": split, "method": args.method}
    stem = f"{args.dataset}-{split}-{re.sub(r'[^a-z0-9]+', '-', args.method.lower()).strip('-')}"
    if args.shared_concept:  # MagicLens and BGE-VL do, SEARLE and CIReVL do not: not comparable
        if args.dataset != "circo":
            raise BadInput("Only CIRCO's queries have a shared concept.")
        benchmark = benchmark.worded(lambda t: f"find {t.shared_concept} but {t.modification}")
        about["text"] = "find SHARED_CONCEPT but RELATIVE_CAPTION"
        stem += "-shared-concept"
    if args.method == lists.ORACLE:
        made = lists.oracle(benchmark)

        def make(skip: int) -> Iterator[Answered]:
            return itertools.islice(made, skip, None)

    elif gallery == "captions":
        path = args.captions or find_captions(args.dataset, split, root)
        captions = read_captions(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        about |= {"captions": digest, "weight": args.weight}

        def make(skip: int) -> Iterator[Answered]:
            return lists.on_captions(
                benchmark, captions, args.method, weight=args.weight, skip=skip
            )

    else:
        setting, engine = Setting.parse(args.method), engine_of(args)
        about |= {"method": str(setting), "gallery": gallery}
        about |= {"space": engine.gallery(gallery).space}

        def make(skip: int) -> Iterator[Answered]:
            return lists.on_pictures(engine, gallery, benchmark, setting, skip=skip)

    triplets = benchmark.triplets(split)
    journal = Journal(args.out / f"{stem}.partial.jsonl", about, triplets)
    kept, told = len(journal.rows), time.monotonic()
    for done in journal.add(make(kept)):
        if done == len(triplets) or time.monotonic() - told > 1:
            tell("queries", done, len(triplets))
            told = time.monotonic()
    files = write(args.out, stem, args.dataset, journal.rows)
    found = check_files(
        {file.name: file for file in files},
        lambda kind, of: find(kind, of, root),
        dataset=args.dataset,
        split=split,
    )
    journal.path.unlink(missing_ok=True)
    accepted = all(f.accepted for f in found)
    return {
        **about,
        "queries": len(triplets),
        "kept_from_before": kept,
        "out": [str(file) for file in files],
        "accepted": accepted,
        "files": [f.json() for f in found],
    }, 0 if accepted else 1


def _name(path: Path, paths: Sequence[Path]) -> str:
    """A file's name; its whole path where another has the same name."""
    return path.name if sum(p.name == path.name for p in paths) == 1 else str(path)


def show_preflight(answer: dict[str, Any]) -> str:
    """A check for people."""
    lines: list[str] = []
    for file in answer["files"]:
        about = " ".join(filter(None, (file["dataset"], file["split"], file["metric"])))
        verdict = "accepted" if file["accepted"] else f"{len(file['faults'])} faults"
        lines.append(f"{file['file']}: {verdict} ({about or 'unknown'}, {file['queries']} queries)")
        lines += [f"  fault, {f['fault']}: {f['message']}" for f in file["faults"]]
        lines += [f"  warning: {text}" for text in file["warnings"]]
        lines += [f"  not checked: {text}" for text in file["not_checked"]]
    return "\n".join(lines)


def show_score(answer: dict[str, Any]) -> str:
    """Scores for people: rates in percent, a column a protocol."""
    from cirdemo.submission.score import PROTOCOLS

    named = answer["protocols"]
    width = max(len(metric) for metric in answer["metrics"])
    lines = [
        f"{answer['dataset']}, split {answer['split']}, {answer['queries']} queries",
        "",
        f"{'':{width}}  " + "  ".join(f"{name:>13}" for name in named),
    ]
    for metric in answer["metrics"]:
        cells = (f"{100 * found[metric]:13.6f}" for found in named.values())
        lines.append(f"{metric:{width}}  " + "  ".join(cells))
    told = PROTOCOLS[answer["dataset"]]
    lines += ["", *(f"{name}: {told[name]}." for name in named), ""]
    lines += [fact["text"] for fact in answer["facts"]]
    return "\n".join(lines)


def show_submit(answer: dict[str, Any]) -> str:
    """Written files for people, and what the check says of them."""
    return "\n".join([*(f"wrote {file}" for file in answer["out"]), show_preflight(answer)])
