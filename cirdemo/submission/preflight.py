"""What a test server, or its reader, would reject or silently count as wrong: all of it at once.

The form is checked without the annotations; the complete query set, picture names, references and
groups need them. What could not be checked is said, so that "accepted" never means more than it is.

Formats: Cuberick-Orion/CIRR, Test-split_server.md; miccunifi/CIRCO, src/evaluation.py.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cirdemo.submission.files import (
    CIRCO_COUNT,
    LENGTH,
    MOST_BYTES,
    RECALL,
    SUBSET,
    VERSION,
    Submission,
    Unreadable,
    plain,
    read,
    strings,
)
from cirdemo.submission.findings import SHOWN, Checked, Fault, Notes
from cirdemo.types import CirError, Triplet

if TYPE_CHECKING:
    from cirdemo.data.benchmark import Benchmark

SAME = 0.5  # of all lists equal to one: no method answers so
Find = Callable[[str, str], Sequence["Benchmark"]]  # dataset, split -> the annotations


def check_files(
    sources: Mapping[str, Path | bytes], find: Find, *, dataset: str = "", split: str = ""
) -> list[Checked]:
    """Check files one by one, and then what they say about each other.

    Args:
        sources: Name -> file or contents.
        find: Gets the annotations of a dataset's split, or raises a CirError that says why not.
        dataset: Of all of them; guessed for each unless given.
        split: The same.
    """
    checked, kept = [], []
    for name, source in sources.items():
        try:
            submission = read(source, name=name, dataset=dataset, split=split)
        except Unreadable as error:
            found = Fault(kind=error.kind, message=str(error))
            checked.append(Checked(file=name, dataset=dataset, split=split, faults=(found,)))
            continue
        kept.append((len(checked), submission))
        checked.append(check(submission, find))
    for at, fault in _between(kept):
        before = checked[at]
        checked[at] = replace(before, faults=(*before.faults, fault))
    return checked


def check(submission: Submission, find: Find) -> Checked:
    """Everything that is wrong with one file."""
    notes = Notes()
    if not submission.dataset:
        notes.add(
            "format",
            "It cannot be told which benchmark this is for. CIRR has picture names such as "
            "test1-147-1-img1, CIRCO numbers; name it with --dataset if it is one of them.",
        )
    if submission.dataset == "cirr":
        _heads(submission, notes)
    _form(submission, notes)
    if submission.dataset == "circo":
        _circo_keys(submission, notes)
    benchmarks = _found(submission, find, notes)
    if benchmarks:
        _against(submission, benchmarks, notes)
    return Checked(
        file=submission.name,
        dataset=submission.dataset,
        split=submission.split,
        metric=submission.metric,
        queries=len(submission.lists),
        size=submission.size,
        faults=tuple(notes.faults),
        warnings=tuple(notes.warnings),
        unchecked=tuple(notes.unchecked),
    )


# --- the form -----------------------------------------------------------------------------


def _heads(submission: Submission, notes: Notes) -> None:
    """CIRR's two special entries, and the size that its server takes."""
    said, most = submission.said, MOST_BYTES["cirr"]
    if "version" not in said:
        notes.add("no version", f'The entry "version": "{VERSION}" is missing.')
    elif said["version"] != VERSION:
        notes.add("version", f'"version" must be "{VERSION}", not {said["version"]!r}.')
    if "metric" not in said:
        notes.add("no metric", f'The entry "metric": "{RECALL}" or "{SUBSET}" is missing.')
    elif said["metric"] not in (RECALL, SUBSET):
        notes.add("metric", f'"metric" must be "{RECALL}" or "{SUBSET}", not {said["metric"]!r}.')
    if submission.size > most:
        notes.add(
            "size",
            f"The file has {submission.size / 1e6:.2f} MB; the server takes at most "
            f"{most / 1e6:.0f} MB.",
        )


def _form(submission: Submission, notes: Notes) -> None:
    """Keys and lists by themselves."""
    lists, wanted = submission.lists, LENGTH[submission.metric]
    if not lists:
        notes.add("empty", "The file holds no query.")
    notes.of(
        "repeated key", submission.repeated, "The key stands twice, and only its last list counts"
    )
    good = {k: v for k, v in lists.items() if isinstance(v, list)}
    notes.of("no list", (k for k in lists if k not in good), "Something else than a list")
    short = {k: len(v) for k, v in good.items() if len(v) < wanted}
    long = {k: len(v) for k, v in good.items() if len(v) > wanted}
    for kind, found, word in (("too few", short, "Fewer"), ("too many", long, "More")):
        told = [f"{key} ({count})" for key, count in list(found.items())[:SHOWN]]
        notes.of(kind, found, f"{word} than {wanted} pictures", told)
    circo = submission.dataset == "circo"
    kinds = (int, str) if circo else (str,)
    odd = {
        k: next(repr(i) for i in v if isinstance(i, bool) or not isinstance(i, kinds))
        for k, v in good.items()
        if any(isinstance(i, bool) or not isinstance(i, kinds) for i in v)
    }
    told = [f"{key} ({what[:40]})" for key, what in list(odd.items())[:SHOWN]]
    wrong = "number" if circo else "text"
    notes.of("no id", odd, f"An entry that is no picture id, which is a {wrong}", told)
    ids = {k: plain(v) if circo else strings(v) for k, v in good.items()}
    notes.of(
        "repeated picture",
        (k for k, v in ids.items() if len(set(v)) < len(v)),
        "A picture is named twice",
    )
    if circo:
        _no_numbers(ids, notes)
    counts = Counter(map(tuple, ids.values()))
    if len(ids) > 3 and (most := counts.most_common(1)[0][1]) > SAME * len(ids):
        notes.warnings.append(f"{most} of the {len(ids)} lists are the same list.")


