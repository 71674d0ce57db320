"""Starts the app: `python app.py [--host H] [--port P] [--profile NAME]`; also a Space's entry."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys

from cirdemo.builder import build_engine
from cirdemo.config import Settings
from cirdemo.types import CirError
from cirdemo.ui.build import build_app, look
from cirdemo.ui.gpu import lend


def main(argv: list[str] | None = None) -> None:
    """Build the engine and the page, then serve them."""
    on_space = "SPACE_ID" in os.environ
    parser = argparse.ArgumentParser(prog="app.py", description=__doc__)
    parser.add_argument("--host", default="0.0.0.0" if on_space else "127.0.0.1")
    parser.add_argument("--port", type=int, default=None, help="default: first free from 7860")
    parser.add_argument("--profile", default=None, help="default: CIRDEMO_PROFILE or embedded")
    options = parser.parse_args(argv)
    settings = Settings.from_env(**({"profile": options.profile} if options.profile else {}))
    # a folder of its own, so that what visitors leave can be swept
    os.environ.setdefault("GRADIO_TEMP_DIR", str(settings.cache / "uploads"))
    engine = lend(build_engine(settings))
    app = build_app(engine, public=settings.public, hosts=settings.hosts)
    app.queue(default_concurrency_limit=4)
    _, address, _ = app.launch(
        server_name=options.host,
        server_port=options.port,
        **look(),
        footer_links=["api"],
        _frontend=False,  # else Gradio asks for the page, and on a busy machine gives up after 3 s
        mcp_server=importlib.util.find_spec("mcp") is not None,
        quiet=True,
        prevent_thread_lock=True,
    )
    sys.stdout.write(f"cirdemo runs on {address} (Ctrl+C ends it)\n")
    sys.stdout.flush()
    app.block_thread()
    # A search may still compute. Python would stop its thread inside the model, which aborts the
    # process; nothing is left to be written, so it goes at once.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    try:
        main()
    except CirError as error:  # its text says the way out; a traceback would only hide it
        sys.exit(str(error))
