"""One split of a benchmark on disk: its pictures, its queries, and what is missing."""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from cirdemo.registry import unknown
from cirdemo.types import BadInput, ImageId, MissingCheckpoint, Triplet

Missing = Literal["stop", "skip", "keep"]
SHOWN = 5  # names given in a sentence; `missing` has all


class MissingPictures(BadInput):
    """Pictures that a benchmark names are not to be had; `ids` lists all of them."""

    def __init__(self, text: str, ids: Sequence[ImageId]) -> None:
        """The sentence for the user and the list."""
        super().__init__(text)
        self.ids = tuple(ids)


class Benchmark:
    """One split of a published benchmark: its gallery and its queries."""

    def __init__(
        self,
        name: str,
        split: str,
        files: Mapping[ImageId, Path | None],
        triplets: Sequence[Triplet],
        *,
        missing: Missing = "stop",
        looked: Sequence[Path] = (),
    ) -> None:
        """A benchmark from what was read; use `read_cirr`, `read_circo`, `read_fashioniq`.

        Args:
            name: Such as "fashioniq-dress".
            split: Such as "val".
            files: The file of every picture in the gallery, None where it is absent.
            triplets: The queries, with all pictures that their files name.
            missing: What to do about absent pictures: "stop" raises; "skip" leaves them out, with
                the queries that lose their reference or their last target; "keep" keeps the
                gallery and the queries whole, for work that looks at no picture.
            looked: Folders that were searched, for the sentence.

        Raises:
            MissingPictures: Pictures are absent, under "stop".
            BadInput: A query id appears twice, or no picture is left.
        """
        self.name, self.split = name, split
        self.pictures = len(files)  # that the gallery should have
        self.missing: tuple[ImageId, ...] = tuple(i for i, path in files.items() if path is None)
        self._files = {i: path for i, path in files.items() if path is not None}
        self._looked = looked
        named = {i for t in triplets for i in (t.reference_id, *t.target_ids, *t.subset_ids)}
        self.unlisted: tuple[ImageId, ...] = tuple(sorted(named - set(files)))
        if self.absent and missing == "stop":
            raise MissingPictures(
                f"{self._count()} Put them there, name their folder with --images, or go on "
                "without them with --missing skip.",
                self.absent,
            )
        if not self._files and missing != "keep":
            raise MissingPictures(f"{self._count()} Nothing is left to work with.", self.absent)
        gone = set(self.absent) if missing == "skip" else set()
        self.gallery_ids: Sequence[ImageId] = tuple(i for i in files if i not in gone)
        kept = [(t, _without(t, gone)) for t in triplets]
        self.lost_queries: tuple[str, ...] = tuple(t.query_id for t, k in kept if k is None)
        self._triplets = tuple(k for _, k in kept if k is not None)
        if len({t.query_id for t in triplets}) < len(triplets):
            raise BadInput(f"A query of {name}, split {split}, appears twice. Get the file anew.")

    @property
    def absent(self) -> tuple[ImageId, ...]:
        """Pictures that cannot be worked with: not on disk, or not in the gallery's list."""
        return (*self.missing, *self.unlisted)

    def triplets(self, split: str) -> Sequence[Triplet]:
        """The queries, in the order of the file.

        Raises:
            UnknownName: It is not the split that was read; another one has another gallery.
        """
        if split != self.split:
            raise unknown("split", split, [self.split])
        return self._triplets

    def worded(self, text: Callable[[Triplet], str]) -> Benchmark:
        """The same benchmark with other modification texts."""
        made = copy.copy(self)
        made._triplets = tuple(replace(t, modification=text(t)) for t in self._triplets)
        return made

    def image_path(self, image_id: ImageId) -> Path:
        """File of a picture.

        Raises:
            UnknownName: The gallery has no such picture.
            MissingPictures: Its file is not on disk.
        """
        if image_id in self._files:
            return self._files[image_id]
        if image_id in self.gallery_ids:
            raise MissingPictures(
                f"The picture {image_id!r} of {self.name} is not on disk.{self._where()} Put it "
                "there or name its folder with --images.",
                [image_id],
            )
        raise unknown("picture", image_id, self.gallery_ids)

    def files(self) -> dict[ImageId, Path | None]:
        """The file of every picture in the gallery, None where it is absent."""
        return dict.fromkeys(self.missing) | self._files

    def duplicates(self) -> tuple[tuple[str, ...], ...]:
        """Query ids that share reference and modification text: these two are no key."""
        groups = defaultdict(list)
        for t in self._triplets:
            groups[t.reference_id, t.modification].append(t.query_id)
        return tuple(tuple(ids) for ids in groups.values() if len(ids) > 1)

    def summary(self) -> str:
        """What was read and what is missing, in a sentence or two."""
        text = f"{self.name}, split {self.split}: {len(self._triplets)} queries, "
        text += f"{len(self.gallery_ids)} pictures."
        if self.absent:
            text += f" {self._count()}"
        if self.lost_queries:
            text += f" {len(self.lost_queries)} queries are left out with them."
        return text

    def _count(self) -> str:
        text = ""
        if self.missing:
            text += (
                f"{len(self.missing)} of the {self.pictures} pictures of {self.name}, split "
                f"{self.split}, are not on disk: {_some(self.missing)}.{self._where()}"
            )
        if self.unlisted:
            text += (
                f" {len(self.unlisted)} pictures that its queries name are not in its gallery's "
                f"list: {_some(self.unlisted)}."
            )
        return text.strip()

    def _where(self) -> str:
        return f" Looked in {', '.join(map(str, self._looked))}." if self._looked else ""


