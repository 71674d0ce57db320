"""Commands that make: train, draw, gallery, index."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cirdemo.cli.common import Answer, engine_of, settings_of, tell
from cirdemo.types import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cirdemo.config import Settings
    from cirdemo.gallery.progress import Progress


def train(args: argparse.Namespace) -> Answer:
    """Train a model of this project."""
    from cirdemo.train import recipes

    settings = settings_of(args)
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
    from cirdemo.profiles import PROFILES, Role, chosen
    from cirdemo.train import large

    def source(role: Role) -> str:
        name = chosen(PROFILES[settings.profile], settings, role)
        folder = settings.checkpoints / name
        return str(folder) if folder.is_dir() else name

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
        model=args.model or source("mllm"),
        encoder=None if args.encoder == "none" else args.encoder or source("encoder"),
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


def draw(args: argparse.Namespace) -> Answer:
    """Draw pictures of a world."""
    from cirdemo.data.drawn import galleries

    if args.count < 1:
        raise BadInput(f"--count must be at least 1, got {args.count}.")
    galleries.draw_pictures(args.world, args.count, args.seed, args.out)
    return {"world": args.world, "count": args.count, "seed": args.seed, "out": str(args.out)}, 0


def gallery(args: argparse.Namespace) -> Answer:
    """Encode a gallery's pictures with the profile's encoder."""
    from cirdemo.gallery.build import build

    engine = engine_of(args)
    dataset = engine.dataset(args.name)
    built = build(dataset, engine.parts.encoder.get(), args.out)
    return {"gallery": args.name, "pictures": len(built.ids), "out": str(args.out)}, 0


def index(args: argparse.Namespace) -> Answer:
    """Build or update a gallery of your own pictures."""
    from cirdemo.data import folder
    from cirdemo.gallery.own import VISITOR

    if args.name.startswith(VISITOR):
        raise BadInput(f"Names that begin with {VISITOR!r} are taken. Choose another.")
    engine = engine_of(args)
    if args.dataset:
        source = _benchmark(args)
    else:
        source = folder.pictures_at(args.source)
    options = {"add": args.add, "replace": args.replace, "store": args.store}
    if args.address and args.engine != "ray":
        raise BadInput("--address is of a Ray cluster: add --engine ray.")
    if args.engine == "ray":
        options["cluster"] = args.address
    answer = _built(engine.index(args.name, source, **options))
    answer["folder"] = str(engine.own().home(args.name).folder)
    if args.captions:
        for done in engine.caption(args.name):
            tell("captions", done, answer["pictures"])
            answer["captions"] = done
    return answer, 0


def fetch_gallery(args: argparse.Namespace) -> Answer:
    """Fetch freely licensed photographs as a gallery; list them if none is named."""
    engine = engine_of(args)
    if args.name is None:
        listed = {
            name: {
                "title": one.title,
                "pictures": len(one.files),
                "mib": round(one.mib, 1),
                "licence": one.licence,
                "source": one.source,
            }
            for name, one in engine.fetchable().items()
        }
        return {"galleries": listed}, 0
    answer = _built(engine.fetch_gallery(args.name, replace=args.replace))
    one = engine.fetchable()[args.name]
    return {**answer, "licence": one.licence, "source": one.source}, 0


def show_fetched(answer: dict[str, Any]) -> str:
    """Fetched photographs for people, or those that there are."""
    if "galleries" in answer:
        return "\n".join(
            f"{name}: {one['title']}, {one['mib']} MiB, {one['licence']}, {one['source']}"
            for name, one in answer["galleries"].items()
        )
    return f"{show_index(answer)}\nlicence: {answer['licence']}, {answer['source']}"


def _built(steps: Iterator[Progress]) -> dict[str, Any]:
    """Run a build, telling how far it is; its report."""
    told, report = -1.0, None
    for step in steps:
        report = step.report
        if step.seconds - told > 1 or step.report:
            told = step.seconds
            print(progress_line(step), file=sys.stderr)
    if report is None:  # an iterator that was not closed ends with a report
        raise AssertionError
    return report.as_json()


def _benchmark(args: argparse.Namespace) -> Any:
    """The pictures of a benchmark folder, under the benchmark's ids."""
    from cirdemo.data import benchmarks, folder

    kind = None if args.dataset == "auto" else args.dataset
    read = benchmarks.read_all(args.source, kind, args.split, missing="keep")
    files: dict[str, Path | None] = {}
    for one in read:
        files |= one.files()
    return folder.listed(" and ".join(one.name for one in read), Path(args.source), files)


def progress_line(step: Any) -> str:
    """A build's progress in one line."""
    from cirdemo.gallery.progress import told_time

    left = "" if step.seconds_left is None else f", {told_time(step.seconds_left)} left"
    rate = f", {step.rate:.1f} a second" if step.rate else ""
    return (
        f"{step.phase}: {step.done} of {step.of} files, {step.new} new, {step.unchanged} "
        f"unchanged, {step.left_out} left out{rate}{left}"
    )


def show_index(answer: dict[str, Any]) -> str:
    """A finished build for people."""
    lines = [
        f"gallery {answer['gallery']}: {answer['pictures']} pictures ({answer['new']} new, "
        f"{answer['unchanged']} unchanged, {answer['removed']} removed) in {answer['seconds']} s"
    ]
    if (how := answer["index"]).get("kind") in ("fast-scan", "milvus"):
        what = "fast scan" if how["kind"] == "fast-scan" else f"Milvus at {how['uri']}"
        lines.append(f"search: {what}, recall@50 {how['recall']:.3f} as measured")
    lines += [f"left out ({o['kind']}): {o['path']}: {o['reason']}" for o in answer["left_out"]]
    for pair in answer["near_duplicates"]:
        what = "identical" if pair["identical"] else "nearly the same"
        lines.append(f"{what}: {' and '.join(pair['pictures'])}")
    return "\n".join(lines)
