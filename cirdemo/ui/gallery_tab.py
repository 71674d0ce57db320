"""The Gallery tab."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from cirdemo.ui.context import Context


@dataclass(frozen=True)
class GalleryHandlers:
    """What the Gallery tab does."""

    context: Context


@dataclass(frozen=True)
class GalleryTab:
    """The components of the Gallery tab."""

    lead: gr.Markdown


def render(context: Context) -> GalleryTab:
    """Build the components; no event yet."""
    return GalleryTab(lead=gr.Markdown("This tab is being built."))


def listen(tab: GalleryTab, handlers: GalleryHandlers, context: Context) -> None:
    """Connect the components; the only place with events."""
