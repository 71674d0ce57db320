"""Where the weights of a profile's roles are, or one sentence on why they cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from cirdemo.config import Settings
from cirdemo.hub import why_not
from cirdemo.profiles import ADAPTERS, PROFILES, Role, chosen
from cirdemo.types import MissingCheckpoint

NO_STATES = (
    "A server gives texts and probabilities, but no hidden states, and the vector of CIR-CoT is "
    "one. Use a profile whose language model runs here."
)
NO_SERVER = (
    "Profile 'remote' needs a server: name it with --with remote=http://127.0.0.1:8000/v1 or "
    "CIRDEMO_REMOTE. Profile 'embedded' works without one."
)


class Sources:
    """The weights of one profile under its settings; loads and fetches nothing."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.profile = PROFILES[settings.profile]

    def of(self, role: str) -> str:
        """The folder or hub name of a role; "" where the profile has none."""
        if role in ("encoder", "mllm", "reranker"):
            name = chosen(self.profile, self.settings, cast(Role, role))
            folder = self.settings.checkpoints / name
            here = bool(name) and (folder.is_dir() or self.ships(role))
            return str(folder) if here else name
        return str(
            self.settings.checkpoints / {**self.profile.adapters, **self.profile.tuned}[role]
        )

    def ships(self, role: str) -> bool:
        """Whether the weights of a role are this project's own."""
        return self.profile.shipped and not getattr(self.settings, role, "")

    def missing(self, role: str) -> str | None:
        """Why the weights of a role cannot be used, or None; loads and fetches nothing."""
        profile = self.settings.profile
        if self.settings.remote and role in ADAPTERS:
            return NO_STATES if role == "cot" else None
        if role == "mllm" and (profile == "remote" or self.settings.remote):
            return None if self.settings.remote else NO_SERVER
        if role in ("encoder", "mllm", "reranker") and not self.ships(role):
            return why_not(self.of(role))
        if role == "judge" and not self.tuned("judge") and not self.profile.shipped:
            return why_not(self.of("reranker")) if self.of("reranker") else None
        known = role in {"encoder", "mllm", *self.profile.adapters, *self.profile.tuned}
        if not known:
            return f"Profile {profile!r} has no weights {role!r}; use 'embedded'."
        if Path(self.of(role)).is_dir():
            return None
        if self.profile.shipped:
            return (
                f"No checkpoint {role!r} at {self.of(role)}. Train it with "
                f'"python -m cirdemo train {role}", or pick another method or profile.'
            )
        if role in ADAPTERS:
            made = (
                f'"python -m cirdemo train {role} --profile {profile} --data DIR --out '
                f'{self.of(role)}" trains one; '
            )
        else:
            made = ""
        return f"Profile {profile!r} has no weights {role!r} yet: {made}'embedded' has them."

    def require(self, role: str) -> str:
        """The source of a role.

        Raises:
            MissingCheckpoint: Its weights cannot be used.
        """
        if (reason := self.missing(role)) is not None:
            raise MissingCheckpoint(reason)
        return self.of(role)

    def tuned(self, role: str) -> bool:
        """Whether an adapter is there: shipped, or trained for this profile."""
        if self.settings.remote or role not in self.profile.adapters or self.settings.mllm:
            return False
        return Path(self.of(role)).is_dir()
