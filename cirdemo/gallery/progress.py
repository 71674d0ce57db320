"""What a build says of itself while it runs and when it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cirdemo.archives import LeftOut
from cirdemo.types import ImageId


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a build is."""

    phase: str  # fetching | looking | encoding | writing | done
    done: int = 0  # files looked at
    of: int = 0
    new: int = 0  # encoded by this build, before an interruption too
    unchanged: int = 0  # taken from an earlier build
    left_out: int = 0
    rate: float = 0.0  # files a second, lately
    seconds_left: float | None = None  # None where it cannot be told yet
    seconds: float = 0.0
    report: Report | None = None  # when done


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a build came to."""

    gallery: str
    pictures: int
    new: int
    unchanged: int
    removed: int
    left_out: tuple[LeftOut, ...]
    near: tuple[tuple[ImageId, ImageId, float], ...]  # nearly equal pictures and their difference
    space: str
    seconds: float
    index: Mapping[str, Any] = field(
        default_factory=dict
    )  # how it is searched, and the recall that was measured

    def as_json(self) -> dict[str, Any]:
        """For the command line and for download."""
        body = {name: getattr(self, name) for name in self.__slots__ if name != "near"}
        body["left_out"] = [asdict(one) for one in self.left_out]
        body["near_duplicates"] = [
            {"pictures": [a, b], "difference": d, "identical": d == 0} for a, b, d in self.near
        ]
        return body


def told_time(seconds: float) -> str:
    """A time as people say it: '40 s', '3 min', '2 h 10 min'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
