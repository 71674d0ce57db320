"""Readers of CIRR, CIRCO and FashionIQ: counts of the published files, and nothing goes unsaid."""

import json

import pytest

from cirdemo.data.benchmark import MissingPictures
from cirdemo.data.benchmarks import join, read_all, read_circo, read_cirr, read_fashioniq
from cirdemo.types import BadInput, MissingCheckpoint, UnknownName
from tests.fixtures_benchmarks import (
    SHARED,
    make_circo,
    make_cirr,
    make_fashioniq,
    queries,
    write,
)

published = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the published annotations are not beside the project"
)


# --- the published files ------------------------------------------------------------------


@published
def test_published_cirr():
    val = read_cirr(SHARED / "cirr", "val", missing="keep")
    triplets = val.triplets("val")
    assert (len(triplets), len(val.gallery_ids)) == (4181, 2297)
    assert len(val.missing) == 2297 and val.unlisted == ()
    assert [len(group) for group in val.duplicates()] == [2] * 6
    assert len({t.query_id for t in triplets}) == 4181
    assert sum(len(t.soft_targets) > 1 for t in triplets) == 645
    assert sum(not t.modification.isascii() for t in triplets) == 2
    for t in triplets:
        assert len(t.subset_ids) == 6 and {t.reference_id, *t.target_ids} <= {*t.subset_ids}
    # an oracle that ranks the hard target first, scored by the soft labels
    scores = [max(0.0, dict(t.soft_targets).get(t.target_ids[0], 0.0)) for t in triplets]
    assert 100 * sum(scores) / len(scores) == pytest.approx(99.012, abs=5e-4)
    test = read_cirr(SHARED / "cirr", "test1", missing="keep")
    assert (len(test.triplets("test1")), len(test.gallery_ids)) == (4148, 2315)
    assert all(t.target_ids == () for t in test.triplets("test1"))


@published
def test_published_circo():
    val = read_circo(SHARED / "circo", "val", missing="keep")
    triplets = val.triplets("val")
    assert len(triplets) == 220 and sum(len(t.target_ids) for t in triplets) == 916
    assert max(len(t.target_ids) for t in triplets) == 14
    assert sum("negation" in t.aspects for t in triplets) == 21
    assert sum("statement_with_conjunction" in t.aspects for t in triplets) == 164
    assert all(t.shared_concept and t.reference_id not in t.target_ids for t in triplets)
    assert [t.query_id for t in triplets] == [str(n) for n in range(220)]
    test = read_circo(SHARED / "circo", "test", missing="keep")
    assert len(test.triplets("test")) == 800 and test.triplets("test")[0].target_ids == ()


@published
@pytest.mark.parametrize(
    ("category", "count", "whole", "named", "twice"),
    [
        ("dress", 2017, 3817, 2628, 5),
        ("shirt", 2038, 6346, 3089, 1),
        ("toptee", 1961, 5373, 2902, 3),
    ],
)
def test_published_fashioniq(category, count, whole, named, twice):
    root = SHARED / "fashioniq"
    val = read_fashioniq(root, category, missing="keep")
    assert (len(val.triplets("val")), len(val.gallery_ids)) == (count, whole)
    small = read_fashioniq(root, category, gallery="targets", missing="keep")
    assert len(small.gallery_ids) == named and set(small.gallery_ids) <= set(val.gallery_ids)
    assert len(val.duplicates()) == twice
    assert all(t.kind == category and t.modification for t in val.triplets("val"))
    assert all(not t.target_ids for t in read_fashioniq(
        root, category, "test", missing="keep").triplets("test"))  # fmt: skip


@published
def test_published_folders_are_told_apart():
    names = [b.name for b in read_all(SHARED / "fashioniq", missing="keep")]
    assert names == ["fashioniq-dress", "fashioniq-shirt", "fashioniq-toptee"]
    assert [b.name for b in read_all(SHARED / "cirr", missing="keep")] == ["cirr"]
    assert [b.name for b in read_all(SHARED / "circo", missing="keep")] == ["circo"]
    with pytest.raises(MissingPictures, match="2297 of the 2297") as caught:
        read_all(SHARED / "cirr")
    assert len(caught.value.ids) == 2297
    with pytest.raises(MissingPictures, match="Nothing is left"):
        read_all(SHARED / "cirr", missing="skip")


