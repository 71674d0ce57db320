"""Folders and archives of pictures made by code, sound and hostile."""

import io
import random
import threading
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image


class SlowEncoder:
    """Mean colours in a grid of four, as a unit vector; counts what it sees, and can take time."""

    dim = 12
    preprocessing = "quarters"

    def __init__(self, space="quarters", pause=0.0):
        self.space, self.pause, self.seen = space, pause, 0
        self.lock = threading.Lock()  # groups are encoded beside each other

    def encode_images(self, images):
        import time

        rows = []
        for image in images:
            time.sleep(self.pause)
            small = np.asarray(image.resize((2, 2), Image.Resampling.BOX), np.float32) + 1.0
            rows.append(small.reshape(-1) / np.linalg.norm(small))
        with self.lock:
            self.seen += len(images)
        return np.stack(rows).astype(np.float32)


def picture(seed, size=(48, 36)):
    """A few coloured blocks, so that no two seeds look alike."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 255, (6, 8, 3), np.uint8)
    return Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST)


def coded(seed, kind="JPEG", **options):
    buffer = io.BytesIO()
    picture(seed).save(buffer, kind, **options)
    return buffer.getvalue()


def write_folder(root, count=100):
    """Pictures in nested folders and four formats."""
    rng = random.Random(0)
    for seed in range(count):
        kind = rng.choice(["JPEG", "PNG", "WEBP", "GIF"])
        path = Path(root) / f"year {seed % 3}" / f"trip{seed % 5}" / f"p{seed:03d}.{kind.lower()}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(coded(seed, kind))
    return Path(root)


def write_zip(path, entries, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as out:
        for name, data in entries.items() if isinstance(entries, dict) else entries:
            out.writestr(name, data)
    return Path(path)
