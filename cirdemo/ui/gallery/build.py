"""The part of the Gallery tab that builds: an upload, a folder or a benchmark becomes a gallery."""

from __future__ import annotations

import functools
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from cirdemo.archives import LOCAL, PUBLIC
from cirdemo.data import benchmarks, folder
from cirdemo.data.folder import Pictures
from cirdemo.gallery.own import VISITOR
from cirdemo.types import BadInput, CirError
from cirdemo.ui.context import Context
from cirdemo.ui.gallery import build_views
from cirdemo.ui.gallery.build_form import BROWSE, DATASET, FOLDER, UPLOAD, BuildTab
from cirdemo.ui.gallery.jobs import Job, Jobs
from cirdemo.ui.wiring import QUIET, guarded

TICK = 0.4  # seconds between two looks at a build
WATCH: dict[str, Any] = {"concurrency_id": "watch", "concurrency_limit": 8}  # waits, works not
NOBODY = "The gallery that this visit built is deleted an hour after."


@dataclass(frozen=True)
class BuildHandlers:
    """What the Gallery tab does to build; one set of jobs for the whole process."""

    context: Context
    jobs: Jobs = field(default_factory=Jobs)

    # --- starting --------------------------------------------------------------------------

    def start(self, *form: Any) -> tuple[Any, str]:
        """Begin a build: its name, and why it was not begun or "". Not in public mode.

        Args:
            form: Source, files, path, kind, name, whether to add, whether to caption.
        """
        return _told(self._start, *form)

    def start_visit(
        self, files: Sequence[str] | None, caption: bool, visitor: str
    ) -> tuple[Any, str]:
        """Begin a visitor's build of uploads: its name, and why it was not begun or ""."""
        return _told(self._start_visit, files, caption, visitor)

    def _start(
        self,
        source: str,
        files: Sequence[str] | None,
        path: str,
        kind: str,
        name: str,
        add: bool,
        caption: bool,
    ) -> str:
        if self.context.public:
            raise BadInput("Visitors build from uploads only.")
        name = (name or "").strip()
        if not name:
            raise BadInput("Give the gallery a name.")
        if name.startswith(VISITOR):
            raise BadInput(f"Names that begin with “{VISITOR}” are taken. Choose another.")
        if source == UPLOAD:
            pictures = folder.uploaded(files or (), LOCAL)
        elif not (path or "").strip():
            raise BadInput("Write the path of the folder, as this machine knows it.")
        elif source == FOLDER:
            pictures = folder.pictures_at(path.strip())
        else:
            pictures = benchmark_pictures(path.strip(), kind)
        self._begin(name, pictures, add, caption)
        return name

    def _start_visit(self, files: Sequence[str] | None, caption: bool, visitor: str) -> str:
        """Under a name that nobody else can guess."""
        self.context.engine.own().expire()
        name = visitor or VISITOR + secrets.token_hex(16)
        self._begin(name, folder.uploaded(files or (), PUBLIC), False, caption)
        return name

    def _begin(self, name: str, pictures: Pictures, add: bool, caption: bool) -> None:
        engine = self.context.engine
        self.jobs.begin(
            Job(
                name=name,
                steps=functools.partial(engine.index, name, pictures, add=add),
                captions=functools.partial(engine.caption, name) if caption else None,
                needs_watcher=self.context.public,
            )
        )

    @guarded
    def act(self, gallery: str, event: gr.EventData) -> tuple[Any, ...]:
        """A click in the list of galleries: job, gallery, list, mode of the tab, panel."""
        action, name = str(event._data.get("action")), str(event._data.get("id", ""))
        own, skip = self.context.engine.own(), gr.skip()
        if self.context.public:
            raise BadInput("Galleries of this place cannot be changed by visitors.")
        if action == "open":
            return "", gr.update(choices=self.choices(), value=name), skip, BROWSE, skip
        if action == "delete":
            own.delete(name)
            self.jobs.forget(name)  # what it came to is true no more
            choices = self.choices()
            gone = build_views.deleted(name)
            left = gallery if gallery in [c[1] for c in choices] else choices[0][1]
            return "", gr.update(choices=choices, value=left), self.mine(), skip, gone
        if action in ("update", "resume"):
            self._begin(name, again(own.home(name).about()), False, False)
            return name, skip, skip, skip, skip
        if action == "fetch":
            steps = functools.partial(self.context.engine.fetch_gallery, name)
            self.jobs.begin(Job(name=name, steps=steps))
            return name, skip, skip, skip, skip
        raise BadInput("There is nothing to do there.")

    def stop(self, name: str) -> None:
        """Stop a build after the batch it is at."""
        job = self.jobs.get(name)
        if job is not None:
            job.stop()

    # --- watching --------------------------------------------------------------------------

    def watch(self, name: str, fault: str = "") -> Iterator[tuple[Any, ...]]:
        """Panel, list, gallery, Build and Stop while a build goes on, and when it is over.

        Args:
            name: The build's; "" for none.
            fault: Why it was not begun, "" where it was.
        """
        skip = gr.skip()
        if fault:
            yield (build_views.refused(fault), skip, skip, skip, skip)
            return
        job = self.jobs.get(name) if name else None
        if job is None:
            yield (skip,) * 5  # what ends without a word, Gradio takes for five empty values
            return
        while job.running:
            job.seen = time.monotonic()
            panel = build_views.moving(build_views.title(name), job.step)
            busy = gr.update(interactive=False), gr.update(interactive=True)
            yield (panel, skip, skip, *busy)
            job.wait(TICK)
        free = gr.update(interactive=True), gr.update(interactive=False)
        panel, ready = self._outcome(job)
        chosen = gr.update(choices=self.choices(name), value=name) if ready else skip
        yield (panel, self.mine(), chosen, *free)

    def _outcome(self, job: Job) -> tuple[str, bool]:
        """What a build that is over came to, and whether there is a gallery of it."""
        title = build_views.title(job.name)
        if job.report is None:
            return build_views.halted(title, job.step, job.error), False
        try:
            shelf = self.context.library.shelf(job.name)
        except CirError as fault:  # it was deleted or damaged meanwhile
            return build_views.halted(title, job.step, str(fault)), False
        note = " ".join(filter(None, (job.note, NOBODY if self.context.public else "")))
        return build_views.finished(job.report, shelf, note=note), True

    def arrive(self) -> Iterator[tuple[Any, ...]]:
        """A page was opened: galleries as they are now, and the latest build, even if over."""
        skip = gr.skip()
        job = None if self.context.public else self.jobs.latest()
        over = job is not None and not job.running
        panel = self._outcome(job)[0] if job is not None and over else skip
        yield (panel, self.mine(), gr.update(choices=self.choices()), skip, skip)
        if job is not None and not over:
            yield from self.watch(job.name)

    def running_name(self) -> str:
        """The build that a page just opened can stop."""
        job = None if self.context.public else self.jobs.latest()
        return job.name if job is not None else ""

    # --- lists -----------------------------------------------------------------------------

    def choices(self, mine: str = "") -> list[tuple[str, str]]:
        """Galleries for the choice at the top of the page, a visitor's own one included."""
        names = list(self.context.engine.galleries())
        extra = [mine] if mine and mine not in names else []
        return [(n.capitalize(), n) for n in names] + [(build_views.title(n), n) for n in extra]

    def mine(self) -> str:
        """The user's galleries; nothing in public mode."""
        if self.context.public:
            return ""
        try:
            own = self.context.engine.own()
        except (CirError, AttributeError):
            return ""
        waiting = set(own.unfinished())
        rows = []
        for name in sorted({*own.names(), *waiting}):
            home = own.home(name)
            rows.append(_row(name, home.summary(), home.about(), resume=name in waiting))
        return build_views.galleries(rows) + build_views.fetchable(*self._fetchable())

    def _fetchable(self) -> tuple[Mapping[str, Any], bool]:
        """Photographs that may be fetched and are not here yet; whether they would be in vain."""
        engine = self.context.engine
        sets: Mapping[str, Any] = getattr(engine, "fetchable", dict)()
        here = engine.galleries()
        embedded = engine.parts.about.get("profile") == "embedded" if sets else False
        return {name: one for name, one in sets.items() if name not in here}, embedded


