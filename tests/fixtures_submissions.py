"""Annotations in the layouts of CIRR, CIRCO and FashionIQ without pictures, and right files."""

import json

from tests.fixtures_benchmarks import write

NAMES = [f"test1-{n}-0-img0" for n in range(80)]
QUERIES = 40


def cirr_root(root, split="test1", prefix="test1"):
    """40 queries over 80 pictures; the group of query n is pictures n to n + 5, n the reference."""
    names = [name.replace("test1", prefix) for name in NAMES]
    rows = []
    for n in range(QUERIES):
        row = {
            "pairid": 12000 + n,
            "reference": names[n],
            "caption": f"make it number {n}",
            "img_set": {"id": n, "members": names[n : n + 6]},
        }
        if split != "test1":  # the target of query n is picture n + 2
            row |= {"target_hard": names[n + 2], "target_soft": {names[n + 2]: 1.0}}
        rows.append(row)
    write(root / f"captions/cap.rc2.{split}.json", rows)
    write(root / f"image_splits/split.rc2.{split}.json", {i: f"./{split}/{i}.png" for i in names})
    return root


def cirr_files(prefix="test1"):
    """A right recall file and a right subset file of `cirr_root`."""
    names = [name.replace("test1", prefix) for name in NAMES]
    recall, subset = ({"version": "rc2", "metric": m} for m in ("recall", "recall_subset"))
    for n in range(QUERIES):
        others = names[n + 1 :] + names[:n]
        recall[str(12000 + n)] = others[:50]
        subset[str(12000 + n)] = names[n + 1 : n + 4]
    return recall, subset


def circo_root(root, split="val", count=220):
    """Query n has reference 1000 + n and the targets 2000 + n, 3000 + n."""
    rows = [
        {
            "id": n,
            "reference_img_id": 1000 + n,
            "relative_caption": "is larger",
            "shared_concept": "a dog",
            "target_img_id": 2000 + n,
            "gt_img_ids": [2000 + n, 3000 + n],
            "semantic_aspects": ["addition"] if n % 2 else ["negation"],
        }
        for n in range(count)
    ]
    write(root / f"annotations/{split}.json", rows)
    return root


def circo_file(count=220):
    """A right file: the first ground truth at rank 1, the second at rank 4."""
    filler = [5000 + i for i in range(50)]
    return {str(n): [2000 + n, *filler[:2], 3000 + n, *filler[2:48]] for n in range(count)}


def dumped(path, value):
    """A file as people write it."""
    path.write_text(json.dumps(value))
    return path
