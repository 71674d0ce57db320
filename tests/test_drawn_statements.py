"""True rationales rebuilt from records, and the truth of what a rationale says."""

import random
from pathlib import Path

import pytest

from cirdemo.data.drawn import queries, reasoning
from cirdemo.data.drawn.dataset import DrawnDataset
from cirdemo.data.drawn.statements import Statement, statements, true_rationale, verdicts
from cirdemo.types import Rationale

GALLERIES = Path(__file__).resolve().parents[1] / "assets" / "galleries"


@pytest.mark.parametrize("world", ["fables", "wardrobe"])
def test_a_rationale_follows_from_the_records(world):
    splits = ["train", "val", "test"] * 40
    pool = queries.make_pool(world, splits, seed=5)
    rng = random.Random(0)
    for asked, hits in zip(pool.asked, queries.targets(pool), strict=True):
        before, after = pool.contents[asked.reference], pool.contents[rng.choice(hits)]
        short = queries.describe(pool, asked)["intersection"]
        found = true_rationale(world, before.to_json(), after.to_json(), short)
        assert found == reasoning.rationale(pool, asked), asked.edit


@pytest.mark.parametrize("world", ["fables", "wardrobe"])
def test_shipped_queries_have_their_conclusion(world):
    data = DrawnDataset(GALLERIES / world)
    for split in data.splits:
        for t in data.triplets(split):
            records = [data.record(i)["record"] for i in (t.reference_id, t.target_ids[0])]
            assert true_rationale(world, *records, t.intersection).conclusion == t.conclusion


TRUE = Rationale(
    caption="a brown dog standing in the snow at night beside a ball",
    reasoning="change dog coat brown to white and standing to sitting . "
    "leave out in the snow at night beside a ball .",
    conclusion="a white dog sitting",
)


def test_statements_by_hand():
    assert statements(TRUE) == [
        Statement("caption", TRUE.caption),
        Statement("change", "dog coat brown to white"),
        Statement("change", "standing to sitting"),
        Statement("leave out", "in the snow"),
        Statement("leave out", "at night"),
        Statement("leave out", "beside a ball"),
        Statement("conclusion", TRUE.conclusion),
    ]
    kept = statements(
        Rationale(caption="", reasoning="change a . keep all the rest .", conclusion="")
    )
    assert [s.text for s in kept] == ["", "a", "keep all the rest", ""]


def test_what_is_not_so_is_false():
    said = Rationale(
        caption=TRUE.caption,
        reasoning="change dog coat brown to white and standing to jumping . leave out in the snow",
        conclusion="a white dog jumping",
    )
    truth = [ok for _, ok in verdicts(said, TRUE)]
    assert truth == [True, True, False, True, False]
    assert all(ok for _, ok in verdicts(TRUE, TRUE))


def test_saying_nothing_is_not_the_truth():
    silent = Rationale(caption="", reasoning="", conclusion="")
    assert [ok for _, ok in verdicts(silent, silent)] == [False, False, False]


def test_a_description_of_something_else_is_refused():
    scene = {"animals": [{"species": "dog", "coat": "brown", "accessory": ""}], "action": "sitting"}
    scene |= {"setting": "snow", "time": "day", "weather": "clear", "prop": ""}
    with pytest.raises(ValueError, match="does not describe"):
        true_rationale("fables", scene, scene, "a brown dog sitting in the forest")
