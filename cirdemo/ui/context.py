"""What every tab is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from cirdemo.ui.shelf import Library


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The engine, its galleries, and the components that stand above the tabs."""

    engine: Any  # cirdemo.engine.Engine
    library: Library  # thumbnails, captions, queries, targets
    gallery: gr.Dropdown  # the gallery chosen at the top of the page
    view: gr.Textbox  # hidden; a `View.dumps()` written here opens and runs in the Search tab
    public: bool  # strangers may visit: no server folders, nothing written but uploads
