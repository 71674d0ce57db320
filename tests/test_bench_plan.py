"""Machines by arithmetic: from measured costs to sizes that nobody ran."""

import json

import pytest

from cirdemo.bench import plan, tables
from cirdemo.types import BadInput

COST = plan.Costs(
    bytes_a_vector=1152, scan_seconds_a_vector=5e-9, judge_seconds=0.2, build_seconds=0.02
)


def test_one_machine_is_enough_for_a_million_and_few_visitors():
    found = plan.plan(10**6, 10, COST)
    assert (found.shards, found.copies, found.judges, found.machines) == (1, 1, 1, 2)
    assert found.wait == pytest.approx(0.005)  # a whole scan


def test_memory_decides_for_many_pictures_and_the_judge_for_many_visitors():
    many = plan.plan(10**10, 10, COST)
    assert many.shards == 224  # 11.52 TB over 48 GiB each
    assert many.wait == pytest.approx(10**10 / 224 * 5e-9 / 16)  # a sixteenth of the lists
    busy = plan.plan(10**6, 1000, COST)
    assert busy.judges == 21  # 1,000 x 0.2 s over 9.6 busy cores
    assert busy.copies == 1


def test_a_plan_is_made_of_what_was_measured(tmp_path):
    with pytest.raises(BadInput, match="bench search --out"):
        plan.bench(tmp_path)
    rows = [
        {"n": 10, "default": True, "kind": "flat", "ms": 1.0, "bytes_per_vector": 2048},
        {"n": 1000, "default": True, "kind": "fast-scan", "ms": 0.005, "bytes_per_vector": 1152},
        {"n": 1000, "default": False, "kind": "flat", "ms": 9.0, "bytes_per_vector": 2048},
    ]
    whole = {"processor": 20.0, "encoded": 1000.0}
    for name, body in (
        ("search", {"rows": rows}),
        ("rerank", {"seconds": {"shared_prefix": 0.2}}),
        ("index", {"builds": {"whole": whole}}),
    ):
        (tmp_path / f"bench-{name}.json").write_text(json.dumps(body))
    assert plan.costs(plan.measured(tmp_path)) == COST
    text = tables.markdown(plan.bench(tmp_path))
    assert text.count("\n| 1,000,000 |") == 2
    # one row is worked out in words, with the figures of the table
    busy = plan.plan(10**8, 1000, COST)
    sums = f"{busy.shards:,} × {busy.copies:,} + {busy.judges:,} = {busy.machines:,}."
    assert sums in text and f"+ {busy.judges:,} | **{busy.machines:,}** |" in text
