"""The command that measures speed: `bench rerank|search|index|app|plan|all`."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cirdemo.cli.common import Answer, engine_of
from cirdemo.types import BadInput, CirError

if TYPE_CHECKING:
    from cirdemo.bench.ways import Asked
    from cirdemo.engine import Engine

QUERIES = 4  # whose margins and orders are compared
OPTIONS = {  # which benches an option says something to; the others are told to all
    "--rounds": {"rerank", "search", "index", "app"},
    "--visitors": {"app"},
    "--million": {"search"},
    "--pictures": {"index"},
}


def bench(args: argparse.Namespace) -> Answer:
    """Measure speed side by side: ratios, with the targets they are held against."""
    from cirdemo.bench import tables
    from cirdemo.config import cores, use_threads

    if args.rounds < 1 or args.visitors < 1:
        raise BadInput("--rounds and --visitors must be 1 or more.")
    args.cores = cores()  # before the next line, which says otherwise
    use_threads(1)  # of one operation, as a visitor of the app gets
    names = list(BENCHES) if args.what == "all" else [args.what]
    if args.readme:  # said now, and not after the first half hour
        tables.check(args.readme, names)
    reports: dict[str, dict[str, Any]] = {}
    failed = False
    for name in names:
        try:
            if name == "plan" and failed:
                raise BadInput("The plan is made of the others, and not all of them were measured.")
            report = BENCHES[name](args)
        except CirError as fault:
            if args.what != "all":
                raise
            failed = True
            print(f"bench {name}: {fault}", file=sys.stderr)
            reports[name] = {"bench": name, "failed": str(fault), "notes": [f"{name}: {fault}"]}
            continue
        report["command"] = _command(args, name)
        reports[name] = report
        if args.out:
            files = tables.write(args.out, report)
            print("\n".join(map(str, files)), file=sys.stderr)
        if args.readme:
            tables.fill(args.readme, report)
    return (reports if args.what == "all" else reports[args.what]), int(failed)


def show(answer: dict[str, Any]) -> str:
    """Tables for people."""
    from cirdemo.bench import tables

    reports = [answer] if "bench" in answer else answer.values()
    return "\n\n".join(tables.markdown(report) for report in reports)


def _rerank(args: argparse.Namespace) -> dict[str, Any]:
    from cirdemo.bench import rerank

    args.threads = 1
    engine = engine_of(args)
    judge: Any = engine.parts.judge.get()
    if not hasattr(judge, "mllm") or not hasattr(judge.mllm, "core"):
        raise BadInput("This profile's judge runs elsewhere; bench rerank needs a local model.")
    adapter = judge.adapter if judge.adapter in judge.mllm.adapters else None
    asked = _asked(engine, args.gallery, rerank.K)
    return rerank.bench(judge.mllm, adapter, asked, rounds=args.rounds, tell=_tell("rerank"))


def _app(args: argparse.Namespace) -> dict[str, Any]:
    from cirdemo.bench import app

    args.threads = 1
    wanted = 1 + args.rounds + args.visitors
    found = engine_of(args).dataset(args.gallery).triplets("test")
    queries = list(dict.fromkeys((t.reference_id, t.modification) for t in found))[:wanted]
    if len(queries) < wanted:
        raise BadInput(f"{args.gallery!r} has {len(queries)} queries, and {wanted} are needed.")
    profile = ["--profile", args.profile] if args.profile else []
    return app.bench(
        queries,
        args.gallery,
        visitors=args.visitors,
        rounds=args.rounds,
        command=["app.py", *profile],
        tell=_tell("app"),
    )


def _search(args: argparse.Namespace) -> dict[str, Any]:
    from cirdemo.bench import search

    args.threads = 1
    sizes = (*search.SIZES, search.MILLION) if args.million else search.SIZES
    engine = engine_of(args)
    return search.bench(
        sizes,
        rounds=args.rounds,
        coarse=lambda rounds: _coarse(engine, args.gallery, rounds),
        tell=_tell("search"),
    )


def _index(args: argparse.Namespace) -> dict[str, Any]:
    from cirdemo.bench import index
    from cirdemo.config import use_threads

    use_threads(args.cores)  # alone on a machine, as the command `index` is
    engine = engine_of(args)
    shelf, encoder = engine.gallery(args.gallery), engine.parts.encoder.get()
    if not 2 <= args.pictures <= len(shelf.ids):
        raise BadInput(f"--pictures must lie between 2 and {len(shelf.ids)}.")
    files = [shelf.image_path(i) for i in shelf.ids[: args.pictures]]
    try:
        return index.bench(files, encoder, rounds=args.rounds, tell=_tell("index"))
    finally:
        use_threads(1)


def _plan(args: argparse.Namespace) -> dict[str, Any]:
    from cirdemo.bench import plan
    from cirdemo.config import ROOT

    return plan.bench(args.out or ROOT / "assets" / "bench")


def _coarse(engine: Engine, gallery: str, rounds: int) -> dict[str, Any]:
    """The engine's coarse stage, against encoding the text and searching for it."""
    from cirdemo import coarse
    from cirdemo.bench.clock import interleaved
    from cirdemo.retrieve import compose
    from cirdemo.types import Description

    shelf, encoder = engine.gallery(gallery), engine.parts.encoder.get()
    one = engine.dataset(gallery).triplets("val")[0]
    query = engine.make_query(text=one.modification, reference_id=one.reference_id, gallery=gallery)
    text, composer, index = one.modification, engine.composer("intersection"), shelf.index
    told = {"intersection": Description(text=text, mode="intersection", prompt="", writer="")}

    def stage() -> object:
        vectors = {"intersection": compose(composer, query, told)}  # type: ignore[arg-type]
        options: dict[str, Any] = {"exclude": query.reference_id, "query_id": query.query_id}
        return coarse.rank(engine.parts, shelf, "intersection", vectors, 50, **options)

    def alone() -> object:
        vector = encoder.encode_texts([text])[0]
        return index.search(vector[None], 50)

    times = {
        "stage": lambda: [stage() for _ in range(20)],
        "alone": lambda: [alone() for _ in range(20)],
    }
    return interleaved(times, rounds)


