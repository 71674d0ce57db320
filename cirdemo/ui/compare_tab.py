"""The Compare tab."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from cirdemo.ui.context import Context


@dataclass(frozen=True)
class CompareHandlers:
    """What the Compare tab does."""

    context: Context


@dataclass(frozen=True)
class CompareTab:
    """The components of the Compare tab."""

    lead: gr.Markdown


def render(context: Context) -> CompareTab:
    """Build the components; no event yet."""
    return CompareTab(lead=gr.Markdown("This tab is being built."))


def listen(tab: CompareTab, handlers: CompareHandlers, context: Context) -> None:
    """Connect the components; the only place with events."""