def _row(
    name: str, summary: Mapping[str, Any] | None, about: Mapping[str, Any], *, resume: bool
) -> dict[str, Any]:
    """A line of the list of galleries."""
    kind = str(about.get("kind", ""))
    there = kind in ("folder", "zip", "benchmark") and Path(str(about.get("path", ""))).exists()
    place = {
        "folder": f"folder {about.get('path')}",
        "zip": f"archive {about.get('path')}",
        "benchmark": f"{about.get('name')} in {about.get('path')}",
    }.get(kind, "uploads")
    acts = [("open", "Open")] if summary else []
    if there:
        acts.append(("resume", "Resume") if resume else ("update", "Update"))
    said = f"{summary['count']:,} pictures, {summary['built']}, from {place}" if summary else place
    if resume and not there:
        said += "; choose the same files again to go on"
    return {"name": name, "says": said, "acts": [*acts, ("delete", "Delete")], "whole": not resume}


def _told(start: Callable[..., str], *form: Any) -> tuple[Any, str]:
    """A build's name and no fault; or no other name, and the fault, for the panel to say."""
    try:
        return start(*form), ""
    except CirError as fault:
        return gr.skip(), str(fault)


def benchmark_pictures(path: str, kind: str) -> Pictures:
    """The pictures of a benchmark folder, its val split.

    Raises:
        CirError: It holds no such benchmark.
    """
    read = benchmarks.read_all(path, None if kind == "auto" else kind, missing="keep")
    files: dict[str, Path | None] = {}
    for one in read:
        files |= one.files()
    return folder.listed(" and ".join(one.name for one in read), Path(path), files)


