"""What an engine is made of: parts that are loaded on first use, each under its name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from PIL import Image

from cirdemo.registry import unknown
from cirdemo.types import Composer, Dataset, Encoder, Fusion, Heatmap, ImageId, Reranker

if TYPE_CHECKING:
    from cirdemo.gallery.own import Own
    from cirdemo.gallery.store import Gallery

T = TypeVar("T")


class Part(Generic[T]):
    """A part that is loaded on first use, once, whichever thread asks."""

    def __init__(
        self, load: Callable[[], T], why_not: Callable[[], str | None] = lambda: None
    ) -> None:
        """How to load it, and a cheap check that says why it cannot be loaded."""
        self._load = load
        self._why_not = why_not
        self._lock = threading.RLock()
        self._value: T | None = None

    def get(self) -> T:
        """The part.

        Raises:
            CirError: It cannot be loaded; the text says what is missing.
        """
        with self._lock:
            if self._value is None:
                self._value = self._load()
            return self._value

    def why_not(self) -> str | None:
        """Why it cannot run, or None; loads nothing."""
        return None if self._value is not None else self._why_not()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """Everything an engine is made of."""

    encoder: Part[Encoder]
    composers: Mapping[str, Part[Composer]]  # by method; a composer with a `mode` writes texts
    galleries: Mapping[str, Part[Gallery]]
    judge: Part[Reranker]
    fusions: Mapping[str, Callable[..., Fusion]] = field(default_factory=dict)  # of its members
    datasets: Mapping[str, Part[Dataset]] = field(default_factory=dict)
    captioner: Part[Callable[[Sequence[Image.Image]], list[str]]] | None = None
    heatmaps: Callable[[Encoder, Image.Image, Sequence[str], ImageId], list[Heatmap]] | None = None
    unknown_words: Callable[[str], tuple[str, ...]] = lambda text: ()
    is_familiar: Callable[[Image.Image], bool] = lambda image: True  # like what it was trained on
    make_encoder: Callable[[], Encoder] | None = None  # anew, in another process; can be pickled
    own: Own | None = None  # where galleries that the user builds are kept
    manifests: Path | None = None  # folder of the photographs that may be fetched
    about: Mapping[str, str] = field(default_factory=dict)  # profile, device: for doctor and pages


def named(kind: str, name: str, table: Mapping[str, Part[T]]) -> Part[T]:
    """The part of a name.

    Raises:
        UnknownName: The table has no such name.
    """
    if name not in table:
        raise unknown(kind, name, table)
    return table[name]
