"""Chapter 3 as one figure to take away: PNG or SVG."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image

from cirdemo.evaluate.figure_style import QUIET, STYLE
from cirdemo.evaluate.figures import LOCK
from cirdemo.explain import overlay
from cirdemo.types import Heatmap

DPI = 150
SIDE = 480  # pixels of a picture's longer side
WRAP = 34  # characters of a caption's line


def figure(
    image: Image.Image,
    union: Heatmap,
    intersection: Heatmap,
    word: Heatmap | None,
    *,
    is_control: bool,
    seen: overlay.Box | None,
    kind: str,
) -> bytes:
    """The picture, its maps under both descriptions, their difference and a word's map.

    Args:
        image: RGB.
        union: Map under union.
        intersection: Map under intersection, on the same value range.
        word: A map of a word on that range, or None.
        is_control: Whether the word is one that nobody said.
        seen: As in `overlay.overlay`.
        kind: "png" or "svg".

    Returns:
        The file's contents.
    """
    shown = [
        ("Picture", image.convert("RGB"), ""),
        ("Union", overlay.overlay(image, union, SIDE, seen=seen), union.text),
        ("Intersection", overlay.overlay(image, intersection, SIDE, seen=seen), intersection.text),
        (
            "Difference",
            overlay.difference(image, union, intersection, SIDE, seen=seen),
            "red: more under union; blue: more under intersection",
        ),
    ]
    if word is not None:
        title = "Control word" if is_control else "Word"
        said = f"{word.text} (nobody said it)" if is_control else word.text
        shown.append((title, overlay.overlay(image, word, SIDE, seen=seen), said))
    with LOCK, mpl.rc_context(STYLE):
        made = Figure(figsize=(2.3 * len(shown), 3.4), layout="constrained")
        axes = made.subplots(1, len(shown))
        for ax, (title, picture, says) in zip(axes, shown, strict=True):
            ax.imshow(picture)
            ax.set_axis_off()
            place: dict[str, Any] = {"transform": ax.transAxes}
            ax.text(0, 1.03, title, fontsize=11, fontweight="bold", **place)
            ax.text(0, -0.03, _wrapped(says), fontsize=8, color=QUIET, va="top", **place)
        span = union.value_range[1] - union.value_range[0]
        _bar(made, axes[1:3], overlay.HEAT, Normalize(*_ends(union)), "share of the cosine")
        _bar(made, axes[3:4], overlay.DIVERGING, Normalize(-span or -1, span or 1), "difference")
        buffer = io.BytesIO()
        about = {"Date": None} if kind == "svg" else {}
        made.savefig(
            buffer, format=kind, dpi=DPI, bbox_inches="tight", pad_inches=0.15, metadata=about
        )
    return buffer.getvalue()


def _bar(made: Figure, axes: Any, name: str, scale: Normalize, label: str) -> None:
    """A colour bar as the overlays are toned: see `overlay.colour_stops`."""
    stops = overlay.colour_stops(diverging=name == overlay.DIVERGING)
    colours = mpl.colors.LinearSegmentedColormap.from_list(name, stops)
    scalar = mpl.cm.ScalarMappable(scale, colours)
    bar = made.colorbar(scalar, ax=list(axes), orientation="horizontal", aspect=30, pad=0.16)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    bar.locator = mpl.ticker.MaxNLocator(4)


def _ends(heat: Heatmap) -> tuple[float, float]:
    low, high = heat.value_range
    return (low, high) if high > low else (low, low + 1)


def _wrapped(text: str) -> str:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) + 1 > WRAP:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
