"""Folders of the networks of `models.fusion`: weights in half precision, sizes, and their space."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

from cirdemo.models import encoders
from cirdemo.models.fusion import FusionNet, Inverter, TextTower
from cirdemo.models.trusted import LARGEST, load_exact, read_settings
from cirdemo.types import MissingCheckpoint, SpaceMismatch

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def space_of(folder: Path) -> str:
    """Name of the space of an encoder's folder, as the encoder itself will state it."""
    return encoders._identity(folder)


def save(folder: Path, module: nn.Module, space: str, config: dict[str, Any]) -> None:
    """Write a network, what sets it up again, and the encoder's space that it was trained for."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {k: v.detach().half().contiguous() for k, v in module.state_dict().items()}
    save_file(weights, folder / WEIGHTS)
    (folder / WEIGHTS).chmod(0o644)
    (folder / CONFIG).write_text(json.dumps({"space": space, **config}, indent=1) + "\n")


def read(folder: str | Path, name: str, space: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and float32 weights of a folder that `save` wrote.

    Args:
        folder: Where.
        name: The recipe that makes it, named when something is wrong.
        space: The encoder's space, which must be the one that it was trained for.

    Raises:
        MissingCheckpoint: A file is missing or cannot be read.
        SpaceMismatch: It was trained on another encoder.
    """
    folder = Path(folder)
    way_out = f'Train it with "python -m cirdemo train {name}", or pick another method.'
    lacking = [file for file in (CONFIG, WEIGHTS) if not (folder / file).is_file()]
    if lacking:
        raise MissingCheckpoint(f"No {' and no '.join(lacking)} of {name!r} in {folder}. {way_out}")
    try:
        config = read_settings(folder / CONFIG, name)
        weights = {k: v.float() for k, v in load_exact(folder / WEIGHTS, name).items()}
        trained = config.pop("space")
        if odd := [k for k, v in config.items() if not isinstance(v, int) or not 0 <= v <= LARGEST]:
            raise ValueError(f"its entry {odd[0]!r} is {config[odd[0]]!r}")
    except Exception as fault:  # json and safetensors each have their own
        reason = f"{name!r} in {folder} cannot be read ({fault})"
        raise MissingCheckpoint(f"{reason}. {way_out}") from fault
    if trained != space:
        raise SpaceMismatch(
            f"{name!r} in {folder} was trained for the space {trained!r}, the encoder is of "
            f"{space!r}. {way_out}"
        )
    return config, weights


def fill(module: nn.Module, weights: dict[str, Tensor], folder: str | Path, name: str) -> None:
    """Put weights that were read into a network and freeze it.

    Raises:
        MissingCheckpoint: They are of another network.
    """
    try:
        module.load_state_dict(weights)
    except RuntimeError as fault:
        raise MissingCheckpoint(
            f"The weights of {name!r} in {folder} do not fit this encoder or version. "
            f'Train it again with "python -m cirdemo train {name}".'
        ) from fault
    module.eval().requires_grad_(False)


def load_inverter(folder: str | Path, space: str) -> Inverter:
    """The trained phi of `inversion`.

    Raises:
        MissingCheckpoint: The folder is incomplete or damaged.
        SpaceMismatch: It was trained on another encoder.
    """
    config, weights = read(folder, "inversion", space)
    net = Inverter(**config)
    fill(net, weights, folder, "inversion")
    return net


def load_qformer(folder: str | Path, space: str) -> FusionNet:
    """The trained network of `qformer`; raises as `load_inverter`."""
    config, weights = read(folder, "qformer", space)
    net = FusionNet(**config)
    fill(net, weights, folder, "qformer")
    return net


def load_tuned_tower(model: nn.Module, folder: str | Path, name: str, space: str) -> TextTower:
    """The encoder's text tower with the trained blocks of `dpo` or `dpo_published`.

    Raises:
        MissingCheckpoint: The folder is incomplete or damaged.
        SpaceMismatch: It was trained on another encoder.
        CirError: The encoder's text tower is not CLIP's kind.
    """
    _, weights = read(folder, name, space)
    tower = TextTower(model, own_blocks=True)
    fill(tower.blocks, weights, folder, name)
    return tower
