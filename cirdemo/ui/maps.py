"""Chapter 3's pictures: two heatmaps, their difference, the colour bar."""

from __future__ import annotations

from typing import Any

from PIL import Image

from cirdemo.explain import overlay
from cirdemo.ui.shelf import data_uri

MAP_SIZE = 288  # pixels of a heatmap's longer side
DISAGREE = "red: more under union; blue: more under intersection"


def figures(image: Image.Image, both: Any) -> tuple[list[tuple[str, str, str]], str]:
    """(title, data URI, what it says) of the three pictures, and the colour bar."""
    first, second = both[0], both[1]
    size = (MAP_SIZE, round(MAP_SIZE * image.height / image.width))
    drawn = (
        ("Union", overlay.overlay(image, first, size), first.text),
        ("Intersection", overlay.overlay(image, second, size), second.text),
        ("Difference", overlay.difference(image, first, second, size), DISAGREE),
    )
    shown = [(title, data_uri(picture), says) for title, picture, says in drawn]
    bar = overlay.colour_bar(first.value_range)
    return shown, data_uri(bar.crop((0, 0, bar.width, bar.height // 2)))  # its lower half: text
