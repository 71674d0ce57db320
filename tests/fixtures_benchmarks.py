"""Small folders in the layouts of CIRR, CIRCO and FashionIQ, with pictures of the drawn world."""

import json
from pathlib import Path

from PIL import Image

FABLES = Path(__file__).resolve().parents[1] / "assets/galleries/fables"
SHARED = Path(__file__).resolve().parents[2] / "shared/data"


def queries(count, start=0):
    """Queries of the drawn world with one reference each."""
    lines = (FABLES / "queries.jsonl").read_text().splitlines()
    found = {}
    for row in map(json.loads, lines):
        found.setdefault(row["reference_id"], row)
    return list(found.values())[start : start + count]


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def paint(image_id, path):
    """A picture of the drawn world under another name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.open(FABLES / "images" / f"{image_id}.webp").save(path)


def make_cirr(root, rows, split="train"):
    """`captions`, `image_splits` and pictures under `train/`, as CIRR lays them."""
    ids = sorted({i for r in rows for i in (r["reference_id"], *r["subset_ids"], *r["target_ids"])})
    for image_id in ids:
        paint(image_id, root / split / "7" / f"{image_id}.png")
    write(
        root / f"image_splits/split.rc2.{split}.json",
        {i: f"./{split}/7/{i}.png" for i in ids},
    )
    captions = [
        {
            "pairid": 100 + number,
            "reference": r["reference_id"],
            "caption": r["modification"],
            "target_hard": r["target_ids"][0],
            "target_soft": dict.fromkeys(r["target_ids"], 1.0),
            "img_set": {"id": number, "members": r["subset_ids"]},
        }
        for number, r in enumerate(rows)
    ]
    write(root / f"captions/cap.rc2.{split}.json", captions)
    return ids


def make_fashioniq(root, rows, category="dress", split="train", suffix=".jpg"):
    """`captions`, `image_splits` and `images`, as FashionIQ lays them."""
    ids = sorted({i for r in rows for i in (r["reference_id"], *r["subset_ids"], *r["target_ids"])})
    for image_id in ids:
        paint(image_id, root / "images" / f"{image_id}{suffix}")
    write(root / f"image_splits/split.{category}.{split}.json", ids)
    captions = [
        {
            "candidate": r["reference_id"],
            "target": r["target_ids"][0],
            "captions": [f"{r['modification']}.", "show it at night"],
        }
        for r in rows
    ]
    write(root / f"captions/cap.{category}.{split}.json", captions)
    return ids


def make_circo(root, rows, split="val"):
    """`annotations`, the list of pictures and `unlabeled2017`, as CIRCO lays them; id -> number."""
    ids = sorted({i for r in rows for i in (r["reference_id"], *r["subset_ids"], *r["target_ids"])})
    number = {image_id: 1000 + n for n, image_id in enumerate(ids)}
    coco = root / "COCO2017_unlabeled"
    for image_id, n in number.items():
        paint(image_id, coco / "unlabeled2017" / f"{n:012d}.jpg")
    listed = [{"id": n, "file_name": f"{n:012d}.jpg"} for n in number.values()]
    write(coco / "annotations/image_info_unlabeled2017.json", {"images": listed})
    annotations = [
        {
            "id": n,
            "reference_img_id": number[r["reference_id"]],
            "target_img_id": number[r["target_ids"][0]],
            "gt_img_ids": [number[i] for i in r["target_ids"]],
            "relative_caption": r["modification"],
            "shared_concept": "an animal",
            "semantic_aspects": ["addition"],
        }
        for n, r in enumerate(rows)
    ]
    write(root / f"annotations/{split}.json", annotations)
    return number
