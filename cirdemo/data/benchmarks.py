"""CIRR, CIRCO and FashionIQ, read from the folders that people have on disk.

Their files say "caption" or "relative_caption"; from here on it is the modification text. Pictures
are looked for where the common code bases keep them. One that is not there is never passed over in
silence: it is counted, listed in `missing`, and stops the reader unless another way was chosen.

Formats: Cuberick-Orion/CIRR (branch cirr_dataset), miccunifi/CIRCO, XiaoxiaoGuo/fashion-iq.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from cirdemo.data.benchmark import (
    Benchmark,
    Finder,
    Missing,
    annotations_home,
    picture_folders,
    read_json,
    read_object,
    read_rows,
)
from cirdemo.registry import unknown
from cirdemo.types import BadInput, ImageId, MissingCheckpoint, Triplet

CATEGORIES = ("dress", "shirt", "toptee")
SUFFIXES = (".png", ".jpg", ".jpeg")
SOURCES = {
    "cirr": "https://github.com/Cuberick-Orion/CIRR, branch cirr_dataset",
    "circo": "https://github.com/miccunifi/CIRCO",
    "fashioniq": "https://github.com/XiaoxiaoGuo/fashion-iq",
}


def read_cirr(
    root: str | Path,
    split: str = "val",
    *,
    images: str | Path | None = None,
    missing: Missing = "stop",
) -> Benchmark:
    """CIRR rc2: `captions/`, `image_splits/` under `root` or `root/cirr`, pictures as listed.

    A query's id is its pairid. `target_soft` becomes `soft_targets`, `img_set.members` becomes
    `subset_ids`; split test1 has no targets.

    Raises:
        MissingCheckpoint: The annotations of the split are absent.
        BadInput: They are broken, or pictures are absent (see `Benchmark`).
    """
    home = annotations_home(
        Path(root), SOURCES["cirr"], f"captions/cap.rc2.{split}.json", ("cirr", "cirr_dataset")
    )
    rows = read_rows(
        home / f"captions/cap.rc2.{split}.json", pairid=(int, str), reference=str, caption=str
    )
    listed = read_object(home / f"image_splits/split.rc2.{split}.json")
    beside = (Path(root), home.parent)  # where CLIP4Cir and SEARLE keep them
    usual = (home / "img_raw", home / "images", home, *beside)
    find = Finder(picture_folders(images, usual))
    files = {i: find.first([str(p), Path(str(p)).name]) for i, p in listed.items()}
    triplets = []
    for row in rows:
        target = row.get("target_hard")
        triplets.append(
            Triplet(
                query_id=str(row["pairid"]),
                reference_id=row["reference"],
                modification=row["caption"],
                target_ids=(target,) if target else (),
                subset_ids=tuple((row.get("img_set") or {}).get("members", ())),
                soft_targets=tuple((i, float(v)) for i, v in row.get("target_soft", {}).items()),
            )
        )
    return Benchmark("cirr", split, files, triplets, missing=missing, looked=find.folders)


def read_circo(
    root: str | Path,
    split: str = "val",
    *,
    images: str | Path | None = None,
    missing: Missing = "stop",
) -> Benchmark:
    """CIRCO: `annotations/{val,test}.json` and the COCO 2017 unlabeled pictures.

    Ids are strings of plain numbers, whether a file writes 271520, "271520" or 000000271520.jpg.
    The gallery is what `image_info_unlabeled2017.json` lists (123,403 pictures); without that file
    it is every picture found together with those that the annotations name. The first target is
    the single one that Recall is computed on. Split test has no targets.

    Raises:
        MissingCheckpoint: The annotations of the split are absent.
        BadInput: They are broken, or pictures are absent (see `Benchmark`).
    """
    if split == "train":
        raise MissingCheckpoint(
            "CIRCO has no training split. Split val has targets; what learns from it cannot be "
            "measured on it."
        )
    home = annotations_home(
        Path(root), SOURCES["circo"], f"annotations/{split}.json", ("CIRCO", "circo")
    )
    number = (int, str)
    rows = read_rows(
        home / f"annotations/{split}.json", id=number, reference_img_id=number, relative_caption=str
    )
    coco = home / "COCO2017_unlabeled"
    usual = (coco / "unlabeled2017", home / "unlabeled2017", home / "images", home)
    find = Finder(picture_folders(images, usual))
    triplets = []
    for row in rows:
        target = row.get("target_img_id")
        ids = [*([] if target is None else [target]), *row.get("gt_img_ids", ())]
        triplets.append(
            Triplet(
                query_id=_coco(row["id"]),
                reference_id=_coco(row["reference_img_id"]),
                modification=row["relative_caption"],
                target_ids=tuple(dict.fromkeys(map(_coco, ids))),
                aspects=tuple(row.get("semantic_aspects", ())),
                shared_concept=row.get("shared_concept", ""),
            )
        )
    info = (p / "annotations" / "image_info_unlabeled2017.json" for p in (coco, home))
    if there := next((p for p in info if p.is_file()), None):
        names = [str(row["file_name"]) for row in read_object(there)["images"]]
    else:
        named = {i for t in triplets for i in (t.reference_id, *t.target_ids)}
        names = sorted({f"{int(i):012d}.jpg" for i in named} | set(find.numbered()))
    files = {_coco(name): find.first([name]) for name in names}
    return Benchmark("circo", split, files, triplets, missing=missing, looked=find.folders)


def read_fashioniq(
    root: str | Path,
    category: str,
    split: str = "val",
    *,
    gallery: Literal["split", "targets"] = "split",
    images: str | Path | None = None,
    missing: Missing = "stop",
) -> Benchmark:
    """A category of FashionIQ: `captions/`, `image_splits/` and `images/`.

    The gallery is the published one of the split ("split"; val: 3,817 / 6,346 / 5,373 pictures),
    or only the candidates and targets of its queries ("targets"; 2,628 / 3,089 / 2,902), which
    gives higher numbers. A query's id is the category and its place in the file. Its two captions
    are joined in both orders (`modifications`); the modification text is the first.

    Raises:
        UnknownName: There is no such category.
        MissingCheckpoint: The annotations of the category and the split are absent.
        BadInput: They are broken, or pictures are absent (see `Benchmark`).
    """
    if category not in CATEGORIES:
        raise unknown("category", category, CATEGORIES)
    named = f"captions/cap.{category}.{split}.json"
    home = annotations_home(
        Path(root), SOURCES["fashioniq"], named, ("fashionIQ_dataset", "FashionIQ", "fashioniq")
    )
    rows = read_rows(home / named, candidate=str, captions=list)
    triplets = []
    for number, row in enumerate(rows):
        wordings = join(row["captions"])
        triplets.append(
            Triplet(
                query_id=f"{category}-{number}",
                reference_id=row["candidate"],
                modification=wordings[0],
                modifications=wordings,
                target_ids=(row["target"],) if row.get("target") else (),
                kind=category,
            )
        )
    if gallery == "targets":
        ids = sorted({i for t in triplets for i in (t.reference_id, *t.target_ids)})
    else:
        ids = list(read_json(home / f"image_splits/split.{category}.{split}.json"))
    usual = (home / "images", home / "images" / category, home / "resized_image", home)
    find = Finder(picture_folders(images, usual))
    files = {i: find.first([f"{i}{suffix}" for suffix in SUFFIXES]) for i in ids}
    name = f"fashioniq-{category}"
    return Benchmark(name, split, files, triplets, missing=missing, looked=find.folders)


def join(captions: Sequence[str]) -> tuple[str, ...]:
    """FashionIQ's captions as one text, in both orders: "cap1 and cap2", "cap2 and cap1".

    Stops and spaces at their ends are removed, as CLIP4Cir and SEARLE do; what is then empty is
    left out.
    """
    parts = [part for text in captions if (part := text.strip(".?, "))]
    return tuple(dict.fromkeys((" and ".join(parts), " and ".join(reversed(parts)))))


def read_all(
    root: str | Path,
    kind: str | None = None,
    split: str = "val",
    *,
    images: str | Path | None = None,
    missing: Missing = "stop",
) -> list[Benchmark]:
    """The benchmark in a folder; FashionIQ is one per category that is there.

    Raises:
        UnknownName: There is no such benchmark.
        MissingCheckpoint: The folder holds no annotations of it.
        BadInput: They are broken, or pictures are absent.
    """
    kind = kind or _kind(Path(root), split)
    if kind not in SOURCES:
        raise unknown("benchmark", kind, SOURCES)
    if kind == "fashioniq":
        read: list[Benchmark] = []
        for category in CATEGORIES:
            try:
                one = read_fashioniq(root, category, split, images=images, missing=missing)
            except MissingCheckpoint:
                if category == CATEGORIES[-1] and not read:
                    raise
                continue
            read.append(one)
        return read
    reader = read_cirr if kind == "cirr" else read_circo
    return [reader(root, split, images=images, missing=missing)]


# --- parts --------------------------------------------------------------------------------


def _kind(root: Path, split: str) -> str:
    """Which benchmark a folder holds."""
    signs = {
        "cirr": ("captions/cap.rc2.*", "*/captions/cap.rc2.*"),
        "circo": ("annotations/val.json", "annotations/test.json", "*/annotations/val.json"),
        "fashioniq": [f"{p}captions/cap.{c}.*" for p in ("", "*/") for c in CATEGORIES],
    }
    found = [k for k, globs in signs.items() if any(next(root.glob(g), None) for g in globs)]
    if len(found) == 1:
        return found[0]
    if found:
        raise BadInput(f"'{root}' holds {' and '.join(found)}. Choose one with --dataset.")
    raise MissingCheckpoint(
        f"'{root}' holds no annotations of CIRR (captions/cap.rc2.{split}.json), CIRCO "
        f"(annotations/{split}.json) or FashionIQ (captions/cap.dress.{split}.json)."
    )


def _coco(image_id: int | str) -> ImageId:
    """A COCO id as a plain number in a string."""
    try:
        return str(int(Path(str(image_id)).stem))
    except ValueError:
        raise BadInput(
            f"{image_id!r} is not the id of a COCO picture, which is a number."
        ) from None