def _asked(engine: Engine, gallery: str, k: int) -> list[Asked]:
    """The first queries of val with their coarse candidates, as the app would judge them."""
    from cirdemo.bench.ways import Asked
    from cirdemo.prompts import judge_prompt

    shelf, found = engine.gallery(gallery), []
    for one in engine.dataset(gallery).triplets("val")[:QUERIES]:
        query = engine.make_query(
            text=one.modification, reference_id=one.reference_id, gallery=gallery
        )
        options: dict[str, Any] = {"methods": ["intersection"], "rerank": 0, "reason": False}
        *_, result = engine.search(query, gallery=gallery, top=k, **options)
        wanted = result.descriptions["intersection"]
        prompt = judge_prompt(query.modification, wanted.text, wanted.caption)
        pictures = tuple(shelf.image(i) for i in result.coarse["intersection"].ids)
        found.append(Asked((query.reference, prompt), pictures))
    return found


def _tell(what: str) -> Callable[[int, int], None]:
    return lambda done, of: print(f"{what}: {done} of {of}", file=sys.stderr)


def _command(args: argparse.Namespace, name: str) -> str:
    """The command that gives one table, whatever command it was part of."""
    words = [name if word == args.what else word for word in args.words]
    keep, skip = [], False
    for word in words:
        option = word.partition("=")[0]
        of = OPTIONS.get(option, {name})
        if skip:
            skip = False
        elif option in ("--out", "--readme") or (name not in of and option != "--million"):
            skip = "=" not in word
        elif word != "--json" and name in of:
            keep.append(word)
    return "python -m cirdemo " + shlex.join(keep)


BENCHES: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "rerank": _rerank,
    "search": _search,
    "index": _index,
    "app": _app,
    "plan": _plan,
}
