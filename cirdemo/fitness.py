"""Which profiles run on this machine: memory and disk that they need, what is here, why not."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from huggingface_hub import constants, is_offline_mode

from cirdemo.hub import hub_repository, in_cache
from cirdemo.profiles import PROFILES, WEIGHTS, Profile, Role, chosen
from cirdemo.registry import load

if TYPE_CHECKING:
    from cirdemo.config import Settings

PROGRAM = 1.0  # GiB of the program itself with torch, transformers and gradio loaded: 0.9 measured
BYTES = {"float32": 4.0, "8bit": 1.1, "4bit": 0.7}  # of a parameter; others take 2
ROLES: tuple[Role, ...] = ("encoder", "mllm", "reranker")
PATIENCE = 3.0  # seconds for the hub and for a server


def fitness(settings: Settings) -> dict[str, dict[str, Any]]:
    """Every profile: whether it runs here, what it needs, and why not; loads no model.

    The settings in force (other sources, dtype, quantisation, device) count for each of them.
    """
    free = _free_memory(settings.device)
    online = _online()
    return {name: _of(replace(settings, profile=name), free, online) for name in PROFILES}


def _of(settings: Settings, free: float | None, online: bool) -> dict[str, Any]:
    profile = PROFILES[settings.profile]
    models = {
        role: _model(profile, settings, role)
        for role in ROLES
        if chosen(profile, settings, role)
        and not (role == "reranker" and _adapter(settings, "judge"))
    }
    memory = round(PROGRAM + sum(m["memory_gib"] or 0.0 for m in models.values()), 1)
    fetched = round(sum(m["download_gib"] or 0.0 for m in models.values()), 1)
    why = []
    if settings.profile == "remote" or settings.remote:
        why += _no_server(settings)
    absent = [m["source"] for m in models.values() if not m["here"]]
    for source in absent:
        if hub_repository(source) is None:
            why.append(f"{source} is not there")
        elif not online:
            why.append(
                f'{source} is not here and the hub is not reachable: "hf download '
                f'{hub_repository(source)}" fetches it where there is a network'
            )
    room = _free_disk()
    if fetched > room:
        why.append(f"the download needs {fetched} GiB of disk, {room} GiB are free")
    if free is None:
        why.append(f"device {settings.device!r} is not there")
    elif memory > free:
        why.append(
            f"it needs {memory} GiB of memory, {free} GiB are free; dtype or quantisation can "
            "make it less"
        )
    return {
        "runs": not why,
        "why_not": why,
        "purpose": profile.purpose,
        "memory_gib": memory,
        "download_gib": fetched,
        "device": settings.device,
        "models": models,
        "adapters": [a for a in profile.adapters if _adapter(settings, a)],
    }


def _model(profile: Profile, settings: Settings, role: Role) -> dict[str, Any]:
    """What one model needs; None where its size is not known."""
    source = chosen(profile, settings, role)
    folder = settings.checkpoints / source
    folder = folder if folder.is_dir() or profile.shipped else Path(source)
    here = folder.is_dir() or in_cache(source)
    width = BYTES.get(settings.quantisation or settings.dtype, 2.0)
    if role == "encoder" or (profile.shipped and settings.dtype == "auto"):
        width = BYTES["float32"]
    memory: float | None = None
    if folder.is_dir():
        stored = sum(f.stat().st_size for f in folder.rglob("*.safetensors")) / 2**30
        memory = stored * (width / 2.0 if role != "encoder" else 1.0)  # published in 2 bytes, 4
    elif (known := WEIGHTS.get(source)) is not None:
        memory = known.memory_gib(width)
    known = WEIGHTS.get(source)
    return {
        "source": str(folder) if folder.is_dir() else source,
        "here": here,
        "memory_gib": None if memory is None else round(memory, 2),
        "download_gib": 0.0 if here else None if known is None else round(known.disk_gib, 2),
    }


def _adapter(settings: Settings, role: str) -> bool:
    return (settings.checkpoints / settings.profile / role).is_dir()


def _no_server(settings: Settings) -> list[str]:
    if not settings.remote:
        return ["no server is named: --with remote=http://HOST:8000/v1 or CIRDEMO_REMOTE"]
    try:
        httpx.get(settings.remote, timeout=PATIENCE)  # any answer at all: somebody is there
    except httpx.HTTPError as fault:
        name = httpx.URL(settings.remote).host
        return [f"the server {name} does not answer ({fault})"]
    return []


def _online() -> bool:
    """Whether the hub answers."""
    if is_offline_mode():
        return False
    with contextlib.suppress(httpx.HTTPError):
        httpx.head(constants.ENDPOINT, timeout=PATIENCE)
        return True
    return False


def _free_memory(device: str) -> float | None:
    """GiB that are free on a device; None where there is no such device."""
    if device == "cpu":
        return memory("MemAvailable")
    found: float | None = load("cirdemo.models.loading:free_gib")(device)
    return found


def _free_disk() -> float:
    """GiB that are free where the hub's client puts its files."""
    place = Path(constants.HF_HUB_CACHE)
    while not place.is_dir() and place != place.parent:
        place = place.parent
    return round(shutil.disk_usage(place).free / 2**30, 1)


def memory(key: str) -> float | None:
    """A line of /proc/meminfo in GiB; None where there is no such file."""
    file = Path("/proc/meminfo")
    for line in file.read_text().splitlines() if file.exists() else ():
        if line.startswith(key + ":"):
            return round(int(line.split()[1]) / 2**20, 1)
    return None
