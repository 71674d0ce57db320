"""What every command needs: settings, engine, names, progress."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cirdemo.types import BadInput

if TYPE_CHECKING:
    from cirdemo.config import Settings
    from cirdemo.engine import Engine

Answer = tuple[dict[str, Any], int]  # of a command: the JSON object, the exit status


def settings_of(args: argparse.Namespace) -> Settings:
    """Settings from the environment and the options; a command may use every core."""
    from cirdemo.config import Settings, cores
    from cirdemo.profiles import ModelSettings, convert

    given: dict[str, Any] = {"profile": args.profile, "device": args.device}
    known = {f.name for f in fields(ModelSettings)}
    for text in getattr(args, "using", []):
        name, _, value = text.partition("=")
        if name not in known or not value:
            raise BadInput(
                f"--with {text}: write NAME=VALUE, NAME one of {', '.join(sorted(known))}."
            )
        given[name] = convert(name, value)
    if "CIRDEMO_THREADS" not in os.environ:
        given["threads"] = cores()
    return Settings.from_env(**{k: v for k, v in given.items() if v is not None})


def engine_of(args: argparse.Namespace) -> Engine:
    """The engine of the settings."""
    from cirdemo.builder import build_engine

    return (args.make_engine or build_engine)(settings_of(args))


def root_of(args: argparse.Namespace) -> Path | None:
    """The folder with benchmark annotations that was named, here or in the environment."""
    from cirdemo.config import Settings

    root: Path | None = args.root or Settings.from_env().data
    return root


def tell(what: str, done: int, of: int) -> None:
    """Progress, on stderr."""
    print(f"{what}: {done} of {of}", file=sys.stderr)


def names_of(text: str) -> list[str]:
    """Names with commas between."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise BadInput("Name at least one method.")
    return names
