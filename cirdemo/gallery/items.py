"""What a build says of its pictures, read as text from outside: each value of its kind or refused.

A build copied in from elsewhere can have right checksums and wrong contents.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cirdemo.types import ImageId

DIGEST = re.compile(r"[0-9a-f]{64}")  # it names the picture's small copy


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A picture of a user's gallery."""

    image_id: ImageId
    sha256: str  # of the file's bytes
    width: int
    height: int
    size: int  # bytes of the file
    at: str | None  # where the file lies; None where the gallery keeps a copy


def read_items(rows: Any, ids: Sequence[Any]) -> tuple[Item, ...]:
    """The rows of items.json.

    Raises:
        ValueError: A row is not of its kind, or they are not those of the ids.
        TypeError: A row has other fields.
    """
    items = tuple(Item(**row) for row in rows)
    for item in items:
        numbers, at = (item.width, item.height, item.size), item.at
        if not isinstance(item.image_id, str) or not DIGEST.fullmatch(item.sha256):
            raise ValueError(f"items.json names a picture {item.image_id!r} {item.sha256!r}")
        if not all(type(n) is int and n >= 0 for n in numbers) or not isinstance(at, str | None):
            raise ValueError(f"items.json says what cannot be of '{item.image_id}'")
    if [item.image_id for item in items] != list(ids) or len(set(ids)) != len(ids):
        raise ValueError("items.json and ids.json differ")
    return items


def read_left_out(rows: Any) -> tuple[Mapping[str, str], ...]:
    """The rows of left_out.json.

    Raises:
        ValueError: A row is not path, kind and reason.
    """
    for row in rows:
        if set(row) != {"path", "kind", "reason"} or not all(
            isinstance(v, str) for v in row.values()
        ):
            raise ValueError("left_out.json is of an unknown kind")
    return tuple(rows)


def read_near(rows: Any, ids: Sequence[Any]) -> tuple[tuple[ImageId, ImageId, float], ...]:
    """The rows of near.json.

    Raises:
        ValueError: A row is not two pictures and a number.
    """
    known, found = set(ids), []
    for a, b, distance in rows:
        if not {a, b} <= known or type(distance) not in (int, float):
            raise ValueError("near.json is of an unknown kind")
        found.append((a, b, distance))
    return tuple(found)
