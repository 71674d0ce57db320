"""The folder of a gallery build: vectors, ids and a manifest with their checksums."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from cirdemo.types import CirError, ImageId, MissingCheckpoint

_VECTORS = ("vectors.npy", "vectors_sha256")
FORMAT = 1  # of the build folder; raised when a reader of the old one would go wrong


def save_build(
    folder: str | Path,
    *,
    name: str,
    ids: Sequence[ImageId],
    vectors: np.ndarray,
    space: str,
    preprocessing: str,
    skipped: Mapping[ImageId, str] | None = None,
    extra: Mapping[str, bytes] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write a build; a crash leaves the old one, or one that `Gallery.open` refuses.

    Args:
        folder: Made when absent.
        name: Of the gallery.
        ids: One id a row.
        vectors: (N, D) float32, unit norm.
        space: The encoder's space.
        preprocessing: What the encoder did to the pixels.
        skipped: Why pictures were left out, by id.
        extra: More files by name; the manifest holds their checksums too.
        facts: More fields of the manifest.

    Raises:
        ValueError: Ids do not fit the vectors, or a value is not finite.
    """
    if vectors.ndim != 2 or len(vectors) != len(ids):
        raise ValueError(f"vectors must have shape ({len(ids)}, D), got {vectors.shape}")
    if not np.isfinite(vectors).all():
        raise ValueError("vectors must be finite, got NaN or infinity")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(vectors, dtype=np.float32), allow_pickle=False)
    vector_bytes, id_bytes = buffer.getvalue(), json.dumps(list(ids)).encode()
    manifest = {
        "format": FORMAT,
        "name": name,
        "space": space,
        "preprocessing": preprocessing,
        "count": len(ids),
        "dim": int(vectors.shape[1]),
        "ids_sha256": hashlib.sha256(id_bytes).hexdigest(),
        "vectors_sha256": hashlib.sha256(vector_bytes).hexdigest(),
        "skipped": dict(skipped or {}),
        "extra": {n: hashlib.sha256(data).hexdigest() for n, data in (extra or {}).items()},
        **(facts or {}),
    }
    for file, data in (extra or {}).items():
        write_file(folder / file, data)
    write_file(folder / "vectors.npy", vector_bytes)
    write_file(folder / "ids.json", id_bytes)
    write_file(folder / "manifest.json", json.dumps(manifest, indent=2).encode())  # makes it valid


def read_build(folder: Path) -> tuple[dict[str, Any], list[ImageId], np.ndarray]:
    """Manifest, ids and vectors (N, D) float32 of a build, verified.

    Raises:
        MissingCheckpoint: There is no build in the folder.
        CirError: The build is damaged or of another format.
    """
    if not (folder / "manifest.json").is_file():
        raise MissingCheckpoint(f"There is no gallery build in '{folder}'. {rebuild_hint(folder)}")
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        if manifest["format"] != FORMAT:
            raise ValueError(f"format {manifest['format']}, this program reads {FORMAT}")
        wanted_sums = dict(manifest.get("extra", {}))
        if any(Path(name).name != name for name in wanted_sums):
            raise ValueError("the manifest names files that are not in the build")
        wanted_sums |= {n: manifest[k] for n, k in (("ids.json", "ids_sha256"), _VECTORS)}
        data: dict[str, Any] = {}
        for name, checksum in wanted_sums.items():
            with (folder / name).open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
                if digest != checksum:
                    raise ValueError(
                        f"{name} has checksum {digest[:12]}, the manifest says {checksum[:12]}"
                    )
                stream.seek(0)
                if name == "vectors.npy":
                    data[name] = _mapped(stream)
                elif name == "ids.json":
                    data[name] = json.load(stream)
        ids, vectors = data["ids.json"], data["vectors.npy"]
        wanted = (int(manifest["count"]), int(manifest["dim"]))
        if vectors.shape != wanted or len(ids) != wanted[0] or vectors.dtype != np.float32:
            raise ValueError(f"vectors must be float32 {wanted}, got {vectors.shape}")
        missing = {"name", "space", "preprocessing"} - manifest.keys()
        if missing:
            raise ValueError(f"the manifest lacks {', '.join(sorted(missing))}")
        for name in ("index", "about"):
            if not isinstance(manifest.get(name) or {}, dict):
                raise ValueError(f"the manifest says {name} as it cannot be")
    except Exception as fault:  # json and numpy raise nearly anything on hostile bytes
        raise CirError(
            f"The gallery build in '{folder}' is damaged: {fault}. {rebuild_hint(folder)}"
        ) from fault
    return manifest, ids, vectors


def _mapped(stream: BinaryIO) -> np.ndarray:
    """An array file as memory that stays on disk until it is looked at.

    Of the open file and not by its path, so that what was checked is what is mapped.

    Raises:
        ValueError: It is no plain array.
    """
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("vectors.npy is of an unknown version")
    shape, across, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.hasobject or across:
        raise ValueError("vectors.npy is no plain array")
    return np.memmap(stream, dtype, "r", stream.tell(), shape)


def rebuild_hint(folder: Path) -> str:
    """The way out of a build that cannot be used."""
    return f'Build it with "python -m cirdemo index FOLDER --name {folder.name}".'


def write_file(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old content or the new, never a part."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)  # mkstemp makes it private
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make what was renamed or removed in a folder outlast a power cut."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
