"""All galleries of an engine: the shipped ones, and those that the user has built, as they are now.

A gallery that is built or changed while the app runs, by the app or by the command line, is there
at the next look.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from cirdemo.gallery.own import NAME, Home, Own
from cirdemo.parts import Part
from cirdemo.types import CirError

if TYPE_CHECKING:
    from cirdemo.gallery.store import Gallery

Stamp = tuple[int, int, int]


class Shelves(Mapping[str, "Part[Gallery]"]):
    """Galleries by name; a shipped one's name cannot be taken by another."""

    def __init__(
        self, shipped: Mapping[str, Part[Gallery]], own: Own, open_own: Callable[[Home], Gallery]
    ) -> None:
        """The shipped galleries, the folder of the user's, and how one of those is opened."""
        self._shipped, self._own, self._open = shipped, own, open_own
        self._parts: dict[str, tuple[Stamp, Part[Gallery]]] = {}

    def __iter__(self) -> Iterator[str]:
        yield from self._shipped
        yield from (name for name in self._own.names() if name not in self._shipped)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in self._shipped or (isinstance(name, str) and self._stamp(name) is not None)

    def __getitem__(self, name: str) -> Part[Gallery]:
        if name in self._shipped:
            return self._shipped[name]
        stamp = self._stamp(name)
        if stamp is None:
            raise KeyError(name)
        kept = self._parts.get(name)
        if kept is None or kept[0] != stamp:
            for gone in [n for n in self._parts if self._stamp(n) is None]:
                del self._parts[gone]  # deleted, or expired
            part = Part(functools.partial(self._open, self._own.home(name)))
            kept = self._parts[name] = (stamp, part)
        return kept[1]

    def _stamp(self, name: str) -> Stamp | None:
        """Changes with every build and caption of a user's gallery; None where there is none."""
        if not NAME.fullmatch(name):
            return None
        try:
            folder = self._own.home(name).folder
            note = (folder / "CURRENT").stat()
            captions = folder / "captions"
            size = captions.stat().st_size if captions.is_file() else 0
            return note.st_mtime_ns, note.st_ino, size
        except (OSError, CirError):
            return None
