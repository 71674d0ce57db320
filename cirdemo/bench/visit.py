"""A visitor of a Gradio app over plain HTTP, as a browser talks to it, without a browser's time."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from cirdemo.types import CirError

PATIENCE = 600.0  # seconds for one answer, on a busy machine


@dataclass(slots=True)
class Heard:
    """One message of an event's stream."""

    seconds: float  # since the event was asked for
    kind: str
    size: int  # bytes of its JSON
    data: Sequence[Any]  # what it says of each output


@dataclass(slots=True)
class App:
    """A served Gradio app: where it is, and its events by name."""

    url: str
    config: Mapping[str, Any]

    @classmethod
    def at(cls, url: str) -> App:
        """The app behind an address that answers."""
        return cls(url, httpx.get(f"{url}/config", timeout=PATIENCE).json())

    def event(self, name: str, component: str | None = None, on: str | None = None) -> int:
        """Number of the event of a handler's name, started by a component's element id.

        Raises:
            CirError: There is none.
        """
        wanted = {
            c["id"] for c in self.config["components"] if c["props"].get("elem_id") == component
        }
        for one in self.config["dependencies"]:
            base = str(one["api_name"]).rstrip("0123456789").rstrip("_")
            starts = {(t[0], t[1]) for t in one["targets"]}
            if base == name and (component is None or starts & {(w, on) for w in wanted}):
                return int(one["id"])
        raise CirError(f"The app at {self.url} has no event {name!r} of {component!r}.")

    def after(self, number: int, name: str) -> int:
        """Number of an event of a handler's name that follows another event."""
        for one in self.config["dependencies"]:
            base = str(one["api_name"]).rstrip("0123456789").rstrip("_")
            if base == name and one.get("trigger_after") == number:
                return int(one["id"])
        raise CirError(f"The app at {self.url} has no event {name!r} after event {number}.")


@dataclass(slots=True)
class Visitor:
    """One session."""

    app: App
    session: str = field(default_factory=lambda: secrets.token_hex(6))
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=PATIENCE))

    def ask(self, number: int, data: Sequence[Any]) -> list[Heard]:
        """Start an event and hear it to its end.

        Raises:
            CirError: It ended in an error.
        """
        start, heard = time.perf_counter(), []
        body = {"data": list(data), "fn_index": number, "session_hash": self.session}
        self.client.post(f"{self.app.url}/gradio_api/queue/join", json=body).raise_for_status()
        for line in self._stream():
            message = json.loads(line)
            output = message.get("output") or {}
            now = time.perf_counter() - start
            heard.append(Heard(now, message["msg"], len(line), output.get("data") or ()))
            if message["msg"] == "process_completed":
                if not message.get("success", True):
                    raise CirError(f"An event ended in an error: {output.get('error')}")
                return heard
        raise CirError("The stream ended before the event did.")

    def _stream(self) -> Iterator[str]:
        query = {"session_hash": self.session}
        url = f"{self.app.url}/gradio_api/queue/data"
        with self.client.stream("GET", url, params=query) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    yield line[5:].strip()


@contextlib.contextmanager
def served(words: Sequence[str], port: int, folder: Path) -> Iterator[tuple[int, float]]:
    """Run a program that serves a Gradio app: its process id, and seconds until it answered.

    Raises:
        CirError: It ended before it answered.
    """
    log = folder / f"server-{port}.log"
    env = os.environ | {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": str(folder)}
    start = time.perf_counter()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, *words], stdout=stream, stderr=stream, env=env, start_new_session=True
        )
        try:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if httpx.get(f"http://127.0.0.1:{port}/config", timeout=PATIENCE).is_success:
                        break
                if process.poll() is not None or time.perf_counter() - start > PATIENCE:
                    told = log.read_text(encoding="utf-8", errors="replace").strip()
                    raise CirError(f"{' '.join(words)} does not serve: {told[-500:]}")
                time.sleep(0.02)
            yield process.pid, time.perf_counter() - start
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def resident(pid: int) -> dict[str, int]:
    """Bytes of memory that a process holds and has held at most; empty where /proc is not."""
    found = {}
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            name, _, rest = line.partition(":")
            if name in ("VmRSS", "VmHWM"):
                found[{"VmRSS": "now", "VmHWM": "most"}[name]] = int(rest.split()[0]) * 1024
    return found
