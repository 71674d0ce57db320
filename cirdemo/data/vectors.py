"""Arrays that people bring along in numpy's files: vectors of an encoder, prepared pictures."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from cirdemo.types import BadInput


def read_array(name: str, dims: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The array of so many dimensions in a .npy or .npz file, and the file's other arrays.

    Args:
        name: A path; `FILE.npz:ARRAY` picks one of several.
        dims: 2 for vectors (N, D), 4 for prepared pictures (N, 3, H, W).

    Raises:
        BadInput: There is no such file, it is no such file, or it cannot be told which array.
    """
    path, picked = Path(name).expanduser(), ""
    if not path.is_file() and ":" in name:
        path, picked = Path(name.rpartition(":")[0]).expanduser(), name.rpartition(":")[2]
    if not path.is_file():
        raise BadInput(f"There is no file '{name}'.")
    try:
        found = np.load(path, allow_pickle=False)  # pickled objects could run code
        arrays = {"": found} if isinstance(found, np.ndarray) else {k: found[k] for k in found}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as fault:
        reason = (str(fault).splitlines() or [""])[0]
        raise BadInput(
            f"'{path}' is no array file ({reason}). Use .npy or .npz as numpy.save and "
            "numpy.savez write them, without pickled objects."
        ) from fault
    told = ", ".join(f"{k or 'array'} {v.shape} {v.dtype}" for k, v in arrays.items())
    fits = [k for k, v in arrays.items() if v.ndim == dims and v.dtype.kind == "f" and v.size]
    if picked and picked not in fits:
        raise BadInput(f"'{path}' has no array '{picked}' of {dims} dimensions. It holds: {told}.")
    if not picked and len(fits) != 1:
        which = "more than one array" if fits else "no array"
        raise BadInput(
            f"'{path}' holds {which} of {dims} dimensions with decimal numbers: {told}. "
            f"{'Name one as FILE.npz:NAME.' if fits else ''}".strip()
        )
    chosen = picked or fits[0]
    return arrays[chosen], {k: v for k, v in arrays.items() if k != chosen}


def read_vectors(name: str) -> np.ndarray:
    """Vectors from a file, made float32 of unit norm: (N, D).

    Raises:
        BadInput: As `read_array`; or a row is no direction (zeros, no number).
    """
    rows = read_array(name, 2)[0].astype(np.float32)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)  # (N, 1)
    odd = np.flatnonzero(~(np.isfinite(norms[:, 0]) & (norms[:, 0] > 0)))
    if len(odd):
        raise BadInput(f"Row {odd[0]} of '{name}' is no vector: it is zero or has no numbers.")
    return np.asarray(rows / norms, np.float32)


def read_lines(path: Path) -> list[str]:
    """Texts, one a line; empty lines are left out.

    Raises:
        BadInput: It cannot be read as text, or holds none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise BadInput(f"'{path}' cannot be read as text: {fault}.") from fault
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise BadInput(f"'{path}' holds no text. Write one a line.")
    return texts
