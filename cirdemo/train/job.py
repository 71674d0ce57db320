"""What a recipe is asked to do: its budget, its pictures, and where its files are."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cirdemo.train import pools
from cirdemo.train.fit import Schedule, told, write_meta

log = logging.getLogger(__name__)

READ = {"fables": 4000, "wardrobe": 1000}  # families whose tokens the language model reads
POOL_SEED = 1
AGAIN = 0.5  # of the learning rate, when training goes on from earlier weights
OTHER = 1000  # seeds between the orders of a training and of one that goes on from it


@dataclass(frozen=True, slots=True)
class Job:
    """What a recipe is to do."""

    families: dict[str, int]  # by world, as many as the budget is worth
    drawn: dict[str, pools.DrawnPool]  # them; none for those that only read others
    seconds: float
    seed: int
    out: Path  # folder of the checkpoint
    base: Path  # folder with the models that it builds on
    state: Path  # stem of the resumable state
    start: Path | None  # folder with weights to go on from

    def schedule(self, lr: float, share: float = 1.0, **settings: Any) -> Schedule:
        """A schedule over a share of the budget; slower where training goes on."""
        lr *= AGAIN if self.start else 1.0
        return Schedule(seconds=self.seconds * share, lr=lr, **settings)

    def read(self) -> dict[str, pools.DrawnPool]:
        """The pictures that a language model is trained on: fewer than its tower saw, and others.

        A tower may read the pictures it was trained on better than any other; a language model, a
        judge or a reasoner that learns from those trusts it more than it deserves. The seed says
        which pictures, so that a training that goes on reads new ones.
        """
        return {
            world: pools.drawn_pool(
                world,
                min(READ[world], count),
                POOL_SEED + 1 + self.seed,
                self.kept("pools"),
                drawing(world),
            )
            for world, count in self.families.items()
        }

    @property
    def order(self) -> int:
        """Seed of weights and of the order of queries.

        A training that goes on, maybe on the same pictures, must not ask the same of them again.
        """
        before, trainings = told(self.start) if self.start else None, 0
        while before is not None:
            before, trainings = before.get("started_from"), trainings + 1
        return self.seed + OTHER * trainings

    def kept(self, name: str) -> Path:
        """A folder of what is computed once and used by several recipes."""
        return self.state.parents[1] / name

    def done(
        self, recipe: Any, facts: dict[str, float], drawn: dict[str, pools.DrawnPool] | None = None
    ) -> dict[str, Any]:
        """Write `meta.json`; what `run` reports. `drawn`: the pictures used, if not all."""
        started = {"started_from": told(self.start)} if self.start else {}
        write_meta(
            self.out,
            recipe,
            seed=self.seed,
            data=_data(drawn or self.drawn),
            training=facts,
            **started,
        )
        return {"training": facts}


def drawing(world: str) -> Callable[[int, int], None]:
    """What is called while pictures of a world are drawn."""

    def tell(done: int, of: int) -> None:
        if done % 4096 < 256 or done == of:
            log.info("drawing %s: %d of %d pictures", world, done, of)

    return tell


def _data(drawn: dict[str, pools.DrawnPool]) -> dict[str, Any]:
    return {
        world: {
            "pictures": len(d.pictures),
            "queries": len(d.targets),
            "fingerprint": d.fingerprint,
        }
        for world, d in drawn.items()
    }
