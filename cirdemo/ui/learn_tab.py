"""The Learn tab."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from cirdemo.ui.context import Context


@dataclass(frozen=True)
class LearnHandlers:
    """What the Learn tab does."""

    context: Context


@dataclass(frozen=True)
class LearnTab:
    """The components of the Learn tab."""

    lead: gr.Markdown


def render(context: Context) -> LearnTab:
    """Build the components; no event yet."""
    return LearnTab(lead=gr.Markdown("This tab is being built."))


def listen(tab: LearnTab, handlers: LearnHandlers, context: Context) -> None:
    """Connect the components; the only place with events."""
