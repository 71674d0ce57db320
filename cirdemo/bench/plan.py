"""`bench plan`: how many machines a gallery and its visitors need, from what the benches measured.

Nothing is measured here: the measured costs of one picture and one query are multiplied out, with
the assumptions told beside. A machine is one like the benches ran on, with `MEMORY` for vectors.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cirdemo.bench.tables import number
from cirdemo.types import BadInput

PICTURES = (10**6, 10**8, 10**10)
QUERIES = (10, 1000)  # a second
SHOWN = (10**8, 1000)  # the row that is worked out in words
NEEDED = ("search", "rerank", "index")
MEMORY = 48 * 2**30  # bytes of a machine for vectors and codes
CORES = 16  # of a machine
BUSY = 0.6  # share of its cores that may be busy, so that nobody waits in a queue
IVF_FROM = 3_000_000  # pictures from which a shard is divided into lists
LISTS_READ = 1 / 16  # share of the vectors that are then scanned
HOURS = 24  # in which the gallery is to be built


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What one picture and one query cost, as measured on one core."""

    bytes_a_vector: float
    scan_seconds_a_vector: float
    judge_seconds: float  # of 50 candidates, features kept
    build_seconds: float  # processor time of a picture, of a whole build


def measured(folder: Path) -> dict[str, Any]:
    """The reports that a plan is made of, from `bench-NAME.json` files of `bench … --out`.

    Raises:
        BadInput: A file is missing.
    """
    found: dict[str, Any] = {}
    for name in NEEDED:
        path = folder / f"bench-{name}.json"
        if not path.is_file():
            raise BadInput(
                f"{path} is missing: run python -m cirdemo bench {name} --out {folder} first."
            )
        found[name] = json.loads(path.read_text(encoding="utf-8"))
    return found


