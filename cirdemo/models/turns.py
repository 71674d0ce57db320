"""A lock that plain passes of a model share, and that a pass with hooks has for itself."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from types import TracebackType


class Turns:
    """`with turns:` alone; `with turns.shared():` beside others that share.

    Who wants to be alone goes before those who come to share later: a gallery's build, whose
    passes overlap without a pause, would else keep a heatmap waiting to its end.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sharing = 0
        self._waiting = 0  # to be alone
        self._alone = False

    def __enter__(self) -> None:
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: not self._alone and not self._sharing)
                self._alone = True
            finally:
                self._waiting -= 1
                self._changed.notify_all()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._alone = False
            self._changed.notify_all()

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Beside others that share."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone and not self._waiting)
            self._sharing += 1
        try:
            yield
        finally:
            with self._changed:
                self._sharing -= 1
                self._changed.notify_all()

    def locked(self) -> bool:
        """Whether anybody has it, alone or shared."""
        return self._alone or self._sharing > 0
