"""Settings: where things are and what to use."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from cirdemo.profiles import PROFILES, ModelSettings, convert
from cirdemo.registry import unknown
from cirdemo.types import BadInput, CirError

ROOT = Path(__file__).resolve().parents[1]
YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def _cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cirdemo"


PATHS = ("assets", "checkpoints", "cache", "galleries", "data")  # settings that are folders


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(ModelSettings):
    """Where things are and what to use; every field is also a variable CIRDEMO_<FIELD>."""

    profile: str = "embedded"  # a name of PROFILES
    assets: Path = ROOT / "assets"  # galleries/<name>/ with pictures and records
    checkpoints: Path = ROOT / "checkpoints"  # <profile>/<part>/ with weights
    cache: Path = field(default_factory=_cache_home)  # vectors that had to be built here
    galleries: Path | None = None  # the user's own galleries; None: cache / "own-galleries"
    data: Path | None = None  # published annotations of benchmarks; None: where people keep them
    judge_prior: float | None = None  # share of targets among judged candidates, if known
    public: bool = field(default_factory=lambda: "SPACE_ID" in os.environ)  # strangers may visit
    hosts: tuple[str, ...] = ()  # more names that the app answers to; CIRDEMO_HOSTS=a.org,*.b.org
    threads: int = 1  # of one operation; the command line, alone on a machine, takes every core

    def __post_init__(self) -> None:
        """Reject what cannot be.

        Raises:
            UnknownName: The profile is not among PROFILES, or another value not among its own.
            BadInput: The prior is no share, or another number cannot be.
        """
        self.check()
        if self.profile not in PROFILES:
            raise unknown("profile", self.profile, PROFILES)
        if self.judge_prior is not None and not 0 < self.judge_prior < 1:
            raise BadInput(f"The judge's prior must lie between 0 and 1, got {self.judge_prior}.")

    @classmethod
    def from_env(cls, **given: Any) -> Settings:
        """Settings from the environment; what is given by name wins.

        Raises:
            CirError: A variable does not hold what it should.
        """
        found: dict[str, Any] = {}
        for name in (f.name for f in fields(cls)):
            if text := os.environ.get(f"CIRDEMO_{name.upper()}"):
                found[name] = Path(text) if name in PATHS else convert(name, text)
        if "hosts" in found:
            found["hosts"] = tuple(n.strip() for n in str(found["hosts"]).split(",") if n.strip())
        if "threads" in found:
            if not str(found["threads"]).isdigit() or int(found["threads"]) < 1:
                raise CirError(f"CIRDEMO_THREADS must be 1 or more, got {found['threads']!r}.")
            found["threads"] = int(found["threads"])
        if "public" in found:
            told = str(found["public"]).strip().lower()
            if told not in YES_NO:
                raise CirError(f"CIRDEMO_PUBLIC must be yes or no, got {found['public']!r}.")
            found["public"] = YES_NO[told]
        if "judge_prior" in found:
            try:
                found["judge_prior"] = float(found["judge_prior"])
            except ValueError:
                told = found["judge_prior"]
                raise CirError(f"CIRDEMO_JUDGE_PRIOR must be a number, got {told!r}.") from None
        return cls(**(found | given))


def cores() -> int:
    """Cores that this process may use, or the number in OMP_NUM_THREADS."""
    return int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))


def use_threads(count: int) -> None:
    """Threads of one operation. Beside another busy process, two made a loop ten times slower.

    The variable reaches a torch that is imported later; one that is there is told.
    """
    os.environ["OMP_NUM_THREADS"] = str(count)
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(count)
