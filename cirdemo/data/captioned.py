"""Captions of a benchmark's pictures: a gallery that can be searched with no pictures at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cirdemo.data.benchmark import read_json
from cirdemo.data.find import places
from cirdemo.types import BadInput, ImageId, MissingCheckpoint

BELOW = ("", "cirr", "cirr_dataset", "circo", "CIRCO", "fashioniq")  # of the folders looked in
HOW = 'It holds [{"candidate": NAME, "captions": [TEXT]}] or {NAME: TEXT or [TEXT]}.'


def read_captions(path: Path) -> dict[ImageId, str]:
    """The captions of each picture, joined to one text; a picture without any is left out.

    Two forms are read: a list of {"candidate", "captions"}, as WeiMoCIR has them, and an object
    of picture name -> caption or captions, as CIReVL keeps them.

    Raises:
        MissingCheckpoint: There is no such file.
        BadInput: It has another form, or names a picture twice.
    """
    found = read_json(path)
    pairs = list(found.items()) if isinstance(found, dict) else [_pair(path, r) for r in found]
    made = {str(name): _joined(path, str(name), said) for name, said in pairs}
    if len(made) < len(pairs):
        raise BadInput(f"'{path}' names a picture twice. Get the file anew.")
    return {name: text for name, text in made.items() if text.strip()}


def find_captions(dataset: str, split: str, root: Path | None = None) -> Path:
    """The captions file of a benchmark: `mllm_captions/SPLIT.json` where its annotations are.

    Raises:
        MissingCheckpoint: There is none.
        BadInput: The given folder does not exist.
    """
    looked = places(root)
    named = f"mllm_captions/{split}.json"
    for place in looked:
        below = [b for b in BELOW if not b or b.lower().startswith(dataset)]
        for path in (place / b / named for b in below):
            if path.is_file():
                return path
    raise MissingCheckpoint(
        f"No captions of the pictures of {dataset}, split {split}: there is no {named} in "
        f"{', '.join(map(str, looked))}. Name a file with --captions. {HOW}"
    )


def _pair(path: Path, row: Any) -> tuple[Any, Any]:
    if not isinstance(row, Mapping) or "candidate" not in row or "captions" not in row:
        raise BadInput(f"'{path}' is no file of captions. {HOW}")
    return row["candidate"], row["captions"]


def _joined(path: Path, name: str, said: Any) -> str:
    texts = [said] if isinstance(said, str) else said
    if not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
        raise BadInput(f"'{path}': the captions of {name} are no texts. {HOW}")
    return " ".join(texts)
