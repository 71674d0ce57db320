"""Encodes the pictures of a dataset into a gallery build."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cirdemo.gallery import fast_index
from cirdemo.gallery.files import save_build
from cirdemo.gallery.store import Gallery, Source
from cirdemo.intake import load_image
from cirdemo.types import BadInput, Encoder

BATCH = 64  # pictures in memory at a time


def build(
    dataset: Source,
    encoder: Encoder,
    out: Path,
    progress: Callable[[int, int], None] | None = None,
    *,
    skip_bad: bool = False,
) -> Gallery:
    """Encode every picture of a gallery and save the build.

    Args:
        dataset: The pictures; ids are stored in sorted order.
        encoder: Its space and preprocessing are written into the manifest.
        out: Folder of the build; an earlier build there is replaced.
        progress: Called with (pictures done, pictures in all) after every batch.
        skip_bad: Leave out pictures that cannot be read (a user's folder) instead of stopping;
            their ids and the reason are in the manifest under "skipped".

    Returns:
        The gallery, loaded back from disk.

    Raises:
        BadInput: A picture cannot be read, or none is left.
    """
    wanted = sorted(dataset.gallery_ids)
    ids: list[str] = []
    parts: list[np.ndarray] = []
    skipped: dict[str, str] = {}
    for start in range(0, len(wanted), BATCH):
        batch = wanted[start : start + BATCH]
        images = []
        for image_id in batch:
            try:
                images.append(load_image(dataset.image_path(image_id)))
            except BadInput as fault:
                if not skip_bad:
                    raise BadInput(f"Picture '{image_id}': {fault}") from fault
                skipped[image_id] = str(fault)
                continue
            ids.append(image_id)
        if images:
            parts.append(encoder.encode_images(images))  # (N, D)
        if progress is not None:
            progress(start + len(batch), len(wanted))
    if not parts:
        raise BadInput(
            f"'{dataset.name}' holds no picture that can be read. Add JPEG, PNG or WebP files."
        )
    vectors = np.concatenate(parts)
    index, facts = fast_index.fitted(vectors, encoder)
    save_build(
        out,
        name=dataset.name,
        ids=ids,
        vectors=vectors,
        space=encoder.space,
        preprocessing=encoder.preprocessing,
        skipped=skipped,
        extra={fast_index.FILE: index.dump()} if index is not None else {},
        facts={"index": facts.told()},
    )
    return Gallery.open(out, dataset)
