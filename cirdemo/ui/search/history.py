"""Turns: what was asked and changed on this page, as a tree with undo."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cirdemo.ui import cards
from cirdemo.ui.view import View

KEPT = 40  # turns; the oldest leaves go first


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One answered view."""

    view: View
    parent: int | None  # index of the turn it came from
    title: str
    src: str  # thumbnail of its reference


@dataclass(frozen=True, slots=True)
class History:
    """The turns of one visitor and which of them is shown."""

    turns: tuple[Turn, ...] = ()
    now: int | None = None

    def add(self, view: View, src: str) -> History:
        """With a view answered; one that is there already is gone to, not added."""
        for i, turn in enumerate(self.turns):
            if same(turn.view, view):
                return replace(self, now=i)
        before = None if self.now is None else self.turns[self.now].view
        turn = Turn(view=view, parent=self.now, title=what_changed(before, view), src=src)
        turns = (*self.turns, turn)
        if len(turns) <= KEPT:
            return History(turns, len(turns) - 1)
        parents = (None if t.parent in (0, None) else t.parent - 1 for t in turns[1:])
        kept = (replace(t, parent=p) for t, p in zip(turns[1:], parents, strict=True))
        return History(tuple(kept), len(turns) - 2)

    def back(self) -> History:
        """At the turn that the present one came from; the first stays."""
        if self.now is None or self.turns[self.now].parent is None:
            return self
        return replace(self, now=self.turns[self.now].parent)

    def depth(self, index: int) -> int:
        """How many branches a turn is away from the first line of turns."""
        depth, at = 0, self.turns[index].parent
        child = index
        while at is not None:
            siblings = [i for i, t in enumerate(self.turns) if t.parent == at]
            depth += siblings.index(child) > 0
            child, at = at, self.turns[at].parent
        return depth


def same(a: View, b: View) -> bool:
    """Whether two views ask the same; what is looked at does not count."""
    return replace(a, picked="", threshold=0.5) == replace(b, picked="", threshold=0.5)


def what_changed(before: View | None, now: View) -> str:
    """A turn in a few words."""
    if before is None or before.asked() != now.asked():
        for name, said in (("tuned", "adapter"), ("fuse", "fused order"), ("judge", "judge")):
            if before is not None and replace(before, **{name: getattr(now, name)}) == now:  # type: ignore[arg-type]
                return f"{said} {'on' if getattr(now, name) else 'off'}"
        if before is not None and replace(before, rerank_on=now.rerank_on) == now:
            return f"dial at {now.rerank_on}"
        if before is not None and replace(before, columns=now.columns) == now:
            return "lists: " + (", ".join(now.columns) or "the two alone")
        return f"“{now.text}”"
    if now.without != before.without:
        return "against " + (", ".join(f"“{cue}”" for cue in now.without) or "nothing")
    for name in ("union", "enhanced", "intersection"):
        if getattr(now, name) != getattr(before, name):
            return f"{name}: " + (getattr(now, name) or "the model's own")
    if now.more != before.more or now.less != before.less:
        return f"{len(now.more)} liked, {len(now.less)} not"
    return "reasoning rewritten" if now.thoughts else "back to the model's own"


def tree(history: History) -> str:
    """The turns as a list of buttons; nothing while there is but one."""
    if len(history.turns) < 2:
        return ""
    items = "".join(
        f'<li style="--depth:{min(history.depth(i), 4)}"><button type="button" '
        f'data-event="select" data-action="turn" data-value="{i}" '
        f'aria-current="{"true" if i == history.now else "false"}">'
        f'<img src="{cards.esc(t.src)}" alt="" width="28" height="28"><span>{cards.esc(t.title)}'
        f"</span></button></li>"
        for i, t in enumerate(history.turns)
    )
    first = history.now is None or history.turns[history.now].parent is None
    undo = (
        f'<button type="button" class="undo" data-event="select" data-action="undo" '
        f"{'disabled' if first else ''}>↶ Undo</button>"
    )
    head = f'<header><h2 class="small">Your turns</h2>{undo}</header>'
    return f'<div class="turns">{head}<ol>{items}</ol></div>'
