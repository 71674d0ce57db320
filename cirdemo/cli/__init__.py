"""The command line: the same engine and the same names as the app.

With `--json` a command prints one JSON object on stdout and nothing else there; progress goes to
stderr. Heavy imports wait until a command needs them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cirdemo import __version__
from cirdemo.cli import again, analysis, bench, look, make, measure, space, submissions
from cirdemo.types import CirError

if TYPE_CHECKING:
    from cirdemo.config import Settings
    from cirdemo.engine import Engine

MakeEngine = Callable[["Settings"], "Engine"]
ABOUT = "Look inside composed image retrieval: reference image + modification text -> target."
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
    models.add_argument("--profile", help="which models: embedded, photo, paper or remote")
    models.add_argument("--device", help="a torch device (default: cpu)")
    models.add_argument(
        "--with",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="using",
        help="a setting of the models: mllm=FOLDER, dtype=float32, ...; again for more",
    )
    top = argparse.ArgumentParser(prog="python -m cirdemo", description=ABOUT)
    top.add_argument("--version", action="version", version=f"cirdemo {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, *parents: argparse.ArgumentParser, show: Any = _pretty) -> Any:
        about = run.__doc__.split("\n")[0].rstrip(".")
        sub = commands.add_parser(name, help=about, parents=[common, *parents])
        sub.set_defaults(run=run, show=show)
        return sub

    sub = command("search", look.search, models, show=look.show_search)
    sub.add_argument("inputs", nargs="+", metavar="IMAGE TEXT", help="TEXT alone: --reference-id")
    sub.add_argument("--reference-id", help="a gallery picture as the reference")
    sub.add_argument("--gallery", default="fables")
    sub.add_argument("--crop", metavar="X0,Y0,X1,Y1", help="search by a part; shares from 0 to 1")
    sub.add_argument("--methods", default="union,intersection", help="names with commas between")
    sub.add_argument("--rerank", type=int, default=50, help="candidates the judge sees; 0 for none")
    sub.add_argument("--rerank-on", default="intersection", metavar="METHOD", help="list to judge")
    sub.add_argument("--fuse", action="store_true", help="order by the judge and the coarse score")
    sub.add_argument("--text-weight", type=float, metavar="SHARE", help="of the text in sum, 0-1")
    sub.add_argument("--top", type=int, default=10, help="length of the lists")
    sub.add_argument("--where", default="", metavar="FILTER", help="of a gallery in Milvus")
    sub.add_argument("--no-reason", action="store_true", help="leave CIR-CoT out")
    sub.add_argument("--heatmaps", type=Path, metavar="DIR", help="write overlays of the first")
    sub.add_argument("--report", type=Path, metavar="FILE", help="write one self-contained HTML")
    sub.add_argument("--bundle", type=Path, metavar="FILE", help="write a replay bundle (zip)")
    sub.add_argument("--hashes-only", action="store_true", help="leave pictures out of the bundle")

    sub = command("replay", again.replay, models, show=again.show_replay)
    sub.add_argument("bundle", type=Path, metavar="BUNDLE")
    sub.add_argument("--report", type=Path, metavar="FILE", help="write one self-contained HTML")
    sub.add_argument("--verify", action="store_true", help="recompute; exit status 1 if it differs")
    sub.add_argument("--image", type=Path, help="the reference, where the bundle lacks its pixels")

    sub = command("batch", again.batch, models)
    sub.add_argument("source", type=Path, metavar="IN.jsonl", help="text, reference_id or image")
    sub.add_argument("out", type=Path, metavar="OUT.jsonl", help="goes on where it stopped")
    sub.add_argument("--report", type=Path, metavar="DIR", help="write an HTML report a line")

    found = argparse.ArgumentParser(add_help=False)
    found.add_argument("--root", type=Path, metavar="DIR", help="folder of published annotations")
    worded = argparse.ArgumentParser(add_help=False)
    worded.add_argument("--gallery", help="captions: search texts alone")
    worded.add_argument("--captions", type=Path, metavar="FILE", help="if not where usual")

    sub = command("evaluate", measure.evaluate, models, found, worded, show=measure.show_evaluation)
    sub.add_argument("dataset")
    sub.add_argument("--split", default="test")
    sub.add_argument("--methods", default="all", help="names with commas between, or all")
    sub.add_argument("--protocol", help="reference-excluded or reference-kept")
    sub.add_argument("--limit", type=int, help="only the first so many queries")
    sub.add_argument("--out", type=Path, help="write JSON, CSV, Markdown and figures here")
    sub.add_argument("--readme", type=Path, help="put the table between this file's markers")

    sub = command("compare", measure.compare, models, show=measure.show_comparison)
    sub.add_argument("dataset")
    form = "METHOD[,judge[=DEPTH]][,fuse][,text=SHARE]"
    sub.add_argument("--a", required=True, metavar="SPEC", help=f"a setting: {form}")
    sub.add_argument("--b", required=True, metavar="SPEC", help="the setting it is held against")
    sub.add_argument("--split", default="val")
    sub.add_argument("--limit", type=int, help="only the first so many queries")
    sub.add_argument("--seed", type=int, default=0, help="of the bootstrap")

    sub = command("errors", measure.errors, models, show=measure.show_errors)
    sub.add_argument("dataset")
    sub.add_argument("--split", default="test")
    sub.add_argument("--limit", type=int, help="only the first so many queries")

    sub = command("evidence", measure.evidence, models)
    sub.add_argument("dataset", help="fables or wardrobe")
    sub.add_argument("--split", default="val")
    sub.add_argument("--limit", type=int, help="so many queries, evenly over the split")

    sub = command("injection", measure.injection, models)
    sub.add_argument("dataset", help="fables or wardrobe")
    sub.add_argument("--split", default="val")
    sub.add_argument("--limit", type=int, help="so many queries, evenly over the split")

    sub = command("preflight", submissions.preflight, found, show=submissions.show_preflight)
    sub.add_argument("files", nargs="+", type=Path, metavar="FILE", help="files for a test server")
    sub.add_argument("--dataset", help="cirr or circo; default: what each file looks like")
    sub.add_argument("--split", help="the same")

    sub = command("score", submissions.score, found, show=submissions.show_score)
    sub.add_argument("inputs", nargs="+", metavar="[DATASET] FILE", help="CIRR: one file or both")
    sub.add_argument("--split", help="default: what the file looks like")
    sub.add_argument("--protocol", help="default: every one of the dataset")

    sub = command("analyse", analysis.analyse, found, show=analysis.show_analysis)
    sub.add_argument("a", type=Path, metavar="A", help="a run's file, the earlier one")
    sub.add_argument("b", type=Path, metavar="B", help="a run's file, the later one")
    sub.add_argument("--dataset", help="default: what the files look like")
    sub.add_argument("--split", help="the same")
    sub.add_argument("--out", type=Path, metavar="DIR", help="write JSON and Markdown here")

    sub = command("doubts", analysis.doubts, found, show=analysis.show_doubts)
    sub.add_argument("files", nargs="+", type=Path, metavar="FILE", help="runs of one split")
    sub.add_argument("--dataset", help="default: what the files look like")
    sub.add_argument("--split", help="the same")
    sub.add_argument("--limit", type=int, help="only the first so many")
    sub.add_argument("--votes", type=Path, metavar="FILE", help="exported earlier")
    sub.add_argument("--out", type=Path, metavar="FILE", help="write the queue as JSON")

    sub = command("submit", submissions.submit, models, found, worded, show=submissions.show_submit)
    sub.add_argument("dataset", choices=["cirr", "circo"])
    sub.add_argument("--method", required=True, metavar="SPEC", help=f"{form}, or oracle")
    sub.add_argument("--split", help="default: the one that the server scores")
    sub.add_argument("--weight", type=float, help="of the captions beside the text")
    sub.add_argument("--shared-concept", action="store_true", help="CIRCO: say it in the text too")
    sub.add_argument("--out", type=Path, required=True, metavar="DIR")

    sub = command("train", make.train, models)
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

    sub = command("calibrate", measure.calibrate, models)
    sub.add_argument("--datasets", default="fables,wardrobe", help="names with commas between")
    sub.add_argument("--limit", type=int, help="only the first so many queries of each")
    sub.add_argument("--out", type=Path, help="the judge's folder, unless given")

    sub = command("draw", make.draw)
    sub.add_argument("world", choices=["fables", "wardrobe"])
    sub.add_argument("--count", type=int, default=16)
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--out", type=Path, required=True)

    sub = command("gallery", make.gallery, models)
    sub.add_argument("name", help="fables or wardrobe")
    sub.add_argument("--out", type=Path, required=True)

    sub = command("index", make.index, models, show=make.show_index)
    sub.add_argument("source", metavar="FOLDER|ZIP", help="pictures; only ever read")
    sub.add_argument("--name", required=True, help="of the gallery: small letters, digits, - and _")
    sub.add_argument("--add", action="store_true", help="keep what the gallery holds")
    sub.add_argument("--replace", action="store_true", help="anew, if of another encoder")
    sub.add_argument("--captions", action="store_true", help="let the language model write some")
    sub.add_argument(
        "--store", default="", help="faiss, milvus:./FILE.db or milvus:http://HOST:19530"
    )
    sub.add_argument("--engine", choices=["local", "ray"], default="local", help="who encodes")
    sub.add_argument("--address", default="", help="of a Ray cluster; none: one on this machine")
    sub.add_argument("--dataset", help="FOLDER is a benchmark: cirr, circo, fashioniq or auto")
    sub.add_argument("--split", default="val", help="of the benchmark")

    sub = command("fetch-gallery", make.fetch_gallery, models, show=make.show_fetched)
    sub.add_argument("name", nargs="?", help="none: list what there is")
    sub.add_argument("--replace", action="store_true", help="anew, if of another encoder")

    sub = command("examples", measure.examples, models)
    sub.add_argument("--out", type=Path, required=True, help="the Search page reads examples.json")
    sub.add_argument("--limit", type=int, help="only the first so many queries of each gallery")

    sub = command("bench", bench.bench, models, show=bench.show)
    sub.add_argument("what", choices=[*bench.BENCHES, "all"])
    sub.add_argument("--gallery", default="fables")
    sub.add_argument("--rounds", type=int, default=5, help="that are timed")
    sub.add_argument("--visitors", type=int, default=20, help="app: at once")
    sub.add_argument("--million", action="store_true", help="search: 1 M vectors too (8 GB)")
    sub.add_argument("--pictures", type=int, default=1000, help="index: of the gallery")
    sub.add_argument("--out", type=Path, metavar="DIR", help="write bench-NAME.json and .md here")
    sub.add_argument("--readme", type=Path, help="put the tables between this file's markers")

    sub = command("geometry", space.geometry, models, show=space.show_geometry)
    sub.add_argument("--gallery", help="its pictures, and unless --texts says others, its texts")
    sub.add_argument("--images", metavar="FILE", help="vectors: .npy, .npz, FILE.npz:ARRAY")
    sub.add_argument("--texts", metavar="FILE", help="vectors, or a text a line to be encoded")

    sub = command("check", look.check, models, show=look.show_check)
    what = sub.add_mutually_exclusive_group(required=True)
    what.add_argument("--method")
    what.add_argument("--preprocessing", metavar="FILE", help="tensors, .npy or .npz: do we agree?")
    sub.add_argument("--pictures", type=Path, metavar="DIR", help="the pictures of the tensors")
    sub.add_argument("--gallery", default="fables")

    sub = command("doctor", look.doctor, models)
    sub.add_argument("--selftest", action="store_true", help="load everything, run one query")
    return top


def _pretty(answer: dict[str, Any]) -> str:
    return json.dumps(answer, indent=2, ensure_ascii=False, default=str)
