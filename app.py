"""Starts the app: `python app.py [--host H] [--port P] [--profile NAME]`; also a Space's entry."""

from __future__ import annotations

import argparse
import importlib.util
import os

from cirdemo.config import Settings, build_engine
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
    app = build_app(lend(build_engine(settings)), public=settings.public)
    app.queue(default_concurrency_limit=4, max_size=32)
    app.launch(
        server_name=options.host,
        server_port=options.port,
        **look(),
        max_file_size="20mb",
        ssr_mode=False,
        footer_links=["api"],
        mcp_server=importlib.util.find_spec("mcp") is not None,
    )


if __name__ == "__main__":
    main()