def again(about: Mapping[str, Any]) -> Pictures:
    """The source of a build, from what it noted.

    Raises:
        BadInput: It was an upload, or is gone.
    """
    kind, path = about.get("kind"), str(about.get("path", ""))
    if kind in ("folder", "zip"):
        return folder.pictures_at(path)
    if kind == "benchmark":
        return benchmark_pictures(path, "auto")
    raise BadInput("Its pictures were uploaded. Choose the same files again and press Build.")


def _sources(source: str) -> tuple[Any, ...]:
    """Which inputs a source needs: files and what is said of them, path, kind."""
    return (
        gr.update(visible=source == UPLOAD),
        gr.update(visible=source == UPLOAD),
        gr.update(visible=source != UPLOAD),
        gr.update(visible=source == DATASET),
    )


def listen(tab: BuildTab, handlers: BuildHandlers, context: Context, mode: gr.Radio) -> None:
    """Connect the components; the only place with events. Opening a gallery sets the mode."""
    watched = [tab.panel, tab.mine, context.gallery, tab.build, tab.stop]
    if tab.local is None:
        visit = [tab.files, tab.caption, tab.job]
        begun = tab.build.click(
            handlers.start_visit, visit, [tab.job, tab.fault], queue=False, **QUIET
        )
    else:
        mine = tab.local
        form = [mine.source, tab.files, mine.path, mine.kind, mine.name, mine.add, tab.caption]
        begun = tab.build.click(handlers.start, form, [tab.job, tab.fault], queue=False, **QUIET)
        mine.source.change(
            _sources,
            mine.source,
            [tab.files, mine.copied, mine.path, mine.kind],
            queue=False,
            **QUIET,
        )
        tab.mine.select(
            handlers.act,
            context.gallery,
            [tab.job, context.gallery, tab.mine, mode, tab.panel],
            **QUIET,
        ).success(handlers.watch, tab.job, watched, **WATCH, **QUIET)
        gr.on(None, handlers.running_name, None, tab.job, queue=False, **QUIET)  # a page opens
    begun.success(handlers.watch, [tab.job, tab.fault], watched, **WATCH, **QUIET)
    tab.stop.click(handlers.stop, tab.job, None, queue=False, **QUIET)
    gr.on(None, handlers.arrive, None, watched, **WATCH, **QUIET)
