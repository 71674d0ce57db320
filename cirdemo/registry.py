"""Names of parts: "module:attribute" strings that are imported on first use.

A registry holds strings, so importing it costs nothing; an unknown name answers with the nearest
known one.
"""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cirdemo.types import UnknownName

_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
MANY = 12  # a longer list of known names is cut, so that the sentence stays readable


def unknown(kind: str, name: str, known: Iterable[str]) -> UnknownName:
    """The error for a name that is not among the known ones, with the nearest of them."""
    names = sorted(known)
    near = difflib.get_close_matches(name.lower(), [n.lower() for n in names], n=1, cutoff=0.5)
    guess = next((n for n in names if near and n.lower() == near[0]), None)
    text = f"Unknown {kind} {name!r}."
    if guess is not None:
        text += f" Did you mean {guess!r}?"
    shown = ", ".join(names[:MANY]) or "none"
    if len(names) > MANY:
        shown += f" and {len(names) - MANY} more"
    return UnknownName(f"{text} Known: {shown}.")


class Registry:
    """A table of names and the places that their objects live at."""

    def __init__(self, kind: str, entries: Mapping[str, str] | None = None) -> None:
        """An empty table of a kind ("method"), or one with entries."""
        self.kind = kind
        self._entries: dict[str, str] = {}
        for name, target in (entries or {}).items():
            self.register(name, target)

    def __iter__(self) -> Iterator[str]:
        """The names, in the order they were registered."""
        return iter(self._entries)

    def __len__(self) -> int:
        """How many names there are."""
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        """Whether a name is registered."""
        return name in self._entries

    def register(self, name: str, target: str) -> None:
        """Add a name.

        Raises:
            ValueError: The name is taken, or the target is not "module:attribute".
        """
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is already registered: {self._entries[name]}")
        if not _TARGET.fullmatch(target):
            raise ValueError(f"{self.kind} {name!r}: {target!r} is not 'module:attribute'")
        self._entries[name] = target

    def target(self, name: str) -> str:
        """The "module:attribute" of a name.

        Raises:
            UnknownName: The name is not registered.
        """
        if name not in self._entries:
            raise unknown(self.kind, name, self._entries)
        return self._entries[name]

    def load(self, name: str) -> Any:
        """The object behind a name, imported now.

        Raises:
            UnknownName: The name is not registered.
        """
        return load(self.target(name))


def load(target: str) -> Any:
    """The object at "module:attribute"."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)
