"""What the tests of the requirements share: a served public page over a stand-in engine."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from fake_ui_engine import FakeEngine

from cirdemo.ui.build import build_app, look
from tests.safety import figures

# Nothing from the environment; certificates are not needed, and reading them takes 20 ms a client.
ALONE: dict[str, Any] = {"trust_env": False, "verify": False, "timeout": 300}


def pytest_sessionfinish():
    figures.write()


@dataclass
class Served:
    """A page that is served, and ways to ask it."""

    url: str  # without a slash at its end
    app: Any
    engine: Any
    uploads: Path

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        """One request, with nothing from the environment in it."""
        with httpx.Client(**ALONE) as client:
            return client.request(method, self.url + path, **given)

    def fn(self, name: str) -> int:
        """The index of a handler by the end of its name."""
        found = [n for n, f in self.app.fns.items() if (f.name or "").split(".")[-1] == name]
        return found[0]

    def call(
        self, fn_index: int, data: list[Any], session: str = "", event: Any = None
    ) -> dict[str, Any]:
        """The last message of an event that joined the queue; `event` is what a click tells."""
        session = session or uuid.uuid4().hex
        body = {"data": data, "fn_index": fn_index, "session_hash": session, "event_data": event}
        joined = self.ask("POST", "/gradio_api/queue/join", json=body)
        if joined.status_code != 200:
            return {"status": joined.status_code, "output": joined.text}
        last: dict[str, Any] = {}
        path = f"{self.url}/gradio_api/queue/data?session_hash={session}"
        with httpx.stream("GET", path, **ALONE) as stream:
            for line in stream.iter_lines():
                told = json.loads(line[6:]) if line.startswith("data: ") else {}
                if told.get("msg") == "process_completed":
                    last = told
                if told.get("msg") in ("process_completed", "close_stream"):
                    break
        return last

    def files(self) -> int:
        """How many files lie in the folder of uploads."""
        return sum(p.is_file() for p in self.uploads.rglob("*"))


def serve(engine: Any, uploads: Path, **given: Any) -> Served:
    """Serve a page; the caller closes `app`."""
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    app = build_app(engine, **given)
    app.queue()
    _, url, _ = app.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **look())
    return Served(url.rstrip("/"), app, engine, uploads)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    before = os.environ.get("GRADIO_TEMP_DIR")
    engine = FakeEngine(tmp_path_factory.mktemp("pictures"))
    page = serve(engine, tmp_path_factory.mktemp("uploads"), public=True)
    yield page
    page.app.close()
    if before is None:
        os.environ.pop("GRADIO_TEMP_DIR", None)
    else:
        os.environ["GRADIO_TEMP_DIR"] = before


def until(holds: Callable[[], Any], seconds: float = 300) -> None:
    """Wait for something to come true; the limit is there so that a broken test ends."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


@contextmanager
def work_within(seconds: float) -> Iterator[None]:
    """This thread may compute for so long; what else the machine does does not count."""
    began = time.thread_time()
    yield
    assert time.thread_time() - began < seconds


def rss() -> float:
    """Memory of this process, which is also the server's: MiB."""
    return psutil.Process().memory_info().rss / 2**20
