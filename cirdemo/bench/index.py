"""`bench index`: a gallery's build, against what its parts take alone.

The bound is cores / (encode + decode) of a picture, both measured alone in the same run. The small
copy that the page shows is made on the way; what it takes is told beside, and so is what the build
took in all, the processes that decode with it, and how busy the cores were.
"""

from __future__ import annotations

import copy
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from cirdemo.bench.clock import Ratio, Target, Times, interleaved, machine, of_children
from cirdemo.bench.tables import number, spread
from cirdemo.data.folder import pictures_at
from cirdemo.gallery import copies, indexing
from cirdemo.gallery.own import Own
from cirdemo.intake import load_image
from cirdemo.types import Encoder

SAMPLE = 64  # pictures that the parts are timed on
NEW = 0.01  # of the pictures, added to a gallery that is there


def bench(
    files: Sequence[Path],
    encoder: Encoder,
    *,
    rounds: int = 3,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, Any]:
    """Time the parts, then build, build again unchanged, and add one picture in a hundred.

    Args:
        files: Pictures; all but the last hundredth are in the first build.
        encoder: Of the profile.
        rounds: How often the parts are timed.
        tell: Called with (steps done, steps in all).
    """
    threads, cores = torch.get_num_threads(), len(os.sched_getaffinity(0))
    parts, half = _parts(files[:SAMPLE], encoder, rounds)
    tell(1, 4)
    counted = _Counted(encoder)
    builds: dict[str, dict[str, float]] = {}
    later = max(1, round(NEW * len(files)))
    with tempfile.TemporaryDirectory() as folder:
        pictures, own = Path(folder) / "pictures", Own(Path(folder) / "own")
        pictures.mkdir()
        _link(files[:-later], pictures)
        for step, name in enumerate(("whole", "unchanged", "added"), start=2):
            if name == "added":
                _link(files[-later:], pictures)
            before, clock, start = counted.seen, _processor(), time.perf_counter()
            *_, end = indexing.index(own.home("bench"), pictures_at(pictures), counted)
            seconds, took = time.perf_counter() - start, _processor()
            builds[name] = {
                "pictures": float(end.report.pictures if end.report else 0),
                "encoded": float(counted.seen - before),
                "seconds": seconds,
                "processor": sum(took) - sum(clock),
                "decoders": took[1] - clock[1],  # of it, in processes of their own
            }
            tell(step, 4)
    each = {name: t.median / len(files[:SAMPLE]) for name, t in parts.items()}
    bounds = {
        "encode_decode": cores / (each["encode"] + each["decode"]),
        "all_parts": cores / (each["encode"] + each["decode"] + each["small_copy"]),
    }
    whole = builds["whole"]
    rate = whole["encoded"] / whole["seconds"]
    busy = whole["processor"] / whole["seconds"] / cores
    report: dict[str, Any] = {
        "bench": "index",
        "pictures": len(files),
        "rounds": rounds,
        "machine": machine(threads),
        "milliseconds_a_picture": {
            name: {key: 1000 * v / len(files[:SAMPLE]) for key, v in t.told().items()}
            for name, t in parts.items()
        },
        "rate": rate,
        "busy": busy,
        "bounds": bounds,
        "builds": builds,
        "bf16": half,
    }
    goals = [t.told() for t in targets(rate, bounds, builds)]
    return report | {"targets": goals, "tables": [_table(report)], "notes": [_note(report)]}


def targets(
    rate: float, bounds: dict[str, float], builds: dict[str, dict[str, float]]
) -> Iterator[Target]:
    """What a build is held against."""
    yield Target(
        "pictures a second / (cores / (encode + decode))", rate / bounds["encode_decode"], 0.85
    )
    whole, again, added = (builds[name] for name in ("whole", "unchanged", "added"))
    yield Target("unchanged folder: pictures encoded", again["encoded"], 0, False, unit="")
    share = added["processor"] / whole["processor"]
    yield Target("1 % of new pictures / a whole build", share, 0.03, False)