# --- small folders ------------------------------------------------------------------------


def test_cirr_by_where_the_split_file_says(tmp_path):
    rows = queries(3)
    ids = make_cirr(tmp_path, rows, "train")
    read = read_cirr(tmp_path, "train")
    assert read.gallery_ids == tuple(ids) and read.missing == ()
    first = read.triplets("train")[0]
    assert first.query_id == "100" and first.modification == rows[0]["modification"]
    assert first.target_ids == (rows[0]["target_ids"][0],)
    assert dict(first.soft_targets) == dict.fromkeys(rows[0]["target_ids"], 1.0)
    assert first.subset_ids == tuple(rows[0]["subset_ids"])
    assert all(read.image_path(i).is_file() for i in ids)
    with pytest.raises(UnknownName, match="split 'val'"):
        read.triplets("val")
    with pytest.raises(UnknownName, match="picture"):
        read.image_path("nothing")


@pytest.mark.parametrize("layout", ["img_raw", "images", "beside", "elsewhere"])
def test_cirr_pictures_where_people_keep_them(tmp_path, layout):
    root = tmp_path / "cirr_dataset"
    make_cirr(root, queries(2), "train")
    images = None
    if layout == "beside":  # cirr_dataset/train beside cirr_dataset/cirr/captions
        for name in ("captions", "image_splits"):
            (root / "cirr").mkdir(exist_ok=True)
            (root / name).rename(root / "cirr" / name)
    elif layout == "elsewhere":
        (root / "train").rename(tmp_path / "pictures")
        (tmp_path / "pictures/7").rename(tmp_path / "flat")
        images = tmp_path / "flat"
    else:
        (root / layout).mkdir()
        (root / "train").rename(root / layout / "train")
    assert read_cirr(root, "train", images=images).missing == ()
    (read,) = read_all(root, split="train", images=images)
    assert read.name == "cirr"


def test_missing_pictures_are_counted_and_listed(tmp_path):
    rows = queries(4)
    ids = make_cirr(tmp_path, rows, "train")
    files = tmp_path / "train" / "7"
    lost = rows[0]["reference_id"], rows[1]["target_ids"][0]
    for image_id in lost:
        (files / f"{image_id}.png").unlink()
    with pytest.raises(MissingPictures, match=rf"2 of the {len(ids)} .*--missing skip") as caught:
        read_cirr(tmp_path, "train")
    assert set(caught.value.ids) == set(lost)
    assert all(image_id in str(caught.value) for image_id in lost)
    read = read_cirr(tmp_path, "train", missing="skip")
    assert set(read.missing) == set(lost)
    assert len(read.gallery_ids) == len(ids) - 2
    assert {"100", "101"} <= set(read.lost_queries)
    assert not any(
        {t.reference_id, *t.target_ids, *t.subset_ids} & set(lost) for t in read.triplets("train")
    )
    assert len(read.triplets("train")) + len(read.lost_queries) == 4
    assert f"2 of the {len(ids)}" in read.summary() and "queries are left out" in read.summary()
    kept = read_cirr(tmp_path, "train", missing="keep")
    assert len(kept.triplets("train")) == 4 and set(kept.missing) == set(lost)
    with pytest.raises(MissingPictures, match="not on disk"):
        kept.image_path(lost[0])


def test_one_of_several_targets_may_be_missing(tmp_path):
    rows = [r for r in queries(60) if len(r["target_ids"]) > 2][:1]
    number = make_circo(tmp_path, rows)
    gone = rows[0]["target_ids"][0]
    name = f"{number[gone]:012d}.jpg"
    (tmp_path / "COCO2017_unlabeled/unlabeled2017" / name).unlink()
    (query,) = read_circo(tmp_path, missing="skip").triplets("val")
    assert query.target_ids == tuple(str(number[i]) for i in rows[0]["target_ids"][1:])


def test_pictures_that_no_list_has_are_told(tmp_path):
    make_cirr(tmp_path, queries(2), "train")
    path = tmp_path / "image_splits/split.rc2.train.json"
    listed = json.loads(path.read_text())
    gone = queries(2)[1]["reference_id"]
    listed.pop(gone)
    path.write_text(json.dumps(listed))
    with pytest.raises(MissingPictures, match=f"not in its gallery's list: {gone}"):
        read_cirr(tmp_path, "train")
    read = read_cirr(tmp_path, "train", missing="skip")
    assert read.unlisted == (gone,) and read.lost_queries == ("101",)


