"""The whole state of the Search page as one record that fits into an address.

A permalink carries its meaning itself: nothing of it is kept on the server. It stands behind the
`#`, which browsers do not send, so a visitor's words and picture stay out of the server's logs.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from cirdemo.types import BadInput

LIMIT = 60_000  # characters of an address; a small picture takes about 10,000
FIELDS = 200  # values in it
MODES = ("union", "enhanced", "intersection")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What was asked, what was changed by hand, and what is looked at; all fields plain."""

    gallery: str = "fables"
    reference_id: str = ""  # a gallery picture, or:
    picture: str = ""  # an uploaded one, as a small data URI
    text: str = ""  # the modification
    region: str = ""  # ignore, keep or crop, ":HEX": cells painted on the reference
    union: str = ""  # descriptions written or edited by hand; "" leaves them to the model
    enhanced: str = ""
    intersection: str = ""
    without: tuple[str, ...] = ()  # cues that were turned against
    more: tuple[str, ...] = ()  # pictures that were liked
    less: tuple[str, ...] = ()  # pictures that were not
    caption: str = ""  # steps of the rationale written by hand
    reasoning: str = ""
    conclusion: str = ""
    rerank_on: str = "intersection"
    columns: tuple[str, ...] = ()  # more lists to show beside the two
    depth: int = 50
    judge: bool = True
    tuned: bool = True  # the judge with its adapter
    fuse: bool = False
    reason: bool = True
    threshold: float = 0.5  # of P(Yes), under which a card is dimmed
    picked: str = ""  # the picture under the heatmaps; "reference" is the reference image

    def dumps(self) -> str:
        """The view as text for the page's `view` box; no two are equal, so each one opens."""
        return f"{self.fragment()}&at={time.time_ns()}"

    def fragment(self) -> str:
        """What stands behind the `#` of a permalink: the fields that are not as by default."""
        pairs: list[tuple[str, str]] = []
        for f in fields(self):
            value = getattr(self, f.name)
            if value == f.default:
                continue
            if isinstance(value, tuple):
                pairs += [(f.name, v) for v in value]
            elif isinstance(value, bool):
                pairs.append((f.name, "yes" if value else "no"))
            else:
                pairs.append((f.name, str(value)))
        return urlencode(pairs)

    @classmethod
    def loads(cls, text: str) -> View:
        """The view of an address or of `dumps`; names it does not know are left out.

        Raises:
            BadInput: The address is too long, or a value is not of its kind.
        """
        if len(text) > LIMIT or text.count("&") >= FIELDS:
            raise BadInput("This link is too long to be one of cirdemo's; ask for it again.")
        known = {f.name: f.default for f in fields(cls)}
        found: dict[str, Any] = {}
        for name, value in parse_qsl(
            text.lstrip("#"), keep_blank_values=False, max_num_fields=FIELDS
        ):
            if name in known:
                found[name] = _read(name, value, known[name], found.get(name, ()))
        view = cls(**found)
        if view.rerank_on not in MODES:
            raise BadInput(f"This link re-ranks {view.rerank_on!r}; it can be {', '.join(MODES)}.")
        if not 1 <= view.depth <= 100 or not 0 <= view.threshold <= 1:
            raise BadInput("This link has a depth or a threshold that cirdemo does not offer.")
        if view.picture and not view.picture.startswith("data:image/webp;base64,"):
            raise BadInput("This link holds a picture of a kind that cirdemo does not open.")
        return view

    @property
    def descriptions(self) -> dict[str, str]:
        """The descriptions by hand, by mode."""
        return {mode: text for mode in MODES if (text := getattr(self, mode))}

    @property
    def thoughts(self) -> dict[str, str]:
        """The steps of the rationale by hand, by name, up to the first that is missing."""
        steps: dict[str, str] = {}
        for name in ("caption", "reasoning", "conclusion"):
            if not (text := getattr(self, name)):
                break
            steps[name] = text
        return steps

    def asked(self) -> View:
        """The same question with nothing changed by hand."""
        by_hand = (
            *MODES,
            "without",
            "more",
            "less",
            "caption",
            "reasoning",
            "conclusion",
            "picked",
        )
        return replace(self, **{f.name: f.default for f in fields(self) if f.name in by_hand})  # type: ignore[arg-type]

    def toggled(self, name: str, value: str, other: Iterable[str] = ()) -> View:
        """With a value put into, or taken out of, one of the lists and out of the `other` ones."""
        now: tuple[str, ...] = getattr(self, name)
        new = tuple(v for v in now if v != value) if value in now else (*now, value)
        rest = {o: tuple(v for v in getattr(self, o) if v != value) for o in other}
        return replace(self, **{name: new, **rest})  # type: ignore[arg-type]  # names of tuples


def _read(name: str, value: str, default: Any, before: Any) -> Any:
    """A value of an address in the kind of its field."""
    try:
        if isinstance(default, tuple):
            return (*before, value)
        if isinstance(default, bool):
            return {"yes": True, "no": False}[value]
        return type(default)(value)
    except (ValueError, KeyError):
        raise BadInput(f"This link says {name}={value!r}, which cirdemo cannot read.") from None