class _Counted:
    """An encoder that counts its pictures."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder, self.seen, self._lock = encoder, 0, threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def encode_images(self, images: Sequence[Any]) -> np.ndarray:
        with self._lock:
            self.seen += len(images)
        return self._encoder.encode_images(images)


def _parts(
    files: Sequence[Path], encoder: Encoder, rounds: int
) -> tuple[dict[str, Times], dict[str, Any] | None]:
    """Seconds of each part over all files, on one thread; and what bf16 weights would do."""
    pictures = [load_image(path) for path in files]
    with tempfile.TemporaryDirectory() as folder:
        small = copies.place(Path(folder), "small")
        runs: dict[str, Callable[[], object]] = {
            "decode": lambda: [load_image(path.read_bytes()) for path in files],
            "encode": lambda: encoder.encode_images(pictures),
            "small_copy": lambda: _copies(pictures, small),
        }
        half = _halved(encoder)
        if half is not None:
            runs["encode_bf16"] = lambda: half.encode_images(pictures)
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            times = interleaved(runs, rounds)
        finally:
            torch.set_num_threads(before)
    if half is None:
        return times, None
    apart = np.sum(encoder.encode_images(pictures) * half.encode_images(pictures), axis=1)
    faster: Ratio = times["encode"].over(times["encode_bf16"])
    return times, {"faster": faster.told(), "least_cosine": float(apart.min())}


def _halved(encoder: Any) -> Any | None:
    """The same encoder with weights in bf16, where it is one of open_clip's."""
    if not hasattr(encoder, "pixels") or not hasattr(encoder, "model"):
        return None
    half = copy.copy(encoder)
    half.model = copy.deepcopy(encoder.model).bfloat16()
    half.pixels = lambda images: encoder.pixels(images).bfloat16()
    return half


def _processor() -> tuple[float, float]:
    """Processor seconds so far: of this process, and of those that it has started."""
    return time.process_time(), of_children()


def _copies(pictures: Sequence[Image.Image], path: Path) -> None:
    for picture in pictures:
        copies.keep(copies.coded(copies.reduced(picture)), path)


def _link(files: Sequence[Path], folder: Path) -> None:
    """Pictures of other folders under names of their own."""
    for path in files:
        (folder / path.name).write_bytes(path.read_bytes())


def _table(report: dict[str, Any]) -> dict[str, Any]:
    named = {
        "decode": "decode",
        "encode": "prepare and encode, batches of 32",
        "encode_bf16": "the same with bf16 weights",
        "small_copy": "small copy for the page",
    }
    told = report["milliseconds_a_picture"]
    rows = [[text, spread(told[key], "ms")] for key, text in named.items() if key in told]
    rows += [
        [
            "bound: cores / (encode + decode)",
            number(report["bounds"]["encode_decode"], "pictures/s"),
        ],
        ["bound with the small copies", number(report["bounds"]["all_parts"], "pictures/s")],
        ["**built**", number(report["rate"], "pictures/s")],
    ]
    whole = report["builds"]["whole"]
    taken = 1000 * whole["processor"] / whole["encoded"]
    rows.insert(len(rows) - 3, ["the whole build, everything in it", number(taken, "ms")])
    return {"head": ["a picture", "processor time"], "rows": rows}


def _note(report: dict[str, Any]) -> str:
    told, whole = report["milliseconds_a_picture"], report["builds"]["whole"]
    parts = sum(told[name]["median"] for name in ("decode", "encode", "small_copy"))
    each = 1000 * whole["processor"] / whole["encoded"]
    decoders = 1000 * whole["decoders"] / whole["encoded"]
    text = (
        f"{report['pictures']:,} pictures. The build took {number(each, 'ms')} of processor time "
        f"a picture ({number(decoders, 'ms')} of it in the processes that decode), where decoding, "
        f"encoding and the small copy take {number(parts, 'ms')} alone; the rest reads files, "
        "passes pixels between processes, starts these, and writes. It had the cores for "
        f"{report['busy']:.0%} of its time. The target's bound counts neither the small copies nor "
        "the rest."
    )
    if report["bf16"]:
        faster = report["bf16"]["faster"]["median"]
        text += (
            f" bf16 weights would be {number(faster, '×')} as fast, with a least cosine of "
            f"{report['bf16']['least_cosine']:.5f} to float32; galleries are built in float32, so "
            "that cosines of one machine are those of another to the last digits."
        )
    return text
