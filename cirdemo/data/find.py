"""Where the annotations of a benchmark are, when nobody says so, and how they are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cirdemo.data.benchmark import Benchmark
from cirdemo.data.benchmarks import CATEGORIES, read_circo, read_cirr, read_fashioniq
from cirdemo.registry import unknown
from cirdemo.types import BadInput, MissingCheckpoint

KINDS = ("cirr", "circo", "fashioniq")
SPLITS = {"cirr": ("val", "test1", "train"), "circo": ("val", "test"), "fashioniq": ("val", "test")}


def places(root: Path | None = None) -> Sequence[Path]:
    """Folders to look in: the given one alone, or those where people keep such data.

    These are the working directory, a folder `data` in it, beside it or in its neighbours, and
    `~/data`.

    Raises:
        BadInput: The given folder does not exist.
    """
    if root is not None:
        if not root.is_dir():
            raise BadInput(f"There is no folder '{root}'. Check --root.")
        return [root]
    here = Path.cwd()
    named = [here, here / "data", here.parent / "data", *sorted(here.parent.glob("*/data"))]
    return [p for p in dict.fromkeys([*named, Path.home() / "data"]) if p.is_dir()]


def find(kind: str, split: str, root: Path | None = None) -> list[Benchmark]:
    """A split of a benchmark from the first folder that has it; no picture needs to be there.

    Args:
        kind: cirr, circo or fashioniq.
        split: Such as "val".
        root: The folder with the annotations as published, or a folder that holds it.

    Returns:
        One benchmark; of FashionIQ one per category that is there.

    Raises:
        UnknownName: There is no such benchmark, or it has no such split.
        MissingCheckpoint: The annotations are nowhere.
        BadInput: They are broken.
    """
    if kind not in KINDS:
        raise unknown("benchmark", kind, KINDS)
    if split not in SPLITS[kind]:
        raise unknown(f"split of {kind}", split, SPLITS[kind])
    looked = places(root)
    faults: list[MissingCheckpoint] = []
    for place in looked:
        try:
            return _read(kind, split, place)
        except MissingCheckpoint as fault:
            faults.append(fault)
    if root is not None and faults:
        raise faults[0]
    raise MissingCheckpoint(
        f"The annotations of {kind}, split {split}, are not in {', '.join(map(str, looked))}. Name "
        "the folder that holds them with --root, or in the variable CIRDEMO_DATA."
    )


def _read(kind: str, split: str, place: Path) -> list[Benchmark]:
    if kind == "cirr":
        return [read_cirr(place, split, missing="keep")]
    if kind == "circo":
        return [read_circo(place, split, missing="keep")]
    found: list[Benchmark] = []
    fault: MissingCheckpoint | None = None
    for category in CATEGORIES:
        try:
            found.append(read_fashioniq(place, category, split, missing="keep"))
        except MissingCheckpoint as absent:
            fault = absent
    if fault is not None and not found:
        raise fault
    return found
