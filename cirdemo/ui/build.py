"""Puts the page together; builds no model and launches nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from cirdemo.ui import results_tab, search_tab
from cirdemo.ui.events import SearchHandlers
from cirdemo.ui.shelf import Library, load_examples

ASSETS = Path(__file__).resolve().parents[2] / "assets"
CSS = ASSETS / "style.css"
SANS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "monospace")

BRAND = (
    '<div class="brand"><h1>cirdemo</h1><p>Look inside composed image retrieval: a reference '
    "image and a text that changes it lead to the target, one visible step at a time.</p></div>"
)
SWITCH = """() => {
  const dark = document.body.classList.toggle('dark');
  document.documentElement.style.colorScheme = dark ? 'dark' : 'light';
}"""


def theme() -> gr.themes.Base:
    """A quiet theme with system fonts, so that nothing is fetched from elsewhere."""
    return gr.themes.Base(font=SANS, font_mono=MONO, primary_hue="teal", neutral_hue="stone")


def look() -> dict[str, Any]:
    """What `launch` needs to dress the page.

    The style sheet goes into the head as it is: given as `css_paths`, Gradio rewrites its
    selectors, and rules inside @media then lose against those outside.
    """
    return {"theme": theme(), "head": f"<style>{CSS.read_text(encoding='utf-8')}</style>"}


def build_app(engine: Any) -> gr.Blocks:
    """The whole page over one engine."""
    names = engine.galleries()
    library = Library(engine)
    handlers = SearchHandlers(engine, library, tuple(load_examples(names)))
    page = gr.Blocks(title="cirdemo", analytics_enabled=False, delete_cache=(600, 3600))
    with page:
        with gr.Row(elem_id="top"):
            gr.HTML(BRAND, elem_id="brand", apply_default_css=False, js_on_load=None)
            gallery = gr.Dropdown(
                [(n.capitalize(), n) for n in names],
                value=names[0],
                label="Gallery",
                elem_id="gallery",
                min_width=120,
                filterable=False,
            )
            switch = gr.Button("Light / dark", size="sm", elem_id="theme", min_width=60)
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Search", id="search"):
                tab = search_tab.render(handlers, names[0])
            with gr.Tab("Results", id="results"):
                results_tab.render()
        search_tab.listen(tab, handlers, gallery)
        switch.click(None, js=SWITCH, api_visibility="private", queue=False)
    return page
