"""What Gradio keeps of every component for each session, worked out once for all of them.

A session begins with the configuration of all components, which Gradio asks of each anew: with a
few hundred of them 30 ms and more, in which no other visitor is answered. Until a visitor's event
changes a component, it is the same for everybody.
"""

from __future__ import annotations

from typing import Any

from gradio.blocks import BlocksConfig


class Shared(BlocksConfig):
    """The page's components; the copies that sessions get know what was worked out before."""

    def __init__(self, config: BlocksConfig) -> None:
        """Take the place of the page's own, when all its components are there."""
        vars(self).update(vars(config))
        self._known: dict[int, dict[str, Any]] = {}

    def __copy__(self) -> Any:
        """The components as a session has them."""
        own = BlocksConfig.__copy__(self)  # type: ignore[no-untyped-call]
        own.config_for_block = self._told
        return own

    def _told(self, _id: int, rendered_ids: list[int], block: Any, *rest: Any) -> dict[str, Any]:
        shared: Any = self.blocks.get(_id)
        if rest or shared is not block:  # the session's own, or drawn by an event
            return dict(self.config_for_block(_id, rendered_ids, block, *rest))
        if _id not in self._known:
            self._known[_id] = dict(self.config_for_block(_id, rendered_ids, block))
        known = self._known[_id]
        return {**known, "props": dict(known["props"])}  # sessions write values into it
