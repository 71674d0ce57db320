"""Decodes pictures in processes of their own, so that a decoder may crash or hang alone.

A picture's bytes go in, its pixels or a sentence come back. A process that dies, or takes too
long, costs that one picture: it is ended, and the next picture gets another.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import queue
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from PIL import Image

from cirdemo.intake import load_image
from cirdemo.types import BadInput, CirError

SECONDS = 60.0  # of one picture; the largest that is allowed takes a few
TICK = 0.2  # seconds between two looks at whether one takes too long
PIPE = 1 << 20  # bytes: a small picture passes at once, where 64 KiB take turns with the reader
COMMAND = (sys.executable, "-P", "-m", "cirdemo.gallery.decoding")  # -P: nothing is imported from
# the folder that it is started in
LENGTH = struct.Struct("<Q")  # of the picture's bytes, before them
READY = b"+"  # said once: how long a process takes to start is no picture's fault
HEAD = struct.Struct("<II")  # width and height, before pixels; 0 and a length, before a sentence


def decode(data: bytes) -> Image.Image:
    """`load_image` of a file's bytes, in another process; safe under threads.

    Raises:
        BadInput: As `load_image`; or its decoder crashed, or took longer than `SECONDS`.
        CirError: No process can be started.
    """
    try:
        while (decoder := _idle.get_nowait()).dead():
            decoder.end()
    except queue.Empty:
        decoder = _Decoder()
    try:
        return decoder.decode(data)
    finally:
        if not decoder.ended:
            _idle.put(decoder)


class _Decoder:
    """One process, and the pipes to it."""

    def __init__(self) -> None:
        home = str(Path(__file__).resolve().parents[2])
        paths = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
        pipe = subprocess.PIPE
        env = {**os.environ, "PYTHONPATH": paths}
        self._process = subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, env=env)
        _widen(self._process.stdout)
        self.ended = False
        atexit.register(self.end)
        if self._process.stdout is None or self._process.stdout.read(1) != READY:
            self.end()
            raise CirError("The process that decodes pictures did not start; the log says why.")

    def decode(self, data: bytes) -> Image.Image:
        """The picture; after a crash the process is ended."""
        began = time.monotonic()
        _watch.until(began + SECONDS, self._process)
        into, out = self._process.stdin, self._process.stdout
        try:
            if into is None or out is None:
                raise EOFError
            into.write(LENGTH.pack(len(data)) + data)
            into.flush()
            width, height = HEAD.unpack(_read(out, HEAD.size))
            found = _read(out, 3 * width * height if width else height)
        except (OSError, EOFError) as fault:
            self.end()
            raise BadInput(
                f"Decoding it took more than {SECONDS:g} seconds. Save it anew, or scale it down."
                if time.monotonic() - began >= SECONDS
                else "Its decoder crashed. Save it anew, as a JPEG."
            ) from fault
        finally:
            _watch.over(self._process)
            if time.monotonic() - began >= SECONDS:  # it may have been killed just after the answer
                self.end()
        if not width:
            raise BadInput(found.decode())
        return Image.frombytes("RGB", (width, height), found)

    def dead(self) -> bool:
        """Whether somebody else has ended it."""
        return self._process.poll() is not None

    def end(self) -> None:
        """Kill it, whatever it is doing."""
        if self.ended:
            return
        self.ended = True
        atexit.unregister(self.end)
        self._process.kill()
        self._process.communicate()  # closes the pipes, and waits


class _Watch:
    """Kills processes that take too long; one thread for all, and only while any is at work."""

    def __init__(self) -> None:
        self._ends: dict[subprocess.Popen[bytes], float] = {}
        self._lock = threading.Lock()
        self._watching = False

    def until(self, end: float, process: subprocess.Popen[bytes]) -> None:
        """A process may work until then."""
        with self._lock:
            self._ends[process] = end
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._look, daemon=True).start()

    def over(self, process: subprocess.Popen[bytes]) -> None:
        """A process has answered."""
        with self._lock:
            self._ends.pop(process, None)

    def _look(self) -> None:
        while True:
            time.sleep(TICK)
            with self._lock:
                for process, end in self._ends.items():
                    if time.monotonic() >= end:
                        process.kill()
                if not self._ends:
                    self._watching = False
                    return


_watch = _Watch()
_idle: queue.SimpleQueue[_Decoder] = queue.SimpleQueue()  # kept, as starting one takes 0.3 s


def _widen(pipe: IO[bytes] | None) -> None:
    """Give a pipe more room, where the system can and allows it."""
    resize = getattr(fcntl, "F_SETPIPE_SZ", None)  # of Linux
    if pipe is not None and resize is not None:
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, resize, PIPE)


def _read(stream: IO[bytes], count: int) -> bytes:
    found = stream.read(count)
    if len(found) < count:
        raise EOFError
    return found


def _say(stream: IO[bytes], *parts: bytes) -> None:
    try:
        stream.writelines(parts)
        stream.flush()
    except BrokenPipeError:  # the parent was killed
        os._exit(1)


def main() -> None:
    """Decode what comes in, until nothing more does: the parent has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    into, out = sys.stdin.buffer, sys.stdout.buffer
    _say(out, READY)
    while head := into.read(LENGTH.size):
        if hasattr(signal, "alarm"):  # whose parent was killed ends by itself
            signal.alarm(2 * int(SECONDS))
        try:
            picture = load_image(_read(into, *LENGTH.unpack(head)))
            answer = HEAD.pack(*picture.size), picture.tobytes()
        except BadInput as fault:
            said = str(fault).encode()
            answer = HEAD.pack(0, len(said)), said
        _say(out, *answer)


if __name__ == "__main__":
    main()
