"""Puts the page together; builds no model and launches nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from cirdemo.ui import api
from cirdemo.ui.benchmark import tab as benchmark_tab
from cirdemo.ui.compare import tab as compare_tab
from cirdemo.ui.context import Context
from cirdemo.ui.gallery import tab as gallery_tab
from cirdemo.ui.janitor import Janitor, own_folder
from cirdemo.ui.learn import tab as learn_tab
from cirdemo.ui.search import tab as search_tab
from cirdemo.ui.search.ask import AskHandlers
from cirdemo.ui.search.events import SearchHandlers
from cirdemo.ui.search.look import LookHandlers
from cirdemo.ui.search.story import COLUMNS
from cirdemo.ui.shelf import Library, load_examples
from cirdemo.ui.shell import Page
from cirdemo.ui.wiring import PLAIN, QUIET

STYLES = Path(__file__).resolve().parents[2] / "assets" / "css"
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

    The style sheets go into the head as they are: given as `css_paths`, Gradio rewrites their
    selectors, and rules inside @media then lose against those outside.
    """
    base = STYLES / "base.css"
    sheets = [base, *sorted(p for p in STYLES.glob("*.css") if p != base)]
    css = "".join(sheet.read_text(encoding="utf-8") for sheet in sheets)
    return {"theme": theme(), "head": f"<style>{css}</style>"}


def build_app(engine: Any, *, public: bool = False, hosts: Sequence[str] = ()) -> gr.Blocks:
    """The whole page over one engine.

    Args:
        engine: What answers.
        public: Leave out what strangers must not do.
        hosts: Names by which the app is known besides the machine's own.
    """
    names = engine.galleries()
    library = Library(engine)
    page = Page(title="cirdemo", analytics_enabled=False, delete_cache=(600, 3600))
    page.hosts, page.thumbnail, page.public = tuple(hosts), library.served, public
    page.janitor = Janitor(library.expire, folder=own_folder())
    with page:
        with gr.Row(elem_id="top"):
            gr.HTML(BRAND, elem_id="brand", elem_classes="ours", js_on_load=None, **PLAIN)
            gallery = gr.Dropdown(
                [(n.capitalize(), n) for n in names],
                value=names[0],
                label="Gallery",
                elem_id="gallery",
                min_width=120,
                filterable=False,
            )
            switch = gr.Button("Light / dark", size="sm", elem_id="theme", min_width=60)
        view = gr.Textbox(visible="hidden", elem_id="view", label="View")
        context = Context(engine=engine, library=library, gallery=gallery, view=view, public=public)
        with gr.Tabs(elem_id="tabs", selected="search") as tabs:
            with gr.Tab("Search", id="search"):
                ask = AskHandlers(engine, library, tuple(load_examples(names)))
                runs = [m for m, why in engine.methods().items() if why is None]
                offered = tuple(m for m in COLUMNS if m in runs)
                search = SearchHandlers(engine, library, LookHandlers(engine, library), offered)
                search_page = search_tab.render(ask, names[0])
            with gr.Tab("Compare", id="compare"):
                compare_page = compare_tab.render(context)
            with gr.Tab("Benchmark", id="benchmark"):
                benchmark_page = benchmark_tab.render(context)
            with gr.Tab("Gallery", id="browse"):
                gallery_page = gallery_tab.render(context)
            with gr.Tab("Learn", id="learn"):
                learn_page = learn_tab.render(context)
        api.offer(context)  # first: a private listener of the same name would take it away
        search_tab.listen(search_page, search, ask, context, compare_page.view)
        compare_tab.listen(compare_page, compare_tab.CompareHandlers(context), context)
        benchmark_tab.listen(benchmark_page, benchmark_tab.BenchmarkHandlers(context), context)
        gallery_tab.listen(gallery_page, gallery_tab.GalleryHandlers(context), context)
        learn_tab.listen(learn_page, learn_tab.LearnHandlers(context), context)
        view.change(lambda: gr.update(selected="search"), None, tabs, queue=False, **QUIET)
        compare_page.view.change(
            lambda: gr.update(selected="compare"), None, tabs, queue=False, **QUIET
        )
        switch.click(None, js=SWITCH, api_visibility="private", queue=False)
    return page
