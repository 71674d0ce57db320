"""Builds that go on while nobody looks: one thread each, watched by any page that asks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from cirdemo.gallery.progress import Progress, Report
from cirdemo.types import BadInput, CirError

log = logging.getLogger(__name__)
LOST = 30.0  # seconds without a look after which a visitor's build ends


@dataclass(eq=False)
class Job:
    """One build in a thread of its own."""

    name: str
    steps: Callable[[], Iterator[Progress]]
    captions: Callable[[], Iterator[int]] | None = None
    needs_watcher: bool = False  # a visitor's: it ends when the visitor has left
    step: Progress = field(default_factory=lambda: Progress(phase="looking"))
    report: Report | None = None
    error: str = ""
    note: str = ""  # said beside a report
    seen: float = field(default_factory=time.monotonic)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; a process that ends takes the thread with it, which a build survives."""
        self._thread = threading.Thread(target=self._run, name=f"build {self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end after the batch it is at."""
        self._stop.set()

    @property
    def running(self) -> bool:
        """Whether it is at work."""
        return self._thread is not None and self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        """Wait for its end, but no longer."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _over(self) -> bool:
        lost = self.needs_watcher and time.monotonic() - self.seen > LOST
        return self._stop.is_set() or lost

    def _run(self) -> None:
        try:
            steps = self.steps()
            for self.step in steps:
                if self._over() and self.step.report is None:
                    steps.close()  # type: ignore[attr-defined]  # a generator
                    return
            self.report = self.step.report
            if self.captions is not None and self.report is not None:
                self._caption(self.captions, self.report)
        except CirError as fault:
            self.error = str(fault)
        except Exception:
            log.exception("building gallery %s failed", self.name)
            self.error = "An error of this program ended it; the log has the details."

    def _caption(self, captions: Callable[[], Iterator[int]], report: Report) -> None:
        """Captions come after the gallery is whole, so a failure costs only them."""
        start = time.monotonic()
        first = None
        try:
            for done in captions():
                first = done if first is None else first
                seconds = time.monotonic() - start
                rate = (done - first) / seconds if seconds > 0.5 else 0.0
                self.step = replace(
                    self.step,
                    phase="captioning",
                    done=done,
                    of=report.pictures,
                    rate=rate,
                    seconds_left=(report.pictures - done) / rate if rate else None,
                    report=None,
                )
                if self._over():
                    self.note = "Captioning was stopped; those written so far are kept."
                    return
        except CirError as fault:
            self.note = f"No captions were written: {fault}"


class Jobs:
    """The builds of this process, the latest of each name."""

    VISITORS = 2  # builds of visitors at once: each takes a core

    def __init__(self) -> None:
        """None yet."""
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def begin(self, job: Job) -> Job:
        """Start a build.

        Raises:
            BadInput: One of its name is at work, or as many of visitors as may be.
        """
        with self._lock:
            before = self._jobs.get(job.name)
            if before is not None and before.running:
                raise BadInput(f"Gallery “{job.name}” is being built already. Stop it first.")
            if job.needs_watcher:
                self._drop_forgotten()
                others = [j for j in self._jobs.values() if j.needs_watcher and j.running]
                if len(others) >= self.VISITORS:
                    raise BadInput(
                        f"{len(others)} galleries of other visitors are being built. Try again in "
                        "a minute."
                    )
            self._jobs.pop(job.name, None)  # the latest stands last
            self._jobs[job.name] = job
            job.start()
        return job

    def _drop_forgotten(self) -> None:
        """Visitors' builds that are over and that nobody has looked at lately."""
        then = time.monotonic() - LOST
        for name in [n for n, j in self._jobs.items() if j.needs_watcher and not j.running]:
            if self._jobs[name].seen < then:
                del self._jobs[name]

    def get(self, name: str) -> Job | None:
        """The latest build of a name."""
        return self._jobs.get(name)

    def forget(self, name: str) -> None:
        """The gallery of a build is gone."""
        with self._lock:
            if name in self._jobs and not self._jobs[name].running:
                del self._jobs[name]

    def latest(self) -> Job | None:
        """The build that was begun last and is no visitor's, running or over."""
        found = [j for j in self._jobs.values() if not j.needs_watcher]
        return found[-1] if found else None
