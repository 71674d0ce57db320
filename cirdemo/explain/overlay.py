"""Heatmaps over pictures. Pixels only."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from PIL import Image, ImageEnhance

from cirdemo.types import Heatmap

Box = tuple[float, float, float, float]

HEAT = "inferno"  # perceptually even, also to the colour-blind
DIVERGING = "cirdemo difference"  # red: more under the first; blue: more under the second
OPACITY = 0.92  # of the hottest place; the outlines of the picture stay readable underneath
GROUND = 0.15  # of a picture's saturation is kept: else its own colours read as heat
VEIL = (26, 28, 34)  # dark slate mixed into the picture: heat glows on dark and is pale on light
VEILED = 0.45  # of the picture is slate; assets/css/look.css does the same in the browser
GREY = 0.72 * (1 - VEILED) + VEILED * 0.11  # of a picture, on average, under its veil
SHOWN_FROM = 0.35  # the lowest part of `HEAT` is black and would read as shade, not as heat

# of one lightness at both ends, where the usual maps are nearly black, and without their white
# middle: a small difference is a clear colour, not a pale one
_REDS, _BLUES = ("#e8452c", "#ff9a70"), ("#7cc0ff", "#2b7be4")
_COLOURS = {
    HEAT: matplotlib.colormaps[HEAT],
    DIVERGING: LinearSegmentedColormap.from_list(
        DIVERGING,
        [(0, _BLUES[0]), (0.499, _BLUES[1]), (0.501, _REDS[0]), (1, _REDS[1])],
    ),
}


def overlay(
    image: Image.Image,
    heatmap: Heatmap,
    size: tuple[int, int] | int | None = None,
    *,
    seen: Box | None = None,
) -> Image.Image:
    """Lay a heatmap over its picture; cold places stay transparent.

    Args:
        image: RGB.
        heatmap: Values in [0, 1].
        size: (width, height) of the result, or its longer side; None keeps the picture's.
        seen: The part of the picture that the encoder saw (x0, y0, x1, y1), where not all of it.

    Returns:
        A new RGB picture.
    """
    picture = _resized(image, size)
    box = _scaled(seen, image.size, picture.size)
    return _blend(picture, *_heat(heatmap, picture.size, box))


def difference(
    image: Image.Image,
    a: Heatmap,
    b: Heatmap,
    size: tuple[int, int] | int | None = None,
    *,
    seen: Box | None = None,
) -> Image.Image:
    """Show where two heatmaps of one picture disagree: red for more in `a`, blue for more in `b`.

    The raw values are compared, so maps with different value ranges can be too.

    Args:
        image: RGB.
        a: A heatmap.
        b: Another of the same grid.
        size: As in `overlay`.
        seen: As in `overlay`.

    Returns:
        A new RGB picture.

    Raises:
        ValueError: The grids differ.
    """
    picture = _resized(image, size)
    box = _scaled(seen, image.size, picture.size)
    return _blend(picture, *_delta(a, b, picture.size, box))


def layer(
    frame: tuple[int, int],
    a: Heatmap,
    b: Heatmap | None = None,
    side: int = 72,
    *,
    seen: Box | None = None,
) -> Image.Image:
    """What `overlay`, or with `b` `difference`, lays over a picture, alone and see-through.

    A page that shows the picture already needs this alone, and a patch grid loses nothing in few
    pixels.

    Args:
        frame: (width, height) of the picture.
        a: A heatmap.
        b: What it is compared with, if anything.
        side: Pixels of the result's longer side.
        seen: As in `overlay`.

    Returns:
        An RGBA picture.

    Raises:
        ValueError: The grids differ.
    """
    share = side / max(frame)
    size = (max(1, round(frame[0] * share)), max(1, round(frame[1] * share)))
    box = _scaled(seen, frame, size)
    colours, opacity = _heat(a, size, box) if b is None else _delta(a, b, size, box)
    pixels = np.dstack([colours, opacity])  # (H, W, 4)
    return Image.fromarray(np.rint(255 * pixels).astype(np.uint8))


def _heat(heatmap: Heatmap, size: tuple[int, int], box: Box) -> tuple[np.ndarray, np.ndarray]:
    """Colours (H, W, 3) and opacity (H, W), both in [0, 1], of a heatmap in a box."""
    heat = _spread(np.clip(heatmap.values, 0, 1), size, box)  # (H, W)
    heat = _tone(np.clip(heat, 0, 1))
    colours = _COLOURS[HEAT](SHOWN_FROM + (1 - SHOWN_FROM) * heat)[..., :3]
    return colours, OPACITY * heat


def _delta(
    a: Heatmap, b: Heatmap, size: tuple[int, int], box: Box
) -> tuple[np.ndarray, np.ndarray]:
    """As `_heat`, of a difference."""
    if a.values.shape != b.values.shape:
        raise ValueError(f"grids must be equal, got {a.values.shape} and {b.values.shape}")
    span = max(a.value_range[1] - a.value_range[0], b.value_range[1] - b.value_range[0])
    delta = raw_values(a) - raw_values(b)  # (Gh, Gw)
    heat = _spread(delta / span if span > 0 else delta, size, box)  # (H, W)
    heat = _tone(np.clip(heat, -1, 1))
    return _COLOURS[DIVERGING]((heat + 1) / 2)[..., :3], OPACITY * np.abs(heat)


def _tone(values: np.ndarray) -> np.ndarray:
    """Values in [-1, 1] as they are coloured: the square root, so that the middle shows.

    Picture and colour bar use the same one: a colour still stands for one value, zero stays clear.
    """
    toned: np.ndarray = np.sign(values) * np.sqrt(np.abs(values))
    return toned


def raw_values(heatmap: Heatmap) -> np.ndarray:
    """Values before scaling: (Gh, Gw) float64."""
    low, high = heatmap.value_range
    return low + np.asarray(heatmap.values, np.float64) * (high - low)


def colour_stops(*, diverging: bool = False, count: int = 17) -> list[tuple[float, float, float]]:
    """Colours (red, green, blue) in [0, 1] along the scale, as they look over a picture.

    A colour bar beside a map must show the map's colours on either theme, so it is laid over what
    a picture is on average under its veil, not over the page.
    """
    if diverging:
        toned = _tone(np.linspace(-1, 1, count))
        colours = _COLOURS[DIVERGING]((toned + 1) / 2)[:, :3]
        opacity = OPACITY * np.abs(toned)
    else:
        toned = _tone(np.linspace(0, 1, count))
        colours = _COLOURS[HEAT](SHOWN_FROM + (1 - SHOWN_FROM) * toned)[:, :3]
        opacity = OPACITY * toned
    mixed = opacity[:, None] * colours + (1 - opacity[:, None]) * GREY  # (count, 3)
    return [(float(r), float(g), float(b)) for r, g, b in mixed]


def _resized(image: Image.Image, size: tuple[int, int] | int | None) -> Image.Image:
    picture = ImageEnhance.Color(image.convert("RGB")).enhance(GROUND)
    picture = Image.blend(picture, Image.new("RGB", picture.size, VEIL), VEILED)
    if isinstance(size, int):
        scale = size / max(picture.size)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    if size is None or tuple(size) == picture.size:
        return picture
    return picture.resize(size, Image.Resampling.LANCZOS)


def _scaled(seen: Box | None, old: tuple[int, int], new: tuple[int, int]) -> Box:
    """The seen part in the pixels of the resized picture."""
    x0, y0, x1, y1 = seen or (0.0, 0.0, float(old[0]), float(old[1]))
    across, down = new[0] / old[0], new[1] / old[1]
    return (x0 * across, y0 * down, x1 * across, y1 * down)


def _spread(values: np.ndarray, size: tuple[int, int], box: Box) -> np.ndarray:
    """Up-sample a patch grid (Gh, Gw) into a box of a picture: (H, W), zero outside the box."""
    width, height = size
    x0, y0, x1, y1 = (round(edge) for edge in box)
    inner = (max(1, x1 - x0), max(1, y1 - y0))
    grid = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    # bilinear: bicubic rings, which in a difference shows as heat of the wrong sign
    smooth = np.asarray(grid.resize(inner, Image.Resampling.BILINEAR))
    field = np.zeros((height, width), np.float32)
    part = field[y0 : y0 + inner[1], x0 : x0 + inner[0]]
    part[...] = smooth[: part.shape[0], : part.shape[1]]
    return field


def _blend(picture: Image.Image, colours: np.ndarray, opacity: np.ndarray) -> Image.Image:
    """Lay colours (H, W, 3) in [0, 1] over a picture with an opacity (H, W) in [0, 1]."""
    base = np.asarray(picture, np.float32)  # (H, W, 3)
    mixed = base + opacity[..., None] * (255 * colours - base)
    return Image.fromarray(np.clip(np.rint(mixed), 0, 255).astype(np.uint8))
