"""The command line: the same engine and the same names as the app.

With `--json` a command prints one JSON object on stdout and nothing else there; progress goes to
stderr. Heavy imports wait until a command needs them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cirdemo import __version__
from cirdemo.types import BadInput, CirError, SearchResult

if TYPE_CHECKING:
    from cirdemo.config import Settings
    from cirdemo.engine import Engine

MakeEngine = Callable[["Settings"], "Engine"]
ABOUT = "Look inside composed image retrieval: reference image + modification text -> target."
BLOCKS = {  # more of `evaluate`: name -> function(engine, dataset, split, limit, progress)
    "impossible": "cirdemo.evaluate.impossible:refusals",
    "explanations": "cirdemo.explain.faithfulness:explanations",
}
USAGE_ERROR = 2  # exit status of a CirError, as of a wrong option


def main(argv: Sequence[str] | None = None, *, make_engine: MakeEngine | None = None) -> int:
    """Run a command; returns the exit status.

    Args:
        argv: The words after the program's name; the process's own unless given.
        make_engine: In place of `config.build_engine`.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    args = parser().parse_args(words)
    args.words = words
    args.make_engine = make_engine
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    logging.getLogger("cirdemo").setLevel(logging.INFO)  # the libraries stay quiet
    out = sys.stdout
    try:
        with contextlib.redirect_stdout(sys.stderr):  # a library's chatter is not our answer
            answer, status = args.run(args)
    except CirError as error:
        answer = {"error": {"type": type(error).__name__, "message": str(error)}}
        if not args.json:
            print(str(error), file=sys.stderr)
            return USAGE_ERROR
        status = USAGE_ERROR
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except Exception:
        traceback.print_exc(file=sys.stderr)
        return 1
    if args.json:
        from cirdemo.export import finite

        print(json.dumps(finite(answer), ensure_ascii=False, allow_nan=False), file=out)
    else:
        print(args.show(answer), file=out)
    return int(status)


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    models = argparse.ArgumentParser(add_help=False)
    models.add_argument("--profile", help="which models: embedded, photo or paper")
    models.add_argument("--device", help="a torch device (default: cpu)")
    top = argparse.ArgumentParser(prog="python -m cirdemo", description=ABOUT)
    top.add_argument("--version", action="version", version=f"cirdemo {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, *parents: argparse.ArgumentParser, show: Any = _pretty) -> Any:
        about = run.__doc__.split("\n")[0].rstrip(".")
        sub = commands.add_parser(name, help=about, parents=[common, *parents])
        sub.set_defaults(run=run, show=show)
        return sub

    sub = command("search", _search, models, show=_show_search)
    sub.add_argument("inputs", nargs="+", metavar="IMAGE TEXT", help="TEXT alone: --reference-id")
    sub.add_argument("--reference-id", help="a gallery picture as the reference")
    sub.add_argument("--gallery", default="fables")
    sub.add_argument("--methods", default="union,intersection", help="names with commas between")
    sub.add_argument("--rerank", type=int, default=50, help="candidates the judge sees; 0 for none")
    sub.add_argument("--rerank-on", default="intersection", metavar="METHOD", help="list to judge")
    sub.add_argument("--fuse", action="store_true", help="order by the judge and the coarse score")
    sub.add_argument("--text-weight", type=float, metavar="SHARE", help="of the text in sum, 0-1")
    sub.add_argument("--top", type=int, default=10, help="length of the lists")
    sub.add_argument("--no-reason", action="store_true", help="leave CIR-CoT out")
    sub.add_argument("--heatmaps", type=Path, metavar="DIR", help="write overlays of the first")
    sub.add_argument("--report", type=Path, metavar="FILE", help="write one self-contained HTML")

    sub = command("evaluate", _evaluate, models, show=_show_evaluation)
    sub.add_argument("dataset")
    sub.add_argument("--split", default="test")
    sub.add_argument("--methods", default="all", help="names with commas between, or all")
    sub.add_argument("--protocol", default="reference-excluded")
    sub.add_argument("--limit", type=int, help="only the first so many queries")
    sub.add_argument("--out", type=Path, help="write JSON, CSV, Markdown and figures here")
    sub.add_argument("--readme", type=Path, help="put the table between this file's markers")

    sub = command("errors", _errors, models, show=_show_errors)
    sub.add_argument("dataset")
    sub.add_argument("--split", default="test")
    sub.add_argument("--limit", type=int, help="only the first so many queries")

    sub = command("train", _train, models)
    sub.add_argument("name", help="encoder, vision, mllm, judge or cot")
    sub.add_argument("--seconds", type=float, help="training time; default: the recipe's own")
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--out", type=Path, help="default: runs/NAME; shipped weights stay")
    sub.add_argument("--base", type=Path, help="folder with encoder and mllm to build on")
    sub.add_argument("--from", type=Path, dest="start", help="folder with weights to go on from")
    real = sub.add_argument_group("judge or cot on a benchmark folder")
    real.add_argument("--data", type=Path, metavar="DIR", help="folder of CIRR, CIRCO or FashionIQ")
    real.add_argument("--dataset", help="cirr, circo or fashioniq; default: what DIR holds")
    real.add_argument("--split", default="train")
    real.add_argument("--images", type=Path, help="folder of the pictures, if not where usual")
    real.add_argument("--missing", choices=["stop", "skip"], default="stop", help="pictures")
    real.add_argument("--model", help="folder or hub name; default: the profile's")
    real.add_argument("--encoder", help="the same; none: wrong pictures are random")
    real.add_argument("--rationales", type=Path, metavar="FILE", help="JSON lines, for cot")
    real.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings")

    sub = command("calibrate", _calibrate, models)
    sub.add_argument("--datasets", default="fables,wardrobe", help="names with commas between")
    sub.add_argument("--limit", type=int, help="only the first so many queries of each")
    sub.add_argument("--out", type=Path, help="the judge's folder, unless given")

    sub = command("draw", _draw)
    sub.add_argument("world", choices=["fables", "wardrobe"])
    sub.add_argument("--count", type=int, default=16)
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--out", type=Path, required=True)

    sub = command("gallery", _gallery, models)
    sub.add_argument("name", help="fables or wardrobe")
    sub.add_argument("--out", type=Path, required=True)

    sub = command("examples", _examples, models)
    sub.add_argument("--out", type=Path, required=True, help="the Search page reads examples.json")
    sub.add_argument("--limit", type=int, help="only the first so many queries of each gallery")

    sub = command("check", _check, models)
    sub.add_argument("--method", required=True)
    sub.add_argument("--gallery", default="fables")

    command("doctor", _doctor, models)
    return top


# --- commands -----------------------------------------------------------------------------


def _search(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Search a gallery with a picture and a text."""
    from cirdemo.export import search_json

    *image, text = args.inputs
    if len(image) != (0 if args.reference_id else 1):
        raise BadInput('Give IMAGE and "TEXT", or "TEXT" alone with --reference-id ID.')
    engine = _engine(args)
    query = engine.make_query(
        text=text,
        reference=Path(image[0]) if image else None,
        reference_id=args.reference_id,
        gallery=args.gallery,
    )
    result = SearchResult(query=query, stage="")
    for result in engine.search(
        query,
        gallery=args.gallery,
        methods=_names(args.methods),
        rerank=args.rerank,
        rerank_on=args.rerank_on,
        fuse=args.fuse,
        text_weight=args.text_weight,
        reason=not args.no_reason,
        top=args.top,
    ):
        print(f"{result.stage}: {sum(result.seconds.values()):.1f} s", file=sys.stderr)
    answer = search_json(result, top=args.top)
    if result.reranked:
        answer["order"] = {"of": args.rerank_on, "by": "fused" if args.fuse else "p_yes"}
    if args.heatmaps:
        answer["heatmaps"] = _write_heatmaps(engine, result, args)
    if args.report:
        from cirdemo.report import write_report

        write_report(args.report, result, engine.gallery(args.gallery))
        answer["report"] = str(args.report)
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


def _evaluate(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Measure methods on a dataset."""
    from cirdemo.evaluate import measure
    from cirdemo.export import fill_readme, report_json

    engine = _engine(args)
    names = _names(args.methods)
    everything = names == ["all"]
    report = measure(
        engine,
        args.dataset,
        args.split,
        None if everything else names,
        args.limit,
        _tell,
        protocol=args.protocol,
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
        files = write(args.out, answer, rows, command)
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
            found[name] = load(target)(engine, args.dataset, args.split, args.limit, _tell)
        except CirError as error:
            skipped[name] = str(error)
    return found, skipped


def _errors(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Blame one stage for each query that SETR misses."""
    from cirdemo.evaluate import measure
    from cirdemo.evaluate.errors import analyse
    from cirdemo.export import finite

    options = (args.dataset, args.split, ["setr"], args.limit, _tell)
    (setr, *_) = measure(_engine(args), *options, captions=False).evaluations
    about = {"dataset": args.dataset, "split": args.split, "protocol": setr.protocol}
    return finite(about | analyse(setr.rows)), 0


def _train(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Train a model of this project."""
    from cirdemo.train import recipes

    settings = _settings(args)
    out = args.out or Path("runs") / args.name
    if args.data:
        return _train_large(args, settings, out), 0
    if settings.profile != "embedded":
        raise BadInput(
            f"Profile {settings.profile!r} trains judge or cot on a folder of CIRR, CIRCO or "
            "FashionIQ: name it with --data DIR. Without a profile the drawn worlds are used."
        )
    report = recipes.run(
        args.name,
        seconds=args.seconds,
        seed=args.seed,
        out=out,
        cache=settings.cache,
        base=args.base or settings.checkpoints / settings.profile,
        start=args.start,
    )
    return {"name": args.name, **report}, 0


def _train_large(args: argparse.Namespace, settings: Settings, out: Path) -> dict[str, Any]:
    """Train an adapter of a published model on a benchmark folder."""
    from cirdemo.config import PROFILES
    from cirdemo.train import large

    def source(name: str) -> str:
        folder = settings.checkpoints / name
        return str(folder) if folder.is_dir() else name

    profile = PROFILES[settings.profile]
    if wrong := [text for text in args.settings if "=" not in text]:
        raise BadInput(f"--set {wrong[0]}: write it as NAME=VALUE.")
    job = large.LargeJob(
        name=args.name,
        profile=settings.profile,
        folder=args.data,
        dataset=args.dataset,
        split=args.split,
        images=args.images,
        missing=args.missing,
        model=args.model or source(profile.mllm),
        encoder=None if args.encoder == "none" else args.encoder or source(profile.encoder),
        rationales=args.rationales,
        out=out,
        cache=settings.cache,
        seconds=args.seconds,
        seed=args.seed,
        start=args.start,
        device=args.device or os.environ.get("CIRDEMO_DEVICE"),
        options=dict(text.split("=", 1) for text in args.settings),
    )
    report = large.run(job)
    if os.environ.get("RANK", "0") != "0":
        raise SystemExit(0)  # of several processes the first one answers
    return {"name": args.name, **report}


def _calibrate(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Fit what the judge's margins mean on the val split."""
    from cirdemo.evaluate.calibrate import calibrate

    settings = _settings(args)
    out = args.out or settings.checkpoints / settings.profile / "judge"
    found = calibrate(_engine(args), _names(args.datasets), out, limit=args.limit)
    return {**found, "out": str(out)}, 0


def _draw(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Draw pictures of a world."""
    from cirdemo.data.drawn import galleries

    if args.count < 1:
        raise BadInput(f"--count must be at least 1, got {args.count}.")
    galleries.draw_pictures(args.world, args.count, args.seed, args.out)
    return {"world": args.world, "count": args.count, "seed": args.seed, "out": str(args.out)}, 0


def _gallery(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Encode a gallery's pictures with the profile's encoder."""
    from cirdemo.gallery.build import build

    engine = _engine(args)
    dataset = engine.dataset(args.name)
    built = build(dataset, engine.parts.encoder.get(), args.out)
    return {"gallery": args.name, "pictures": len(built.ids), "out": str(args.out)}, 0


def _examples(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Pick example queries from val by their outcome."""
    from cirdemo.examples import write

    found = write(_engine(args), args.out, args.limit)
    return {"examples": found, "out": str(args.out)}, 0


def _check(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Run the conformance checks of a method."""
    from cirdemo.conformance import check

    answer = check(_engine(args), args.method, gallery=args.gallery)
    return answer, 1 if answer["verdict"] == "failed" else 0


def _doctor(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Say what is installed, what can run here, and why not."""
    from cirdemo.conformance import doctor

    return doctor(_settings(args), _engine(args)), 0


# --- shared -------------------------------------------------------------------------------


def _settings(args: argparse.Namespace) -> Settings:
    from cirdemo.config import Settings, cores

    given = {"profile": args.profile, "device": args.device}
    if "CIRDEMO_THREADS" not in os.environ:
        given["threads"] = cores()
    return Settings.from_env(**{k: v for k, v in given.items() if v is not None})


def _engine(args: argparse.Namespace) -> Engine:
    from cirdemo.config import build_engine

    return (args.make_engine or build_engine)(_settings(args))


def _tell(what: str, done: int, of: int) -> None:
    print(f"{what}: {done} of {of}", file=sys.stderr)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise BadInput("Name at least one method.")
    return names


def _pretty(answer: dict[str, Any]) -> str:
    return json.dumps(answer, indent=2, ensure_ascii=False, default=str)


def _show_search(answer: dict[str, Any]) -> str:
    lines = [f"{mode}: {d['text']}" for mode, d in answer["descriptions"].items()]
    for name, ranking in answer["coarse"].items():
        lines.append(f"{name}: " + " ".join(c["image_id"] for c in ranking))
    for r in answer["reranked"][:10]:
        p = "  -  " if r["p_yes"] is None else f"{r['p_yes']:.3f}"
        lines.append(f"{r['rank']:3d}  was {r['coarse_rank']:3d}  P(Yes) {p}  {r['image_id']}")
    lines += [f"{key}: {text}" for key, text in (answer["rationale"] or {}).items()]
    return "\n".join(lines + answer["notices"])


def _show_evaluation(answer: dict[str, Any]) -> str:
    from cirdemo.export import markdown

    skipped = [f"{name} was skipped: {why}" for name, why in answer["skipped"].items()]
    return "\n".join([markdown(answer), *skipped])


def _show_errors(answer: dict[str, Any]) -> str:
    from cirdemo.evaluate.errors import table

    lines = [
        f"{e['query_id']}  {e['kind']:10}  {e['blame']}: {e['modification']!r}"
        f", rank {e['rank']}, coarse {e['coarse_rank']}"
        for e in answer["errors"]
    ]
    return "\n".join([*lines, "", table(answer)])
