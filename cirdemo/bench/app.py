"""`bench app`: the running app over plain HTTP: start, one search, many visitors, one empty event.

The figures are what a visitor waits for, so they are times by the clock; beside them stands the
processor time that the server took, which other work on the machine changes less.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cirdemo.bench.clock import Target, Times, machine, of_process, percentile
from cirdemo.bench.tables import number
from cirdemo.bench.visit import App, Heard, Visitor, free_port, resident, served

ROOT = Path(__file__).resolve().parents[2]
DESCRIBE, COARSE, HEATMAPS, JUDGE, REASON = range(2, 7)  # outputs of a run: see ui.story.PAGE
WRITTEN = 2_000  # characters from which an output is a chapter and not a note that it is waited for
PAUSE = 0.05  # seconds between two visitors, so that there is an order to keep
EMPTY = 20  # events that compute nothing, of each app


@dataclass(frozen=True, slots=True)
class Search:
    """One visitor's search, as its events came in."""

    heard: tuple[Heard, ...]
    began: float  # by the clock, when the visitor pressed the button
    waited: float  # seconds before the run's own event began

    def at(self, stage: str) -> float:
        """Seconds from the click to the end of a stage: coarse, judged or whole."""
        if stage == "whole":
            return self.waited + self.heard[-1].seconds
        times = [(h.seconds, [_length(d) for d in h.data]) for h in self.heard[:-1] if h.data]
        if stage == "coarse":
            return self.waited + next(s for s, n in times if n[COARSE] > WRITTEN)
        # the judge's last update before the rationale is written: all candidates
        thought = next((s for s, n in times if n[REASON] > 100 and n[JUDGE] < 100), float("inf"))
        judged = [s for s, n in times if n[JUDGE] > WRITTEN and s < thought]
        return self.waited + max(judged)

    @property
    def largest(self) -> int:
        """Bytes of the longest message."""
        return max(h.size for h in self.heard)


def bench(
    queries: Sequence[tuple[str, str]],
    gallery: str = "fables",
    *,
    visitors: int = 20,
    rounds: int = 5,
    command: Sequence[str] = ("app.py",),
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, Any]:
    """Serve the app and visit it.

    Args:
        queries: (reference id, modification text), all different: what is remembered costs nothing.
        gallery: Of the references.
        visitors: At once.
        rounds: Searches of one visitor alone, after one that does not count.
        command: What serves the app; `--port` is added.
        tell: Called with (steps done, steps in all).

    Raises:
        ValueError: There are not enough queries.
    """
    if len(queries) < 1 + rounds + visitors:
        raise ValueError(f"bench app needs {1 + rounds + visitors} queries, got {len(queries)}")
    port, other = free_port(), free_port()
    program = [str(ROOT / command[0]), *command[1:], "--port", str(port)]
    minimal = ["-m", "cirdemo.bench.minimal", str(other)]
    steps, left = 3 + rounds, iter(range(1, 100))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        with served(program, port, home) as (pid, started):
            start = {"clock": started, "processor": of_process(pid), **_page(port)}
            tell(next(left), steps)
            app = App.at(f"http://127.0.0.1:{port}")
            search(app, gallery, queries[0])
            alone, took = [], []
            for query in queries[1 : 1 + rounds]:
                before = of_process(pid)
                alone.append(search(app, gallery, query))
                took.append(of_process(pid) - before)
                tell(next(left), steps)
            with served(minimal, other, home):
                empty = _empty(app, App.at(f"http://127.0.0.1:{other}"), gallery, queries[0])
            tell(next(left), steps)
            crowd = _crowd(app, gallery, queries[1 + rounds :][:visitors])
            tell(next(left), steps)
            memory = resident(pid)
    many = _many(crowd, statistics.median(s.at("whole") for s in alone))
    stages = {
        name: Times(tuple(s.at(name) for s in alone)) for name in ("coarse", "judged", "whole")
    }
    largest = max(s.largest for s in alone)
    report = {
        "bench": "app",
        "start": start,
        "rounds": rounds,
        "search": {name: t.told() for name, t in stages.items()},
        "processor_seconds": Times(tuple(took)).told(),
        "largest_event_bytes": largest,
        "visitors": many,
        "empty_event": {name: t.told() for name, t in empty.items()},
        "memory": memory,
        "machine": machine(1),
    }
    goals = targets(start, stages, many, empty, largest, memory)
    report["targets"] = [t.told() for t in goals]
    return report | {"notes": [_note(report)]}


def search(app: App, gallery: str, query: tuple[str, str]) -> Search:
    """One visitor presses Search and waits for the whole answer."""
    reference_id, text = query
    visitor = Visitor(app)
    began = time.perf_counter()
    asked = app.event("asked", "modification", "submit")
    visitor.ask(asked, [None, gallery, None, reference_id, "", text, 50, True, True])
    begin = app.after(asked, "begin")
    number = visitor.ask(begin, [None])[-1].data[0]
    waited = time.perf_counter() - began
    heard = visitor.ask(app.after(begin, "run"), [number, *[None] * 5])
    return Search(tuple(heard), began, waited)


