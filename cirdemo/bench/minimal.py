"""The least Gradio app there can be: what an event costs before any of ours is added.

Run as a module with the port as its argument, beside the app, by `bench app`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import gradio as gr


def plain(text: str) -> str:
    """An event that computes nothing."""
    return text


def three(text: str) -> Iterator[str]:
    """An event that says three things."""
    for number in range(3):
        yield f"{text} {number}"


def build() -> gr.Blocks:
    """A box and two events."""
    page = gr.Blocks(analytics_enabled=False)
    with page:
        box, out = gr.Textbox(), gr.Textbox()
        box.submit(plain, box, out, api_name="plain")
        box.change(three, box, out, api_name="three")
    return page


if __name__ == "__main__":
    build().queue().launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), ssr_mode=False)
