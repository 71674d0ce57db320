"""Annotation files that were opened beside submissions: laid out as their readers expect them."""

from __future__ import annotations

import re
from pathlib import Path

_CIRR = re.compile(r"(cap|split)\.rc2\.(?:train|val|test1)\.json")
_FASHIONIQ = re.compile(r"(cap|split)\.(?:dress|shirt|toptee)\.(?:train|val|test)\.json")
_FOLDER = {"cap": "captions", "split": "image_splits"}
NEEDED = {  # what people call the files of a split
    "cirr": "cap.rc2.{split}.json and split.rc2.{split}.json",
    "circo": "{split}.json of CIRCO's annotations",
    "fashioniq": "cap.dress.{split}.json, split.dress.{split}.json and those of shirt and toptee",
}


def place_of(name: str, data: bytes) -> Path | None:
    """Where an annotation file belongs under a root; None of any other file.

    Args:
        name: The file's name, as it is published.
        data: Its contents: CIRCO's val.json has too plain a name to go by.
    """
    if match := _CIRR.fullmatch(name):
        return Path("cirr", _FOLDER[match[1]], name)
    if match := _FASHIONIQ.fullmatch(name):
        return Path("fashioniq", _FOLDER[match[1]], name)
    if name == "image_info_unlabeled2017.json":
        return Path("circo/COCO2017_unlabeled/annotations", name)
    if name in ("val.json", "test.json") and b'"reference_img_id"' in data[:10_000]:
        return Path("circo/annotations", name)
    if name == "val.json" and b'"candidate"' in data[:1000] and b'"captions"' in data[:1000]:
        return Path("cirr/mllm_captions", name)
    return None
