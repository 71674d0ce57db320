"""What the hub's cache on this machine holds, and what to say where something is not in it."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import constants, is_offline_mode, try_to_load_from_cache

from cirdemo.profiles import WEIGHTS


def absent(source: str, reason: str = "") -> str:
    """The rest of the sentence about a source that is not here."""
    said = f" ({reason})" if reason else ""
    repository = hub_repository(source)
    if repository is None and ":" in source and not Path(source).is_absolute():
        return (
            f"could not be fetched{said}: check the name and the network. What works now: "
            "--profile embedded."
        )
    if repository is None:
        return (
            f"cannot be loaded{said}: check the path. What works now: --profile embedded; its own "
            'model is trained with "python -m cirdemo train mllm".'
        )
    size = WEIGHTS.get(source)
    told = f", about {size.disk_gib:.1f} GiB" if size else ""
    return (
        f"is not on this machine{told}, and the hub cannot be reached{said}. Where there is a "
        f'network, "hf download {repository}" fetches it, or with --local-dir FOLDER into a folder '
        "to be copied here and named with --with encoder=FOLDER (or mllm=, reranker=). What works "
        "now: --profile embedded."
    )


def hub_repository(source: str) -> str | None:
    """The hub's repository of a source; None for a path or a name of another kind."""
    name = source.removeprefix("hf-hub:")
    if source.startswith((".", "/", "~", "local-dir:")) or name.count("/") != 1:
        return None
    return name


def in_cache(source: str) -> bool:
    """Whether the hub's cache here holds a repository's configuration, and so its weights."""
    repository = hub_repository(source)
    if repository is None:
        return False
    names = ("open_clip_config.json",) if source.startswith("hf-hub:") else ("config.json",)
    return any(isinstance(try_to_load_from_cache(repository, n), str) for n in names)


def revision(source: str) -> str:
    """The commit of a repository in the hub's cache; "" where there is none."""
    repository = hub_repository(source)
    if repository is None:
        return ""
    folder = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
    note = folder / "refs" / "main"
    return note.read_text(encoding="utf-8").strip()[:12] if note.is_file() else ""


def why_not(source: str) -> str | None:
    """Why a source cannot be loaded, or None where it is here or could be fetched."""
    if Path(source.removeprefix("local-dir:")).is_dir() or in_cache(source):
        return None
    if hub_repository(source) is not None:
        return f"{source!r} {absent(source)}" if is_offline_mode() else None
    if ":" in source and not Path(source).is_absolute():  # open_clip's own names: ViT-B-32:openai
        return None
    return f"{source!r} {absent(source)}"
