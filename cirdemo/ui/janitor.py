"""Keeps visitors' files for an hour and no longer: uploads, downloads, and what they built.

Gradio forgets the files of an earlier run and of uploads that were cut off, so the whole folder is
swept by age; it is the app's own (`GRADIO_TEMP_DIR`), or nothing but expiry is done.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

log = logging.getLogger(__name__)

KEPT = 3600.0  # seconds since a file was written or used
IN_USE = 600.0  # seconds in which a file counts as in use whatever the quota says
EVERY = 300.0  # seconds between two sweeps
QUOTA = 4_000_000_000  # bytes of all files of passing visitors
FREE = 1_000_000_000  # bytes that must stay free on the disk


def uploads() -> Path:
    """The folder that Gradio keeps uploads and downloads in."""
    named = os.environ.get("GRADIO_TEMP_DIR")
    return Path(named) if named else Path(tempfile.gettempdir()) / "gradio"


def own_folder() -> Path | None:
    """That folder where it is named for this app alone, else None: others may use it too."""
    return uploads() if os.environ.get("GRADIO_TEMP_DIR") else None


def sweep(folder: Path, *, kept: float = KEPT, quota: int = QUOTA) -> int:
    """Delete what is older than `kept` seconds, then the oldest until the quota holds.

    Files used in the last ten minutes stay. Empty folders go too; links are not followed.

    Returns:
        Bytes that are left.
    """
    now = time.time()
    files: list[tuple[float, int, Path]] = []
    for base, _, names in os.walk(folder):
        for name in names:
            path = Path(base) / name
            with contextlib.suppress(OSError):
                told = path.lstat()
                used = max(told.st_mtime, told.st_atime, told.st_ctime)
                files.append((used, told.st_size, path))
    files.sort(key=lambda file: file[0])
    left = sum(size for _, size, _ in files)
    for used, size, path in files:
        age = now - used
        if age > kept or (left > quota and age > IN_USE):
            with contextlib.suppress(OSError):
                path.unlink()
                left -= size
    for base, _, _ in os.walk(folder, topdown=False):
        path = Path(base)
        with contextlib.suppress(OSError):  # not empty, or a file arrives just now
            if path != folder and now - path.stat().st_mtime > IN_USE:
                path.rmdir()
    return left


class Janitor:
    """A thread that sweeps while the app is served; a context manager."""

    def __init__(
        self, expire: Callable[[], None] | None = None, *, folder: Path | None = None
    ) -> None:
        """What to do besides, and the app's own folder; None where it shares one."""
        self.expire, self.folder = expire, folder
        self.left = 0  # bytes of visitors' files at the last sweep
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def clean(self) -> None:
        """One sweep; it never raises."""
        try:
            if self.expire is not None:
                self.expire()
            if self.folder is not None and self.folder.is_dir():
                self.left = sweep(self.folder)
        except Exception:
            log.exception("sweeping failed")

    def has_room(self, size: int) -> bool:
        """Whether the disk and the quota have room for an upload of that many bytes."""
        here = self.folder or uploads()
        while not here.exists():
            here = here.parent
        if shutil.disk_usage(here).free < FREE + size or self.left + size > QUOTA:
            return False
        self.left += size  # until the next sweep counts
        return True

    def __enter__(self) -> Self:
        """Begin to sweep, at once and every few minutes."""
        self._over.clear()
        self._thread = threading.Thread(target=self._run, name="janitor", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop after the sweep that is under way."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(5.0)

    def _run(self) -> None:
        while True:
            self.clean()
            if self._over.wait(EVERY):
                return
