"""The page Files of the Benchmark tab: a visitor's submissions and runs, checked, scored, compared.

Everything is read, nothing is stored: what was opened goes with the visit.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from cirdemo.data.captioned import find_captions, read_captions
from cirdemo.data.find import find
from cirdemo.evaluate.doubts import FORMAT, VOTES, Doubt, Vote, export, votes_of
from cirdemo.evaluate.movement_page import page
from cirdemo.evaluate.runs import analyse_files, doubts_of, facts_of
from cirdemo.export import finite
from cirdemo.submission.annotations import NEEDED, place_of
from cirdemo.submission.files import Submission, read
from cirdemo.submission.findings import Checked
from cirdemo.submission.preflight import check_files
from cirdemo.submission.score import score
from cirdemo.types import BadInput, CirError, MissingCheckpoint
from cirdemo.ui.benchmark import doubts as benchmark_doubts
from cirdemo.ui.benchmark import files_views as views
from cirdemo.ui.benchmark.cases import Shown
from cirdemo.ui.context import Context
from cirdemo.ui.downloads import on_disk
from cirdemo.ui.wiring import clicked_number, guarded

MOST = 12  # files that one visitor may have open, annotations among them
LARGEST = 64 * 2**20  # bytes of all of them


@dataclass(eq=False)
class Opened:
    """What one visitor has open."""

    home: tempfile.TemporaryDirectory[str]  # annotations; goes with this record
    sources: dict[str, bytes] = field(default_factory=dict)  # name -> contents
    along: list[str] = field(default_factory=list)  # names of the annotations and votes
    runs: dict[str, Submission] = field(default_factory=dict)  # those that a score can be made of
    checked: list[Checked] = field(default_factory=list)
    scores: list[dict[str, Any]] = field(default_factory=list)
    analysis: dict[str, Any] | None = None
    doubts: list[Doubt] = field(default_factory=list)
    about: dict[str, str] = field(default_factory=dict)  # dataset and split of the doubts
    votes: dict[str, Vote] = field(default_factory=dict)
    page: int = 0  # of the doubts
    captions: dict[str, str] = field(default_factory=dict)  # of pictures, where there are any


@dataclass(frozen=True)
class FilesHandlers:
    """The events of the page Files."""

    context: Context

    @guarded
    def open(self, kept: Opened | None, paths: list[str] | None) -> tuple[Any, ...]:
        """Files were opened, beside those that are: state and everything that is shown.

        One of the same name as one opened earlier takes its place.
        """
        if not paths:
            raise BadInput("Nothing was opened. Choose JSON files.")
        found = kept or Opened(home=tempfile.TemporaryDirectory(prefix="cirdemo-annotations-"))
        votes = self._sort(found, [Path(p) for p in paths])
        found.checked = check_files(found.sources, lambda *asked: self._find(found, *asked))
        found.runs = {}
        for name, source in found.sources.items():
            try:
                run = read(source, name=name)
            except CirError:
                continue  # the check says what is wrong with it
            if run.dataset and run.split:
                found.runs[name] = run
        found.scores = self._scores(found)
        names = list(found.runs)
        first, second = (*names, None, None)[:2]
        if len(names) > 1:  # those of one split and metric can be held against each other
            alike = [n for n in names[1:] if _alike(found.runs[n], found.runs[names[0]])]
            second = alike[0] if alike else names[1]
        self._doubts(found, votes)
        return (
            found,
            views.checked(found.checked, found.along),
            views.scores(found.scores),
            gr.update(choices=names, value=first),
            gr.update(choices=names, value=second),
            self._analysis(found, first, second),
            self._queue(found),
            *_shown(bool(found.sources or found.along), _pairs(found.runs), bool(found.doubts)),
        )

    def close(self) -> tuple[Any, ...]:
        """Nothing is open any more."""
        nothing = [gr.update(choices=[], value=None)] * 2
        return None, views.NOTHING, "", *nothing, "", "", *_shown(False, False, False)

    @guarded
    def analyse(self, kept: Opened | None, a: str | None, b: str | None) -> str:
        """Another pair was chosen."""
        return "" if kept is None else self._analysis(kept, a, b)

    @guarded
    def vote(self, kept: Opened | None, event: gr.EventData) -> tuple[Any, str]:
        """Someone says whether a picture is right too, or turns the page."""
        if kept is None:
            raise BadInput("Open the files again; this visit has ended.")
        told = event._data
        if told.get("action") == "page":
            last = max(0, (len(kept.doubts) - 1) // benchmark_doubts.PAGE)
            kept.page = min(max(0, int(clicked_number(event, "value"))), last)
        elif told.get("value") in VOTES and any(d.key == told.get("id") for d in kept.doubts):
            key = str(told["id"])
            if kept.votes.get(key) == told["value"]:
                del kept.votes[key]  # the same button again takes it back
            else:
                kept.votes[key] = told["value"]
        return kept, self._queue(kept)

    @guarded
    def file(self, kept: Opened | None, kind: str) -> Any:
        """A file to download: the checks, the analysis as JSON or Markdown, the votes."""
        if kept is None:
            raise BadInput("Open files first.")
        if kind == "checks":
            value: Any = {"files": [c.json() for c in kept.checked], "scores": kept.scores}
            return gr.update(value=on_disk("checks.json", _json(value)))
        if kind == "votes":
            if not kept.doubts:
                raise BadInput("No annotation is in doubt: open a run of a split with targets.")
            told = export(kept.doubts, kept.votes, **kept.about)
            return gr.update(value=on_disk("doubts.json", _json(told)))
        if kept.analysis is None:
            raise BadInput("Open two runs of one split first.")
        if kind == "markdown":
            text = page(kept.analysis).encode("utf-8")
            return gr.update(value=on_disk("analysis.md", text))
        return gr.update(value=on_disk("analysis.json", _json(kept.analysis)))

    # --- parts -----------------------------------------------------------------------------

    def _sort(self, found: Opened, paths: Sequence[Path]) -> list[dict[str, Any]]:
        """Annotations to their places, other files to the sources; votes are returned.

        Raises:
            BadInput: There are too many, or too large ones.
        """
        size = sum(map(len, found.sources.values())) + sum(p.stat().st_size for p in paths)
        if len(found.sources) + len(paths) > MOST or size > LARGEST:
            raise BadInput(f"Open at most {MOST} files of {LARGEST >> 20} MB together.")
        votes: list[dict[str, Any]] = []
        new: dict[str, bytes] = {}
        along: list[str] = []
        for path in paths:
            data = path.read_bytes()
            if (place := place_of(path.name, data)) is not None:
                target = Path(found.home.name) / place
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
                along.append(path.name)
            elif FORMAT.encode() in data[:200] and _is_json(data):
                votes.append(json.loads(data))
                along.append(path.name)
            else:
                name = path.name
                while name in new:
                    name = f"another {name}"
                new[name] = data
        found.sources |= new
        found.along = list(dict.fromkeys([*found.along, *along]))
        return votes

    def _find(self, found: Opened, dataset: str, split: str) -> list[Any]:
        """Annotations that were opened too, or else those of this machine."""
        for root in self._roots(found):
            try:
                return list(find(dataset, split, root))
            except MissingCheckpoint:
                continue
        needed = NEEDED.get(dataset, "the annotations").format(split=split)
        raise MissingCheckpoint(f"The annotations are not here. Open {needed} with the files.")

    def _roots(self, found: Opened) -> list[Path | None]:
        """Folders to look for annotations in; None stands for where people keep them."""
        about: Any = getattr(getattr(self.context.engine, "parts", None), "about", {})
        if data := dict(about).get("data", ""):
            return [Path(found.home.name), Path(data)]
        return [Path(found.home.name), *([] if self.context.public else [None])]

    def _scores(self, found: Opened) -> list[dict[str, Any]]:
        """The score of each run; a recall and a recall_subset file are one."""
        groups: list[list[Submission]] = []
        for run in found.runs.values():
            if groups and _pair(groups[-1], run):
                groups[-1].append(run)
            else:
                groups.append([run])
        made = []
        for group in groups:
            told: dict[str, Any] = {"files": [s.name for s in group]}
            try:
                benchmarks = self._find(found, group[0].dataset, group[0].split)
                told |= score(group, benchmarks) | {"facts": facts_of(benchmarks)}
            except CirError as error:
                told["reason"] = str(error)
            made.append(told)
        return made

    def _analysis(self, found: Opened, a: str | None, b: str | None) -> str:
        found.analysis = None
        if not a or not b or a == b:
            return views.ONE
        try:
            first, second = found.runs[a], found.runs[b]
            benchmarks = self._find(found, first.dataset, first.split)
            found.analysis = finite(analyse_files(first, second, benchmarks))
        except CirError as error:
            return views.reason(str(error))
        return views.analysis(found.analysis or {})

    def _doubts(self, found: Opened, votes: Sequence[dict[str, Any]]) -> None:
        """The queue of the first run's split, from all runs of it, and votes given before."""
        runs = [r for r in found.runs.values() if r.metric != "recall_subset"]
        runs = [r for r in runs if (r.dataset, r.split) == (runs[0].dataset, runs[0].split)]
        found.doubts, found.page = [], 0
        if not runs:
            return
        found.about = {"dataset": runs[0].dataset, "split": runs[0].split}
        try:
            benchmarks = self._find(found, **found.about)
            found.doubts = doubts_of(runs, benchmarks)
        except CirError:
            return  # the scores say why
        for root in self._roots(found):
            with contextlib.suppress(CirError):  # the pictures' names stand alone then
                found.captions = read_captions(find_captions(root=root, **found.about))
                break
        for told in votes:
            found.votes |= votes_of(told, **found.about)

    def _queue(self, found: Opened) -> str:
        pictures = Shown(self.context.library, found.about.get("dataset", ""))
        return benchmark_doubts.doubts(
            found.doubts, found.votes, found.page, pictures, found.captions
        )


def _shown(files: bool, pair: bool, doubts: bool) -> list[Any]:
    """What needs files is hidden without: the buttons, the two runs, the doubts."""
    return [gr.update(visible=v) for v in (files, files, pair, doubts)]


def _pairs(runs: Mapping[str, Submission]) -> bool:
    """Whether two of the runs can be held against each other."""
    return any(_alike(a, b) for a, b in itertools.combinations(runs.values(), 2))


def _alike(a: Submission, b: Submission) -> bool:
    return (a.dataset, a.split, a.metric) == (b.dataset, b.split, b.metric)


def _pair(group: Sequence[Submission], run: Submission) -> bool:
    """Whether a file is the other half of a CIRR submission."""
    first = group[0]
    same = (first.dataset, first.split) == (run.dataset, run.split)
    return same and run.dataset == "cirr" and run.metric not in [s.metric for s in group]


def _is_json(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except ValueError:
        return False


def _json(value: Any) -> bytes:
    text = json.dumps(finite(value), indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8")
