"""A pass over a split that can be taken step by step, stopped, and asked for what it has so far."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cirdemo.evaluate.run import BASELINES, BATCH, IMAGES, SETR, Progress, Run
from cirdemo.evaluate.summary import summarise
from cirdemo.registry import unknown
from cirdemo.types import BadInput, CirError, Evaluation, Triplet

if TYPE_CHECKING:
    from cirdemo.engine import Engine

log = logging.getLogger(__name__)

PROTOCOLS = {  # name -> is the reference left out of the ranking
    "reference-excluded": True,
    "reference-kept": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one pass over a split has measured."""

    evaluations: tuple[Evaluation, ...]  # by method; last the writer's captions, as "caption"
    skipped: Mapping[str, str] = field(default_factory=dict)  # method -> why it has no row
    seconds: float = 0.0  # of the whole pass
    queries: tuple[Triplet, ...] = ()  # those that were measured, in the order of the rows
    planned: int = 0  # how many were to be measured
    models: Mapping[str, str] = field(default_factory=dict)  # role -> identity
    calibration: Mapping[str, float | None] = field(default_factory=dict)  # the judge's


class Measurement:
    """Methods on a split, some queries at a time."""

    def __init__(
        self,
        engine: Engine,
        dataset_name: str,
        split: str = "test",
        methods: Sequence[str] | None = None,
        limit: int | None = None,
        progress: Progress | None = None,
        *,
        protocol: str = "reference-excluded",
        images: int = IMAGES,
    ) -> None:
        """Check what is asked for and load what it needs; no query is measured yet.

        Args:
            engine: The engine whose parts are measured.
            dataset_name: A dataset with a gallery of the same name.
            split: Whose queries.
            methods: Names; None for every one that can run, the others going to `skipped`.
            limit: Only the first so many queries.
            progress: Told what is being done.
            protocol: A name of `PROTOCOLS`.
            images: Decoded pictures kept in memory.

        Raises:
            UnknownName: The dataset, a method or the protocol does not exist.
            CirError: A method that was named cannot run, or the split has no queries.
        """
        if protocol not in PROTOCOLS:
            raise unknown("protocol", protocol, PROTOCOLS)
        if limit is not None and limit < 1:
            raise BadInput(f"limit must be at least 1, got {limit}.")
        self.seconds = 0.0
        self._skipped: dict[str, str] = {}
        if methods is None:
            reasons = engine.methods()
            self._skipped = {name: why for name, why in reasons.items() if why}
            self._names = [n for n in reasons if n not in self._skipped] or list(reasons)
        else:
            self._names = list(dict.fromkeys(methods))
        engine.require(self._names)
        shelf = engine.gallery(dataset_name)
        self.gallery = len(shelf.ids)  # pictures that are searched
        self.triplets = tuple(engine.dataset(dataset_name).triplets(split))[:limit]
        if not self.triplets:
            raise CirError(f"Dataset {dataset_name!r} has no queries in split {split!r}.")
        self.done = 0  # queries that are measured
        self.dataset, self.split, self.protocol = dataset_name, split, protocol
        self.limit, self._engine = limit, engine
        self.run = Run(
            engine,
            shelf,
            dataset_name,
            self._names,
            leave_out=PROTOCOLS[protocol],
            skip=methods is None,
            progress=progress or _log,
            images=images,
        )

    def step(self, count: int = BATCH) -> bool:
        """Measure the next queries; whether any are left after them."""
        start = time.perf_counter()
        self.run.batch(self.triplets[self.done : self.done + count])
        self.done = min(self.done + count, len(self.triplets))
        self.seconds += time.perf_counter() - start
        self.run.progress("queries", self.done, len(self.triplets))
        return self.done < len(self.triplets)

    def report(self, *, captions: bool = False) -> Report:
        """Means, intervals and rows of the queries measured so far.

        Args:
            captions: Whether to caption a sample of the gallery too.

        Raises:
            CirError: No method could run, or no query has been measured.
        """
        if not self.done:
            raise CirError("No query has been measured yet.")
        summary = functools.partial(
            summarise, dataset=self.dataset, split=self.split, protocol=self.protocol
        )
        run = self.run
        baselines = [run.rows[b] for b in BASELINES if b in run.rows]
        found = [
            summary(name, run.rows[name], baselines, seconds=run.seconds_of(name))
            for name in run.order(self._names)
        ]
        if not found:
            raise CirError(f"No method can run: {'; '.join(run.skipped.values())}")
        start = time.perf_counter()
        said = run.captions(self.limit) if captions else []
        self.seconds += time.perf_counter() - start
        if said:
            found.append(summary("caption", said, seconds=run.seconds["caption"]))
        return Report(
            evaluations=tuple(found),
            skipped=self._skipped | run.skipped,
            seconds=self.seconds,
            queries=self.triplets[: self.done],
            planned=len(self.triplets),
            models=self._models(),
            calibration=self._calibration(),
        )

    def _models(self) -> dict[str, str]:
        """The identity of every model that the measured methods have."""
        parts = self._engine.parts
        found = {"encoder": parts.encoder.get().space}
        for name in self.run.order(self._names):
            if name in parts.composers:
                composer: Any = parts.composers[name].get()
                if identity := getattr(composer, "identity", ""):
                    found[name] = str(identity)
        if SETR in self.run.rows:
            found["judge"] = parts.judge.get().identity
        return found

    def _calibration(self) -> dict[str, float | None]:
        """What the judge's margins were divided by, where it tells; {} where nothing was judged."""
        if SETR not in self.run.rows:
            return {}
        judge: Any = self._engine.parts.judge.get()
        calibration = getattr(judge, "calibration", None)
        temperature = getattr(calibration, "temperature", 1.0)
        return {"temperature": temperature, "prior": getattr(judge, "prior", None)}


def _log(what: str, done: int, total: int) -> None:
    log.info("%s: %d of %d", what, done, total)