def _some(ids: Sequence[ImageId]) -> str:
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return ", ".join(ids[:SHOWN]) + more


def _without(triplet: Triplet, gone: set[ImageId]) -> Triplet | None:
    """A query without absent pictures; None where nothing is left to ask or to find."""
    left = tuple(i for i in triplet.target_ids if i not in gone)
    if triplet.reference_id in gone or (triplet.target_ids and not left):
        return None
    return replace(
        triplet,
        target_ids=left,
        subset_ids=tuple(i for i in triplet.subset_ids if i not in gone),
        soft_targets=tuple((i, v) for i, v in triplet.soft_targets if i not in gone),
    )


# --- files --------------------------------------------------------------------------------


class Finder:
    """Files under several folders; each folder that is looked at is listed once."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self.folders = [p for p in dict.fromkeys(folders) if p.is_dir()]
        self._names: dict[Path, set[str]] = {}

    def first(self, names: Sequence[str]) -> Path | None:
        """The first of the names in the first of the folders that has one."""
        paths = (folder / name for folder in self.folders for name in names)
        return next((p for p in paths if p.name in self._list(p.parent)), None)

    def numbered(self) -> Iterator[str]:
        """Names of COCO's kind, 000000271520.jpg, in all folders."""
        for folder in self.folders:
            yield from (n for n in self._list(folder) if n.endswith(".jpg") and n[:-4].isdigit())

    def _list(self, folder: Path) -> set[str]:
        if folder not in self._names:
            there = folder.iterdir() if folder.is_dir() else ()
            self._names[folder] = {path.name for path in there}
        return self._names[folder]


def annotations_home(root: Path, source: str, needed: str, below: Sequence[str]) -> Path:
    """The folder that holds the annotations: the root or a folder of the usual name in it."""
    for home in (root, *(root / name for name in below)):
        if (home / needed).is_file():
            return home
    there = sorted({p.name for home in (root, *(root / n for n in below))
                    for p in (home / needed).parent.glob("*.json")})  # fmt: skip
    has = f"; there are {', '.join(there)}" if there else ""
    raise MissingCheckpoint(f"No {needed} in '{root}'{has}. It is part of {source}.")


def picture_folders(images: str | Path | None, usual: Sequence[Path]) -> Sequence[Path]:
    """Where pictures may be: the given folder alone, or the usual ones.

    Raises:
        BadInput: The given folder does not exist.
    """
    if images and not Path(images).is_dir():
        raise BadInput(f"There is no folder '{images}' with pictures. Check --images.")
    return [Path(images)] if images else usual


def read_json(path: Path) -> Any:
    """What a JSON file holds."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingCheckpoint(f"No file '{path}': it belongs to the annotations.") from error
    except ValueError as error:
        raise BadInput(f"'{path}' is not JSON ({error}). Get it anew.") from error


def read_object(path: Path) -> dict[str, Any]:
    """The one object that a JSON file holds."""
    found = read_json(path)
    if not isinstance(found, dict):
        raise BadInput(f"'{path}' must hold one JSON object. Get it anew.")
    return found


def read_rows(path: Path, **kinds: type | tuple[type, ...]) -> list[dict[str, Any]]:
    """The entries of a list, each with the keys it needs, of these types."""
    found = read_json(path)
    if not isinstance(found, list):
        raise BadInput(f"'{path}' must hold a JSON list. Get it anew.")
    for number, row in enumerate(found):
        for key, kind in kinds.items():
            if not isinstance(row, dict) or not isinstance(row.get(key), kind):
                raise BadInput(
                    f"'{path}', entry {number}: {key!r} is absent or broken. Get it anew."
                )
    return found
