"""A world of four one-coloured pictures on disk."""

import json

from PIL import Image

COLOURS = {"a": (255, 0, 0), "b": (0, 255, 0), "c": (0, 0, 255), "d": (250, 5, 5)}


def write_world(root, queries=(), colours=COLOURS):
    (root / "images").mkdir(parents=True)
    rows = []
    for image_id, colour in colours.items():
        Image.new("RGB", (400, 300), colour).save(root / "images" / f"{image_id}.webp", quality=100)
        rows.append(
            {
                "id": image_id,
                "record": {"colour": list(colour)},
                "caption": f"picture {image_id}",
                "boxes": {"all": [0, 0, 400, 300]},
            }
        )
    (root / "records.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (root / "queries.jsonl").write_text("".join(json.dumps(q) + "\n" for q in queries))
    return root


def query(**changes):
    return {
        "query_id": "q1",
        "split": "val",
        "reference_id": "a",
        "modification": "make it green",
        "target_ids": ["b"],
        "subset_ids": ["b", "c"],
        "kind": "colour",
        "union": "a green picture",
        "intersection": "green",
    } | changes