def _no_numbers(ids: Mapping[str, Sequence[str]], notes: Notes) -> None:
    """CIRCO's reader casts ids to int: a name with an ending stops it."""
    bad = {k: next(i for i in v if not i.isdigit()) for k, v in ids.items() if not _digits(v)}
    told = [f"{key} ({what[:40]})" for key, what in list(bad.items())[:SHOWN]]
    notes.of("no number", bad, "An id that is no number, as COCO's are", told)


def _digits(ids: Iterable[str]) -> bool:
    return all(i.isdigit() for i in ids)


def _circo_keys(submission: Submission, notes: Notes) -> None:
    """CIRCO wants "0" to "n-1"; its script takes any n, the server scores all of them."""
    keys, count = submission.lists, CIRCO_COUNT.get(submission.split, 0)
    wanted = {str(n) for n in range(count)}
    notes.of("unknown query", (k for k in keys if k not in wanted), "The split has no such query")
    notes.of("missing query", (k for k in sorted(wanted - set(keys), key=int)), "There is no list")


# --- against the annotations ----------------------------------------------------------------


def _found(submission: Submission, find: Find, notes: Notes) -> Sequence[Benchmark]:
    """The annotations, or a note why the file was not held against them."""
    if not submission.dataset:
        return ()
    if not submission.split:
        notes.unchecked.append("Queries and pictures: it cannot be told which split this is for.")
        return ()
    try:
        return find(submission.dataset, submission.split)
    except CirError as error:
        notes.unchecked.append(f"Queries and pictures: {error}")
        return ()


def _against(submission: Submission, benchmarks: Sequence[Benchmark], notes: Notes) -> None:
    """Queries, pictures, references and groups."""
    lists = submission.lists
    queries: dict[str, Triplet] = {}
    gallery: set[str] = set()
    for benchmark in benchmarks:
        queries |= {t.query_id: t for t in benchmark.triplets(benchmark.split)}
        gallery |= set(benchmark.gallery_ids)
    if submission.dataset != "circo":  # CIRCO's keys follow from the count
        notes.of(
            "unknown query", (k for k in lists if k not in queries), "The split has no such query"
        )
        notes.of("missing query", (k for k in queries if k not in lists), "There is no list")
    circo = submission.dataset == "circo"
    ids = {k: plain(v) if circo else strings(v) for k, v in lists.items() if k in queries}
    if circo and len(gallery) < 100_000:
        notes.unchecked.append(
            "Whether the pictures exist: image_info_unlabeled2017.json is not beside CIRCO's "
            "annotations."
        )
    else:
        bad = {k: next(i for i in v if i not in gallery) for k, v in ids.items() if {*v} - gallery}
        told = [f"{key} ({what[:40]})" for key, what in list(bad.items())[:SHOWN]]
        notes.of("unknown picture", bad, "A picture that the split does not have", told)
        endings = sum(what.lower().endswith((".png", ".jpg", ".jpeg")) for what in bad.values())
        if endings:
            notes.warnings.append("Picture names are written without an ending such as .png.")
    if submission.dataset == "cirr":
        notes.of(
            "reference",
            (k for k, v in ids.items() if queries[k].reference_id in v),
            "The reference image itself is in the list",
        )
    if submission.metric == SUBSET:
        notes.of("group", _outside(ids, queries), "A picture outside of the group of six")


def _outside(ids: Mapping[str, Sequence[str]], queries: Mapping[str, Triplet]) -> Iterator[str]:
    return (k for k, v in ids.items() if set(v) - set(queries[k].subset_ids))


# --- files among each other -----------------------------------------------------------------


def _between(kept: Sequence[tuple[int, Submission]]) -> Iterator[tuple[int, Fault]]:
    """The two files of CIRR are one submission: a metric each, of the same queries."""
    seen: dict[tuple[str, str], Submission] = {}
    cirr = [(at, s) for at, s in kept if s.dataset == "cirr"]
    for at, s in cirr:
        before = seen.setdefault((s.split, s.metric), s)
        if before is not s and before.lists == s.lists:
            text = f"{s.name} holds the same lists as {before.name}: one was written over the other"
            yield at, Fault(kind="same file", message=f"{text}, or sent twice.")
    by_metric = {s.metric: (at, s) for at, s in cirr}
    if len(by_metric) == 2 and len(cirr) == 2:
        (_, recall), (at, subset) = by_metric[RECALL], by_metric[SUBSET]
        if recall.split != subset.split:
            text = f"{recall.name} is for split {recall.split or '?'}, {subset.name} for "
            yield at, Fault(kind="splits", message=f"{text}{subset.split or '?'}.")
            return
        if apart := tuple(sorted(set(recall.lists) ^ set(subset.lists), key=_number)):
            text = f"{len(apart)} queries are in one of the two files only: "
            text += ", ".join(apart[:SHOWN])
            yield at, Fault(kind="query sets", message=f"{text}.", count=len(apart), queries=apart)


def _number(key: str) -> float:
    return float(key) if key.isdigit() else math.inf