def costs(found: Mapping[str, Any]) -> Costs:
    """The costs that these reports hold."""
    rows = [r for r in found["search"]["rows"] if r["default"] and r["kind"] != "flat"]
    largest = max(rows, key=lambda row: row["n"])
    built = found["index"]["builds"]["whole"]
    return Costs(
        bytes_a_vector=largest["bytes_per_vector"],
        scan_seconds_a_vector=largest["ms"] / 1000 / largest["n"],
        judge_seconds=found["rerank"]["seconds"]["shared_prefix"],
        build_seconds=built["processor"] / built["encoded"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Machines for one size and one load."""

    pictures: int
    queries: int  # a second
    shards: int  # machines that hold the vectors once
    copies: int  # of all shards, for the load
    judges: int  # machines that judge
    builders: int  # machines that build the gallery in `HOURS`
    wait: float  # seconds of the scan of one query, its shards side by side, each on one core

    @property
    def machines(self) -> int:
        """That answer queries; those that build are free afterwards."""
        return self.shards * self.copies + self.judges


def plan(pictures: int, queries: int, cost: Costs) -> Plan:
    """Multiply out."""
    shards = max(1, math.ceil(pictures * cost.bytes_a_vector / MEMORY))
    held = pictures / shards
    read = held * LISTS_READ if held > IVF_FROM else held
    scan = read * cost.scan_seconds_a_vector  # core seconds of one query on each shard
    each = CORES * BUSY
    return Plan(
        pictures=pictures,
        queries=queries,
        shards=shards,
        copies=max(1, math.ceil(queries * scan / each)),
        judges=max(1, math.ceil(queries * cost.judge_seconds / each)),
        builders=max(1, math.ceil(pictures * cost.build_seconds / (HOURS * 3600 * each))),
        wait=scan,
    )


def bench(folder: Path) -> dict[str, Any]:
    """Every size under every load.

    Raises:
        BadInput: Something has not been measured.
    """
    found = measured(folder)
    cost = costs(found)
    plans = [plan(n, q, cost) for n in PICTURES for q in QUERIES]
    report: dict[str, Any] = {
        "bench": "plan",
        "costs": {name: getattr(cost, name) for name in Costs.__slots__},
        "rows": [
            {name: getattr(p, name) for name in Plan.__slots__} | {"machines": p.machines}
            for p in plans
        ],
    }
    notes = [_sums(plan(*SHOWN, cost), cost), _costs(cost, found), ASSUMED]
    return report | {"tables": [_table(plans)], "notes": notes}


def _table(plans: Sequence[Plan]) -> dict[str, Any]:
    head = ["pictures", "queries a second", "hold the vectors", "copies of these", "judge"]
    head += ["**machines in all**", "a query's scan", "build the gallery"]
    rows = [
        [
            f"{p.pictures:,}",
            f"{p.queries:,}",
            f"{p.shards:,}",
            f"× {p.copies:,}",
            f"+ {p.judges:,}",
            f"**{p.machines:,}**",
            number(1000 * p.wait, "ms"),
            f"{p.builders:,}",
        ]
        for p in plans
    ]
    return {"head": head, "rows": rows}


def _sums(p: Plan, cost: Costs) -> str:
    """One row, worked out in words."""
    each = CORES * BUSY
    held = p.pictures / p.shards
    copies = "1 copy" if p.copies == 1 else f"{p.copies:,} copies"
    lists = f", of which {_part(LISTS_READ)} is scanned" if held > IVF_FROM else ""
    return (
        f"One row worked out, {p.pictures:,} pictures at {p.queries:,} queries a second. "
        f"{p.pictures:,} × {cost.bytes_a_vector:,.0f} bytes / {MEMORY // 2**30} GiB: {p.shards:,} "
        f"machines hold the vectors. Each holds {held / 1e6:,.1f} million{lists}: "
        f"{number(1000 * p.wait, 'ms')}. {p.queries:,} × {number(1000 * p.wait, 'ms')} / "
        f"{each:g} cores: {copies} of these machines. {p.queries:,} × "
        f"{number(1000 * cost.judge_seconds, 'ms')} / {each:g} cores: {p.judges:,} machines judge. "
        f"{p.shards:,} × {p.copies:,} + {p.judges:,} = {p.machines:,}. "
        f"{p.pictures:,} × {number(1000 * cost.build_seconds, 'ms')} / {each:g} cores / "
        f"{HOURS} hours: {p.builders:,} machines build the gallery, once."
    )


def _costs(cost: Costs, found: Mapping[str, Any]) -> str:
    scan = 1e9 * cost.scan_seconds_a_vector
    text = (
        f"Measured, on one core each: {cost.bytes_a_vector:,.0f} bytes and {number(scan, 'ns')} of "
        f"a scan a vector; {number(1000 * cost.judge_seconds, 'ms')} for 50 verdicts of the "
        f"embedded judge; {number(1000 * cost.build_seconds, 'ms')} to take in a picture."
    )
    places: dict[str, list[str]] = {}
    for name, told in found.items():
        places.setdefault(told.get("machine", {}).get("processor", ""), []).append(name)
    named = [f"{' and '.join(names)} on {place}" for place, names in places.items() if place]
    return f"{text} ({'; '.join(named)}.)" if named else text


def _part(share: float) -> str:
    return f"1 in {1 / share:.0f}"


ASSUMED = (
    f"Assumed: machines of {CORES} such cores, {BUSY:.0%} of them busy ({CORES * BUSY:g} cores), "
    f"with {MEMORY // 2**30} GiB for vectors; above {IVF_FROM:,} vectors a machine, lists of which "
    f"{_part(LISTS_READ)} is read, whose recall has to be measured on the gallery, and finding "
    "these lists is not counted; pictures and small copies on an object store; a gallery built "
    f"within {HOURS} hours. No machine is spare: where one may fail, add a copy. A judge of "
    "billions of parameters changes the column of machines that judge in proportion to its cost, "
    "and nothing else. Writing the descriptions and encoding the query are not counted: the app's "
    "table says what they take, and machines for them come on top."
)
