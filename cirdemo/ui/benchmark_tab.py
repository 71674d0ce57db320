"""The Benchmark tab."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from cirdemo.ui.context import Context


@dataclass(frozen=True)
class BenchmarkHandlers:
    """What the Benchmark tab does."""

    context: Context


@dataclass(frozen=True)
class BenchmarkTab:
    """The components of the Benchmark tab."""

    lead: gr.Markdown


def render(context: Context) -> BenchmarkTab:
    """Build the components; no event yet."""
    return BenchmarkTab(lead=gr.Markdown("This tab is being built."))


def listen(tab: BenchmarkTab, handlers: BenchmarkHandlers, context: Context) -> None:
    """Connect the components; the only place with events."""
