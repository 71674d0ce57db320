"""A user's gallery as the rest of the program sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cirdemo.gallery import captions, fast_index, milvus_index
from cirdemo.gallery.items import Item
from cirdemo.gallery.own import Home
from cirdemo.gallery.store import Gallery
from cirdemo.types import ImageId, SpaceMismatch


class OwnPictures:
    """The pictures of a user's gallery: the files where they lie, or the gallery's copies."""

    def __init__(self, home: Home, items: Mapping[ImageId, Item]) -> None:
        """The items of a build; captions are read once."""
        self.name = home.name
        self.gallery_ids: Sequence[ImageId] = tuple(items)
        self._home, self._items = home, items
        self._captions = captions.read(home)

    def image_path(self, image_id: ImageId) -> Path:
        """File of a picture, or of the gallery's copy."""
        item = self._items[image_id]
        return Path(item.at) if item.at is not None else self._home.picture(item.sha256)

    def digest(self, image_id: ImageId) -> str:
        """Of the picture's bytes; names its thumbnail."""
        return self._items[image_id].sha256

    def record(self, image_id: ImageId) -> dict[str, Any]:
        """Facts of the file, and the caption that a model wrote, if one did."""
        item = self._items[image_id]
        found: dict[str, Any] = {
            "id": image_id,
            "record": {"pixels": f"{item.width} x {item.height}", "bytes": item.size},
        }
        if item.sha256 in self._captions:
            found["caption"], found["caption_by"] = self._captions[item.sha256]
        return found


def open_own(home: Home, space: str) -> Gallery:
    """Open the build in force, every byte checked.

    Raises:
        SpaceMismatch: It was built by another encoder than that of `space`; both are named.
        MissingCheckpoint: There is no build.
        CirError: It is damaged.
    """
    build = home.read()
    if build.manifest["space"] != space:
        raise SpaceMismatch(
            f"Gallery '{home.name}' was built by encoder '{build.manifest['space']}'; the one in "
            f"use is '{space}'. Use the profile it was built with, or build it anew with "
            f'"python -m cirdemo index FOLDER --name {home.name} --replace".'
        )
    items = {item.image_id: item for item in build.items}
    return Gallery(
        name=home.name,
        ids=list(items),
        vectors=build.vectors,
        space=space,
        source=OwnPictures(home, items),
        preprocessing=str(build.manifest["preprocessing"]),
        thumbnails=home.thumbnails,
        index=milvus_index.opened(build) or fast_index.opened(build.folder, build.manifest),
        about={
            "index": build.manifest.get("index", {}),
            "built": build.manifest.get("built", ""),
            "source": dict(build.manifest.get("about", {})),
            "left_out": build.left_out,
            "near": build.near,
            "bytes": sum(item.size for item in build.items),
        },
    )
