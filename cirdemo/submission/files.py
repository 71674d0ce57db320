"""A submission as it was written: read without believing anything about it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cirdemo.types import BadInput

RECALL, SUBSET = "recall", "recall_subset"  # CIRR's two metrics, a file each
LENGTH = {RECALL: 50, SUBSET: 3, "": 50}  # names a query; "" stands for CIRCO and FashionIQ
HEADS = ("version", "metric")  # CIRR's entries that are no query
VERSION = "rc2"
MOST_BYTES = {"cirr": 5_000_000}  # what the server takes: "maximum 5MB"
LARGEST = 64 * 2**20  # bytes; a run over whole galleries is larger than what a server takes
SPLIT_OF_PREFIX = {"test1": "test1", "dev": "val", "train": "train"}  # CIRR's picture names
CIRCO_COUNT = {"val": 220, "test": 800}
_CIRR_NAME = re.compile(r"(test1|dev|train)-\d+-\d+-img\d+")
_FIQ_KEY = re.compile(r"(dress|shirt|toptee)-\d+")


class Unreadable(BadInput):
    """A file that holds no JSON object; `kind` names the fault."""

    def __init__(self, kind: str, text: str) -> None:
        """The fault's name and the sentence."""
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Submission:
    """One file: what it says of itself, and its lists."""

    name: str
    size: int  # bytes
    dataset: str  # cirr, circo, fashioniq, or "" where that cannot be told
    split: str  # "" where that cannot be told
    metric: str  # recall or recall_subset for CIRR, "" else
    said: Mapping[str, Any]  # CIRR's "version" and "metric" as they stand
    lists: Mapping[str, Any]  # query id -> list of picture ids, if it is as it should be
    repeated: tuple[str, ...] = ()  # keys that stand twice, of which a reader keeps one


def read(source: Path | bytes, *, name: str = "", dataset: str = "", split: str = "") -> Submission:
    """Read a file; its dataset and its split are guessed from its names unless they are given.

    Raises:
        Unreadable: It is no JSON object, or too large to be one.
    """
    if isinstance(source, Path):
        name = name or source.name
        try:
            if source.stat().st_size > LARGEST:
                raise Unreadable("size", f"{name} is larger than {LARGEST >> 20} MB.")
            data = source.read_bytes()
        except OSError as fault:
            raise BadInput(f"The file '{source}' cannot be read ({fault.strerror}).") from fault
    else:
        data = source
    found, repeated = _object(name, data)
    cirr = dataset == "cirr" or (not dataset and _looks_like_cirr(found))
    said: dict[str, Any] = {k: v for k, v in found.items() if cirr and k in HEADS}
    lists = {k: v for k, v in found.items() if k not in said}
    dataset = dataset or ("cirr" if cirr else _dataset(lists))
    return Submission(
        name=name,
        size=len(data),
        dataset=dataset,
        split=split or _split(dataset, lists),
        metric=_metric(said, lists) if cirr else "",
        said=said,
        lists=lists,
        repeated=repeated,
    )


def _object(name: str, data: bytes) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The one object of a file, and the keys that it has more than once."""
    repeated: list[str] = []

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(found) != len(made := dict(found)):
            repeated.extend(k for k, n in Counter(k for k, _ in found).items() if n > 1)
        return made

    try:
        found = json.loads(data.decode("utf-8-sig"), object_pairs_hook=pairs)
    except UnicodeDecodeError as fault:
        raise Unreadable("not UTF-8", f"{name} is not UTF-8 text ({fault.reason}).") from fault
    except (ValueError, RecursionError) as fault:
        raise Unreadable("not JSON", f"{name} is not JSON: {fault}.") from fault
    if not isinstance(found, dict):
        raise Unreadable(
            "no object", f"{name} must hold one JSON object of lists, not a {type(found).__name__}."
        )
    return found, tuple(repeated)


def strings(value: Any) -> list[str]:
    """The entries of a list as texts; [] of what is no list."""
    return [str(v) for v in value] if isinstance(value, list) else []


def _looks_like_cirr(found: Mapping[str, Any]) -> bool:
    if "version" in found or "metric" in found:
        return True
    some = [name for value in list(found.values())[:50] for name in strings(value)[:3]]
    return sum(bool(_CIRR_NAME.match(name)) for name in some) * 2 > len(some)


def _dataset(lists: Mapping[str, Any]) -> str:
    keys = list(lists)[:50]
    if sum(bool(_FIQ_KEY.fullmatch(k)) for k in keys) * 2 > len(keys):
        return "fashioniq"
    some = [name for key in keys for name in strings(lists[key])[:3]]
    numbers = sum(Path(name).stem.isdigit() for name in some)
    return "circo" if numbers * 2 > len(some) else ""


def _split(dataset: str, lists: Mapping[str, Any]) -> str:
    """What most pictures' names say (CIRR), or how many queries there are (CIRCO)."""
    if dataset == "cirr":
        names = [strings(value)[:1] for value in list(lists.values())[:200]]
        starts = Counter(m[1] for some in names if some and (m := _CIRR_NAME.match(some[0])))
        return SPLIT_OF_PREFIX[starts.most_common(1)[0][0]] if starts else ""
    if dataset == "circo":
        return min(CIRCO_COUNT, key=lambda split: abs(CIRCO_COUNT[split] - len(lists)))
    return "val" if dataset else ""


def _metric(said: Mapping[str, Any], lists: Mapping[str, Any]) -> str:
    """What the file says; where it says nothing known, what the length of its lists says."""
    if said.get("metric") in (RECALL, SUBSET):
        return str(said["metric"])
    lengths = Counter(len(v) for v in lists.values() if isinstance(v, list))
    usual = lengths.most_common(1)[0][0] if lengths else LENGTH[RECALL]
    return min((RECALL, SUBSET), key=lambda metric: abs(LENGTH[metric] - usual))


def ranked(submission: Submission) -> dict[str, tuple[str, ...]]:
    """The lists, checked as far as a score needs them: lists of single, different ids.

    CIRCO's ids become plain numbers in a string, as the reader of its annotations makes them.

    Raises:
        BadInput: A list is none, or names a picture twice, which would count it twice.
    """
    made: dict[str, tuple[str, ...]] = {}
    for key, value in submission.lists.items():
        if not isinstance(value, list) or not all(
            isinstance(v, (str, int)) and not isinstance(v, bool) for v in value
        ):
            raise BadInput(
                f"{submission.name}, query {key}: a list of picture ids is needed. {HOW}"
            )
        ids = plain(value) if submission.dataset == "circo" else [str(v) for v in value]
        if len(set(ids)) < len(ids):
            twice = next(i for i, n in Counter(ids).items() if n > 1)
            raise BadInput(f"{submission.name}, query {key} names the picture {twice} twice. {HOW}")
        made[key] = tuple(ids)
    if not made:
        raise BadInput(f"{submission.name} holds no query. {HOW}")
    return made


HOW = 'Run "python -m cirdemo preflight" on it for the whole list of what is wrong.'


def plain(ids: Sequence[Any]) -> list[str]:
    """COCO ids without leading zeros; what is no number stays as it is."""
    return [str(int(str(i))) if str(i).isascii() and str(i).isdigit() else str(i) for i in ids]
