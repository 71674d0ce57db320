"""A file that only grows: finished work, a checksummed line a batch, each on disk before the next.

A crash can leave half a line at the end and nothing else; it is cut off when the file is opened
again. So work that was reported is there, and work that is there was whole.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class Journal:
    """Rows of finished work under a header that says what they are valid for."""

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        """Open or begin a journal; rows under another header are dropped.

        Args:
            path: Its folder is there.
            header: Whatever the rows depend on, such as the encoder.
        """
        self.path = path
        self.rows: list[Row] = []
        whole = 0  # bytes that hold whole lines
        lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
        for number, line in enumerate(lines):
            rows = _parse(line)
            if rows is None or (number == 0 and rows != [dict(header)]):
                break
            whole += len(line)
            self.rows += rows if number else []
        self._stream = path.open("r+b" if path.is_file() else "x+b")
        self._stream.truncate(whole)
        self._stream.seek(whole)
        if not whole:
            self._write([dict(header)])

    def add(self, rows: Iterable[Row]) -> None:
        """Append a batch; returns when it is on disk.

        Raises:
            OSError: It could not be written, for example on a full disk.
        """
        batch = list(rows)
        self._write(batch)
        self.rows += batch

    def close(self) -> None:
        """Let go of the file."""
        self._stream.close()

    def _write(self, rows: list[Row]) -> None:
        body = json.dumps(rows, separators=(",", ":")).encode()
        self._stream.write(b"%08x %s\n" % (zlib.crc32(body), body))
        self._stream.flush()
        os.fsync(self._stream.fileno())


def _parse(line: bytes) -> list[Row] | None:
    """The rows of a line, or None when it is not whole."""
    try:
        if line[-1:] != b"\n" or int(line[:8], 16) != zlib.crc32(line[9:-1]):
            return None
        rows: list[Row] = json.loads(line[9:-1])
    except ValueError:
        return None
    return rows
