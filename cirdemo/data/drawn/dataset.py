"""A drawn world on disk: pictures, their records and boxes, and queries with all their targets."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from cirdemo.types import CirError, ImageId, MissingCheckpoint, Triplet, UnknownName

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels

_ID_LISTS = ("target_ids", "subset_ids")


class DrawnDataset:
    """A gallery of drawn pictures with exact ground truth.

    The folder holds `images/<id>.webp`, `records.jsonl` (a line per picture: id, record, caption,
    boxes) and `queries.jsonl` (a line per query; see `Triplet`).
    """

    def __init__(self, root: str | Path) -> None:
        """Read and check the folder.

        Raises:
            MissingCheckpoint: The folder or one of its files is absent.
            CirError: A line is broken, an id appears twice, or an id that is referred to does
                not exist.
        """
        self.root = Path(root)
        self.name = self.root.resolve().name
        self._records: dict[ImageId, Mapping[str, Any]] = {}
        for number, row in self._rows("records.jsonl"):
            image_id = row.get("id")
            if not _is_id(image_id):
                raise self._fault("records.jsonl", number, f"'{image_id}' is not a picture id")
            if image_id in self._records:
                raise self._fault("records.jsonl", number, f"picture '{image_id}' appears twice")
            if not self._file(image_id).is_file():
                raise self._fault("records.jsonl", number, f"picture '{image_id}' has no file")
            self._records[image_id] = row
        self.gallery_ids: Sequence[ImageId] = tuple(sorted(self._records))
        self._triplets: dict[str, list[Triplet]] = {}
        seen: set[str] = set()
        for number, row in self._rows("queries.jsonl"):
            split, triplet = self._triplet(number, row)
            if triplet.query_id in seen:
                raise self._fault(
                    "queries.jsonl", number, f"query '{triplet.query_id}' appears twice"
                )
            seen.add(triplet.query_id)
            self._triplets.setdefault(split, []).append(triplet)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, in the order of the file."""
        return tuple(self._triplets)

    def triplets(self, split: str) -> Sequence[Triplet]:
        """Queries of a split, in the order of the file.

        Raises:
            UnknownName: There is no such split.
        """
        if split not in self._triplets:
            near = difflib.get_close_matches(split, self._triplets, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            known = ", ".join(self._triplets) or "none"
            raise UnknownName(f"'{self.name}' has no split '{split}'.{hint} Known: {known}.")
        return tuple(self._triplets[split])

    def image_path(self, image_id: ImageId) -> Path:
        """File of a picture.

        Raises:
            UnknownName: The gallery has no such picture.
        """
        self._row(image_id)
        return self._file(image_id)

    def record(self, image_id: ImageId) -> dict[str, Any]:
        """What was drawn: the record, the true caption and the boxes of a picture.

        Raises:
            UnknownName: The gallery has no such picture.
        """
        row = self._row(image_id)
        return {
            "record": row.get("record", {}),
            "caption": self.caption(image_id),
            "boxes": self.boxes(image_id),
        }

    def caption(self, image_id: ImageId) -> str:
        """True caption of a picture.

        Raises:
            UnknownName: The gallery has no such picture.
        """
        return str(self._row(image_id).get("caption", ""))

    def boxes(self, image_id: ImageId) -> dict[str, Box]:
        """Boxes (x0, y0, x1, y1) by name, as shares of the picture in [0, 1].

        Raises:
            UnknownName: The gallery has no such picture.
        """
        boxes = self._row(image_id).get("boxes", {})
        return {name: (box[0], box[1], box[2], box[3]) for name, box in boxes.items()}

    def _row(self, image_id: ImageId) -> Mapping[str, Any]:
        row = self._records.get(image_id)
        if row is None:
            raise UnknownName(
                f"'{self.name}' has no picture '{image_id}'. Its {len(self._records)} ids are in "
                f"{self.root / 'records.jsonl'}."
            )
        return row

    def _file(self, image_id: ImageId) -> Path:
        return self.root / "images" / f"{image_id}.webp"

    def _rows(self, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
        path = self.root / name
        if not path.is_file():
            raise MissingCheckpoint(
                f"No drawn world in '{self.root}': {name} is absent. Draw one with "
                f'"python -m cirdemo draw fables --count 1000 --seed 0 --out {self.root}".'
            )
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except ValueError as fault:
                    raise self._fault(name, number, "is not JSON") from fault
                if not isinstance(row, dict):
                    raise self._fault(name, number, "is not a JSON object")
                yield number, row

    def _triplet(self, number: int, row: Mapping[str, Any]) -> tuple[str, Triplet]:
        for key in ("query_id", "split", "reference_id", "modification"):
            if not isinstance(row.get(key), str) or not row[key]:
                raise self._fault("queries.jsonl", number, f"'{key}' is absent or empty")
        lists = {key: tuple(row.get(key) or ()) for key in _ID_LISTS}
        if not lists["target_ids"]:
            raise self._fault("queries.jsonl", number, "'target_ids' is empty")
        for image_id in (row["reference_id"], *lists["target_ids"], *lists["subset_ids"]):
            if image_id not in self._records:
                raise self._fault("queries.jsonl", number, f"there is no picture '{image_id}'")
        return row["split"], Triplet(
            query_id=row["query_id"],
            reference_id=row["reference_id"],
            modification=row["modification"],
            target_ids=lists["target_ids"],
            subset_ids=lists["subset_ids"],
            kind=str(row.get("kind") or ""),
            union=str(row.get("union") or ""),
            enhanced=str(row.get("enhanced") or ""),
            intersection=str(row.get("intersection") or ""),
            conclusion=str(row.get("conclusion") or ""),
        )

    def _fault(self, name: str, number: int, what: str) -> CirError:
        return CirError(f"{self.root / name}, line {number}: {what}. Draw the world again.")


def _is_id(value: object) -> TypeGuard[ImageId]:
    """Whether a value is a plain file stem (no folders, nothing hidden)."""
    return isinstance(value, str) and value.replace("-", "").replace("_", "").isalnum()
