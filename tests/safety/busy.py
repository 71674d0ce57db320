"""What the load tests put load on: events over a stand-in for a judge, and a server of its own.

As a program it serves the whole page with these events until its input ends, so that what its
visitors compute is not counted as its slowness. A line on its input asks what its model has seen.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import gradio as gr

from cirdemo.ui.wiring import MODEL

STEP = 0.15  # seconds of the stand-in for a judge
HERE = Path(__file__).resolve().parent
PATHS = (HERE.parents[1], HERE.parent)  # of cirdemo, and of what its tests share


class Model:
    """Counts its steps and who is inside."""

    def __init__(self):
        self.steps = self.inside = self.most = self.left = 0
        self.order = []  # texts as they came in
        self.lock = threading.Lock()
        self.open = threading.Event()  # closed, nobody gets through
        self.open.set()

    def one(self, text):
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.order.append(text)
        try:
            self.open.wait(600)
            time.sleep(STEP)
            with self.lock:
                self.steps += 1
            return text.upper()
        finally:
            with self.lock:
                self.inside -= 1

    def many(self, text):
        try:
            for _ in range(20_000):  # it would take most of an hour
                yield self.one(text)
        finally:
            self.left += 1

    def told(self):
        return {name: getattr(self, name) for name in ("steps", "inside", "most", "left", "order")}


def light(text):
    return text


def events(model):
    """The model's events, and one that waits for nothing, on the page that is being made."""
    text, out = gr.Textbox(visible=False), gr.Textbox(visible=False)
    gr.Button(visible=False).click(model.one, text, out, api_name="one", **MODEL)
    gr.Button(visible=False).click(model.many, text, out, api_name="many", **MODEL)
    gr.Button(visible=False).click(light, text, out, api_name="light", concurrency_limit=8)


class Apart:
    """A server that runs in another process."""

    def __init__(self, process):
        self.process = process
        found = self._next()
        self.pid, self.url, self.fns = process.pid, found["url"], found["fns"]

    def told(self):
        """What its model has seen so far."""
        self.process.stdin.write("told\n")
        self.process.stdin.flush()
        return self._next()

    def _next(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise AssertionError("the server has ended")


@contextmanager
def apart(uploads):
    """A server of its own; it ends with the block, or with this process."""
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, PATHS)),
        "GRADIO_TEMP_DIR": str(uploads),
        "GRADIO_ANALYTICS_ENABLED": "False",
    }
    process = subprocess.Popen([sys.executable, __file__], stdin=-1, stdout=-1, text=True, env=env)
    try:
        yield Apart(process)
    finally:
        process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def main():
    from fake_ui_engine import FakeEngine

    from cirdemo.ui.build import build_app, look

    with tempfile.TemporaryDirectory() as folder:
        model, page = Model(), build_app(FakeEngine(Path(folder)), public=True)
        with page:
            events(model)
        page.queue()
        _, url, _ = page.launch(
            server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **look()
        )
        fns = {f.api_name: n for n, f in page.fns.items() if f.api_name in ("one", "many", "light")}
        print(json.dumps({"url": url.rstrip("/"), "fns": fns}), flush=True)
        for _ in sys.stdin:
            print(json.dumps(model.told()), flush=True)
    os._exit(0)  # whatever still computes


if __name__ == "__main__":
    main()