def targets(
    start: dict[str, float],
    stages: dict[str, Times],
    many: dict[str, Any],
    empty: dict[str, Times],
    largest: int,
    memory: dict[str, int],
) -> Iterator[Target]:
    """What the figures are held against."""
    yield Target("page ready after the command", start["clock"], 15, False, unit="s")
    named = {
        "coarse": ("descriptions and coarse lists", 1.5),
        "judged": ("50 candidates judged", 4.0),
        "whole": ("whole answer, heatmaps and rationale with it", 8.0),
    }
    for name, (what, most) in named.items():
        t = stages[name]
        spread = (min(t.seconds), max(t.seconds))
        yield Target(what, t.median, most, False, spread, "s")
    yield Target("largest message of a search", largest / 1000, 60, False, unit="kB")
    ratio = empty["app"].over(empty["minimal"])
    yield Target.of("an event that computes nothing / of a minimal app", ratio, 1.5, at_least=False)
    n = many["visitors"]
    yield Target(f"{n} visitors at once: errors", many["errors"], 0, False, unit="")
    if many["errors"] < n:
        yield Target(f"{n} visitors: p95 / p50", many["p95"] / many["p50"], 2.2, False)
        what = f"{n} visitors: answers a second / of one visitor after another"
        yield Target(what, many["throughput"], 0.85)
    if memory:
        yield Target("memory at most", memory["most"] / 2**30, 2.0, False, unit="GiB")


def _crowd(app: App, gallery: str, queries: Sequence[tuple[str, str]]) -> list[Search | Exception]:
    """One visitor a query, all at once but for a moment between them."""

    def visit(number: int) -> Search | Exception:
        time.sleep(number * PAUSE)
        try:
            return search(app, gallery, queries[number])
        except Exception as fault:
            return fault

    with ThreadPoolExecutor(len(queries)) as pool:
        return list(pool.map(visit, range(len(queries))))


def _many(crowd: Sequence[Search | Exception], alone: float) -> dict[str, Any]:
    """How long visitors waited, in what order they were served, and how many a second."""
    done = [s for s in crowd if isinstance(s, Search)]
    faults = [f"{type(f).__name__}: {f}"[:200] for f in crowd if isinstance(f, Exception)]
    told: dict[str, Any] = {
        "visitors": len(crowd),
        "errors": len(faults),
        "faults": sorted(set(faults)),
    }
    if not done:
        return told
    waits = [s.at("whole") for s in done]
    ends = [s.began + w for s, w in zip(done, waits, strict=True)]
    pairs = [(i, j) for j in range(len(ends)) for i in range(j)]
    span = max(ends) - min(s.began for s in done)
    return told | {
        "p50": percentile(waits, 0.5),
        "p95": percentile(waits, 0.95),
        "coarse_p50": percentile([s.at("coarse") for s in done], 0.5),
        "seconds": span,
        "throughput": len(done) / span * alone,
        "in_order": sum(ends[i] <= ends[j] for i, j in pairs) / len(pairs) if pairs else 1.0,
    }


def _empty(app: App, minimal: App, gallery: str, query: tuple[str, str]) -> dict[str, Times]:
    """An event that computes nothing, of both apps in turn."""
    ours, theirs = Visitor(app), Visitor(minimal)
    asked, plain = app.event("asked", "modification", "submit"), minimal.event("plain")
    form = [None, gallery, None, query[0], "", query[1], 50, True, True]
    found: dict[str, list[float]] = {"app": [], "minimal": []}
    for turn in range(EMPTY + 1):
        for name, visitor, event, data in (
            ("app", ours, asked, form),
            ("minimal", theirs, plain, [query[1]]),
        ):
            took = visitor.ask(event, data)[-1].seconds
            if turn:
                found[name].append(took)
    return {name: Times(tuple(seconds)) for name, seconds in found.items()}


def _page(port: int) -> dict[str, float]:
    """Bytes of the page itself."""
    import httpx

    answer = httpx.get(f"http://127.0.0.1:{port}/", timeout=60)
    answer.raise_for_status()
    return {"page_bytes": float(len(answer.content))}


def _length(part: Any) -> int:
    """Characters of the text in an output, be it whole or a list of changes to what was there."""
    if isinstance(part, str):
        return len(part)
    if isinstance(part, dict):
        return sum(map(_length, part.values()))
    return sum(map(_length, part)) if isinstance(part, list) else 0


def _note(report: dict[str, Any]) -> str:
    took, many = report["processor_seconds"], report["visitors"]
    text = (
        f"Medians of {report['rounds']} searches, each of a query that nothing was remembered of. "
        f"The server's processor time: {number(report['start']['processor'], 's')} to start, "
        f"{number(took['median'], 's')} for a whole search."
    )
    if "p50" in many:
        text += (
            f" {many['visitors']} visitors waited {number(many['p50'], 's')} (median) and "
            f"{number(many['p95'], 's')} (p95) for the whole answer, "
            f"{number(many['coarse_p50'], 's')} for the coarse lists; "
            f"{many['in_order']:.0%} of all pairs were answered in the order they came."
        )
    return text
