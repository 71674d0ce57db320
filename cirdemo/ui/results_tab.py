"""The Results tab: the pages that `evaluate --out` has written, each with its command."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import gradio as gr

RESULTS = Path(__file__).resolve().parents[2] / "assets" / "results"
LEAD = (
    "Every method on the test split of the drawn worlds, under the shipped models. Nothing here is "
    "typed by hand: each page was written by the command at its head."
)
NONE = (
    "No evaluation is stored. Make one with "
    "`python -m cirdemo evaluate fables --methods all --split test --out assets/results`."
)
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)/]+\.png)\)")


def pages(folder: Path = RESULTS) -> dict[str, str]:
    """The stored pages as Markdown, by name; their figures point to the files beside them."""

    def address(found: re.Match[str]) -> str:
        file = quote((folder / found[2]).as_posix())
        return f"![{found[1]}](gradio_api/file={file})"

    return {
        path.stem: PICTURE.sub(address, path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.md"))
    }


def render(folder: Path = RESULTS) -> None:
    """Build the tab; it has no events."""
    stored = pages(folder)
    if stored:
        gr.set_static_paths(folder)  # holds nothing but what `evaluate` wrote
    gr.Markdown(LEAD if stored else NONE, elem_id="results-lead")
    for name, text in stored.items():
        with gr.Accordion(name.replace("-", ", "), open=True, elem_classes="results"):
            gr.Markdown(text, elem_id=f"results-{name}", container=False)