@pytest.mark.parametrize("form", [int, str, lambda n: f"{n:012d}.jpg"])
def test_circo_ids_are_numbers_in_whatever_form(tmp_path, form):
    rows = queries(2)
    number = make_circo(tmp_path, rows)
    path = tmp_path / "annotations/val.json"
    told = json.loads(path.read_text())
    for row in told:
        row["reference_img_id"] = form(row["reference_img_id"])
        row["gt_img_ids"] = [form(n) for n in row["gt_img_ids"]]
    path.write_text(json.dumps(told))
    read = read_circo(tmp_path)
    assert set(read.gallery_ids) == {str(n) for n in number.values()} and read.missing == ()
    first = read.triplets("val")[0]
    assert first.reference_id == str(number[rows[0]["reference_id"]])
    assert first.target_ids == tuple(str(number[i]) for i in rows[0]["target_ids"])
    assert (first.shared_concept, first.aspects) == ("an animal", ("addition",))


def test_circo_without_the_list_takes_what_is_there(tmp_path):
    number = make_circo(tmp_path, queries(2))
    coco = tmp_path / "COCO2017_unlabeled"
    (coco / "annotations/image_info_unlabeled2017.json").unlink()
    (coco / "unlabeled2017/000000000999.jpg").write_bytes(b"")
    assert set(read_circo(tmp_path).gallery_ids) == {"999", *(str(n) for n in number.values())}


def test_captions_are_joined_in_both_orders():
    assert join(["is red. ", " has, dots?"]) == (
        "is red and has, dots",
        "has, dots and is red",
    )
    assert join(["is red", " . "]) == ("is red",)
    assert join(["same", "same"]) == ("same and same",)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_fashioniq_galleries(tmp_path, suffix):
    rows = queries(2)
    ids = make_fashioniq(tmp_path, rows, suffix=suffix)
    (read,) = read_all(tmp_path, split="train")  # the one category that is there
    first = read.triplets("train")[0]
    assert (read.name, first.query_id, first.kind) == ("fashioniq-dress", "dress-0", "dress")
    assert first.modifications == (
        f"{rows[0]['modification']} and show it at night",
        f"show it at night and {rows[0]['modification']}",
    )
    assert first.modification == first.modifications[0]
    assert set(read.gallery_ids) == set(ids)
    small = read_fashioniq(tmp_path, "dress", "train", gallery="targets")
    named = {i for r in rows for i in (r["reference_id"], r["target_ids"][0])}
    assert set(small.gallery_ids) == named
    with pytest.raises(UnknownName, match="Did you mean 'dress'"):
        read_fashioniq(tmp_path, "dresses", "train")


def test_what_is_wrong_with_a_folder_is_said(tmp_path):
    with pytest.raises(MissingCheckpoint, match="holds no annotations"):
        read_all(tmp_path)
    with pytest.raises(MissingCheckpoint, match="no training split"):
        read_circo(tmp_path, "train")
    make_cirr(tmp_path, queries(2), "train")
    with pytest.raises(MissingCheckpoint, match=r"cap.rc2.val.json .* there are cap.rc2.train"):
        read_all(tmp_path, split="val")
    with pytest.raises(UnknownName, match="Did you mean 'cirr'"):
        read_all(tmp_path, "cir", "train")
    with pytest.raises(BadInput, match="no folder"):
        read_all(tmp_path, split="train", images=tmp_path / "none")
    path = tmp_path / "captions/cap.rc2.train.json"
    told = json.loads(path.read_text())
    write(path, [*told, told[0]])
    with pytest.raises(BadInput, match="appears twice"):
        read_all(tmp_path, split="train")
    told[1].pop("caption")
    write(path, told)
    with pytest.raises(BadInput, match="entry 1: 'caption'"):
        read_all(tmp_path, split="train")
    path.write_text("[")
    with pytest.raises(BadInput, match="not JSON"):
        read_all(tmp_path, split="train")
    make_fashioniq(tmp_path, queries(2))
    with pytest.raises(BadInput, match="holds cirr and fashioniq"):
        read_all(tmp_path, split="train")
