"""The drawn dataset: what it reads and what it refuses, with the line."""

import pytest

from cirdemo.data.drawn.dataset import DrawnDataset
from cirdemo.types import CirError, MissingCheckpoint, UnknownName
from tests.fixtures_world import query, write_world


@pytest.fixture
def world(tmp_path):
    return DrawnDataset(write_world(tmp_path / "world", [query()]))


def test_drawn_dataset_reads_everything(world):
    assert (world.name, world.gallery_ids, world.splits) == (
        "world",
        ("a", "b", "c", "d"),
        ("val",),
    )
    (triplet,) = world.triplets("val")
    assert (triplet.reference_id, triplet.target_ids, triplet.subset_ids) == (
        "a",
        ("b",),
        ("b", "c"),
    )
    assert (triplet.kind, triplet.union, triplet.intersection) == (
        "colour",
        "a green picture",
        "green",
    )
    assert world.image_path("a").is_file()
    assert world.boxes("a") == {"all": (0, 0, 400, 300)}
    assert world.record("c")["record"] == {"colour": [0, 0, 255]}


def test_unknown_split_and_picture(world):
    with pytest.raises(UnknownName, match=r"Did you mean 'val'\? Known: val"):
        world.triplets("vall")
    for verb in (world.image_path, world.record, world.boxes, world.caption):
        with pytest.raises(UnknownName, match="'x'"):
            verb("x")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reference_id": "x"}, "no picture 'x'"),
        ({"target_ids": ["b", "y"]}, "no picture 'y'"),
        ({"subset_ids": ["z"]}, "no picture 'z'"),
        ({"target_ids": []}, "'target_ids' is empty"),
        ({"modification": ""}, "'modification'"),
        ({"query_id": "q0"}, "'q0' appears twice"),
    ],
)
def test_broken_queries_are_found_with_their_line(tmp_path, changes, message):
    rows = [query(query_id="q0"), query(**changes)]
    with pytest.raises(CirError, match=f"line 2: .*{message}"):
        DrawnDataset(write_world(tmp_path / "world", rows))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ('{"id": "../a"}', "not a picture id"),
        ('{"id": "a"}', "'a' appears twice"),
        ('{"id": "nofile"}', "has no file"),
    ],
)
def test_broken_records_are_found_with_their_line(tmp_path, line, message):
    root = write_world(tmp_path / "world")
    with (root / "records.jsonl").open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(CirError, match=f"line 5: .*{message}"):
        DrawnDataset(root)
    (root / "records.jsonl").unlink()
    with pytest.raises(MissingCheckpoint, match="cirdemo draw"):
        DrawnDataset(root)
