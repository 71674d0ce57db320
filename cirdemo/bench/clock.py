"""Times of variants that take turns, and what machine they were taken on."""

from __future__ import annotations

import gc
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

LIBRARIES = ("torch", "transformers", "faiss-cpu", "open_clip_torch", "gradio")


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of one variant, a round each."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.seconds)

    def over(self, other: Times) -> Ratio:
        """How many times as long this takes as another variant of the same run."""
        pairs = [a / b for a, b in zip(self.seconds, other.seconds, strict=True)]
        return Ratio(self.median / other.median, min(pairs), max(pairs))

    def told(self) -> dict[str, float]:
        """For JSON."""
        return {"median": self.median, "low": min(self.seconds), "high": max(self.seconds)}


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of medians, and the least and most of single rounds."""

    value: float
    low: float
    high: float

    def told(self) -> dict[str, float]:
        """For JSON."""
        return {"median": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Target:
    """A number that something is held against; `at_least` or at most."""

    what: str
    value: float
    target: float
    at_least: bool = True
    spread: tuple[float, float] | None = None  # of single rounds, or samples
    unit: str = "×"

    @property
    def met(self) -> bool:
        """Whether the number is on the right side."""
        return self.value >= self.target if self.at_least else self.value <= self.target

    @classmethod
    def of(cls, what: str, ratio: Ratio, target: float, *, at_least: bool = True) -> Target:
        """A ratio held against a target."""
        return cls(what, ratio.value, target, at_least, (ratio.low, ratio.high))

    def told(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "what": self.what,
            "value": self.value,
            "spread": list(self.spread) if self.spread else None,
            "target": self.target,
            "at_least": self.at_least,
            "unit": self.unit,
            "met": self.met,
        }


def interleaved(
    variants: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    before: Mapping[str, Callable[[], object]] | None = None,
    clock: Callable[[], float] = time.process_time,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, Times]:
    """Every variant once a round, after one round that does not count.

    Args:
        variants: What is timed, by name.
        rounds: How often.
        before: What is done before a variant's turn, outside its time.
        clock: Processor time unless given: what others do on the machine then counts for little.
        tell: Called with (rounds done, rounds in all).
    """
    found: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name, run in variants.items():
            (before or {}).get(name, _nothing)()
            gc.collect()
            start = clock()
            run()
            took = clock() - start
            if number:
                found[name].append(took)
        tell(number, rounds)
    return {name: Times(tuple(seconds)) for name, seconds in found.items()}


def of_process(pid: int) -> float:
    """Processor seconds of a process so far, without its children; 0 where /proc is not."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def of_children() -> float:
    """Processor seconds so far of this process's children: those that run, and those that ended."""
    done = os.times()
    return done.children_user + done.children_system + sum(map(of_process, _children()))


def machine(threads: int) -> dict[str, Any]:
    """What the figures were taken on: processor, libraries, and how busy it was."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": threads,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
        "date": time.strftime("%Y-%m-%d"),
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The value that a share of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * share // 1).__int__() - 1))]


def _processor() -> str:
    """Its name, and what of bf16 it has."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.processor() or sys.platform
    text = info.read_text(encoding="utf-8", errors="replace")
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    known = {key.strip(): value.strip() for key, value in lines.items()}
    flags = known.get("flags", "").split()
    extras = [name for name in ("avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    return ", ".join([known.get("model name", "unknown"), *extras])


def _children() -> list[int]:
    """Processes that this one has started; none where /proc does not say."""
    try:
        tasks = [task / "children" for task in Path("/proc/self/task").iterdir()]
        return [int(pid) for task in tasks for pid in task.read_text(encoding="utf-8").split()]
    except OSError:
        return []


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _nothing() -> None:
    """Nothing is done before."""
