"""What every tab's events share: the model queue, private endpoints, clicks, the error boundary."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import gradio as gr

from cirdemo.types import BadInput, CirError

# One queue for every listener that touches a model. Two places: while one visitor's judge works,
# another's first stages run between its batches; the models' own locks keep them apart.
MODEL: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 2}
# A run that was stopped may not have ended when the next is asked for; see `ticket.Ticket`.
RUN: dict[str, Any] = {"trigger_mode": "multiple", **MODEL}
# Asks whether the caller of the handler under way has left; Gradio tells generators alone.
LEFT: ContextVar[Callable[[], bool]] = ContextVar("left", default=lambda: False)
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
OTHER_KIND = "This is not what the field takes. Reload the page and try again."
PLAIN: dict[str, Any] = {"apply_default_css": False}  # gr.HTML that our style sheets dress

# A click (or Enter) on anything with data-id or data-action tells Python which one it was.
CLICKS = """
element.addEventListener('click', (event) => {
  const hit = event.target.closest('[data-id],[data-action]');
  if (hit && !hit.disabled) trigger('select', {...hit.dataset});
});
"""


def stay(*_: object) -> None:
    """Between two steps of long work: end it where nobody waits for it any more.

    Raises:
        BadInput: The caller has left.
    """
    if LEFT.get()():
        raise BadInput("The caller has left, so the work was stopped.")


def clicked_number(event: gr.EventData, name: str, default: float = 0) -> float:
    """A number that a click tells.

    Raises:
        BadInput: It tells another kind: it comes from no page.
    """
    try:
        found = float(event._data.get(name, default))
    except (TypeError, ValueError) as fault:
        raise BadInput(OTHER_KIND) from fault
    if not math.isfinite(found):
        raise BadInput(OTHER_KIND)
    return found


def guarded(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a CirError into the message the user sees; generators stay generators."""
    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def stream(*args: Any, **kwargs: Any) -> Iterator[Any]:
            try:
                yield from handler(*args, **kwargs)
            except CirError as error:
                raise gr.Error(str(error), print_exception=False) from error

        return stream

    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return handler(*args, **kwargs)
        except CirError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return call
